package pipeline

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/ledger"
	"github.com/sheratan/sheratan/schemas"
)

// fileVerifier compares the files that results name with their digests.
type fileVerifier struct {
	p   *Pipeline
	add func(code string, seq int64, format string, args ...any)

	removed map[fileKey]int64 // what the ledger says was removed, and in which line; nil until a file is missed
	scanned int64             // how many lines of the ledger removed is of
	gone    int               // files that were removed on purpose
	notes   []Finding
}

// fileKey stands for a file and its content: there may be a million of them.
type fileKey [16]byte

func keyOf(path, digest string) (k fileKey) {
	sum := sha256.Sum256([]byte(path + "\x00" + digest))
	copy(k[:], sum[:])
	return k
}

// shownRemovals is how many removed files verify names.
const shownRemovals = 100

// result checks the output files and artifacts of one result.
func (v *fileVerifier) result(ev *ledger.Event, doc []byte) {
	var res job.Result
	if err := schemas.UnmarshalStored(doc, &res); err != nil {
		v.add(ledger.CodeDocumentDigest, ev.Seq, "the result of %s cannot be read: %v", ev.JobID, err)
		return
	}
	for _, f := range res.Files() {
		missing, different := CodeOutputMissing, CodeOutputDigest
		if f.Name != "stdout" && f.Name != "stderr" {
			missing, different = CodeArtifactMissing, CodeArtifactDigest
		}
		sum, err := digestFile(v.p.abs(f.Path))
		switch {
		case errors.Is(err, os.ErrNotExist):
			seq, ok := v.wasRemoved(f.Path, f.SHA256)
			if !ok {
				v.add(missing, ev.Seq, "%s, written by %s, is gone, and no event says why", f.Path, ev.JobID)
				continue
			}
			v.gone++
			if len(v.notes) < shownRemovals {
				v.notes = append(v.notes, Finding{CodeFileRemoved, ev.Seq,
					fmt.Sprintf("%s, written by %s, was removed on purpose, as line %d says", f.Path, ev.JobID, seq)})
			}
		case err != nil:
			v.add(missing, ev.Seq, "%v", err)
		case sum != f.SHA256:
			v.add(different, ev.Seq, "%s is not what %s wrote", f.Path, ev.JobID)
		}
	}
}

// wasRemoved looks for the event that says that a file was removed. The ledger is read for it only when a file is missed.
func (v *fileVerifier) wasRemoved(path, digest string) (seq int64, ok bool) {
	_, ok = v.removed[keyOf(v.p.removedPath(path), digest)]
	// A file can be removed while this runs, and then its event is younger than the list.
	if size, err := v.p.log.Size(); !ok && (err != nil || size > v.scanned) {
		v.scanned = size
		v.removed = map[fileKey]int64{}
		// An error ends the list early; what is wrong with the ledger is a finding of its own.
		_ = v.p.log.Scan(0, func(ev *ledger.Event, _ []byte) error {
			if ev.Event == job.DocumentRemoved {
				v.removed[keyOf(ev.ArtifactPath, ev.ArtifactSHA256)] = ev.Seq
			}
			return nil
		})
	}
	seq, ok = v.removed[keyOf(v.p.removedPath(path), digest)]
	return seq, ok
}
