package history

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/sheratan/sheratan/runtime/durable"
)

// record is the end of the history as this program wrote it: at least the last 32 commits, oldest first, one JSON line
// each, in runtime/.sheratan/git.head. It holds of each commit what the ledger and document segments do not, so that a
// commit whose objects are gone can be made again with the same hash.
//
// It is the only thing that a commit syncs, once, before the branch moves. Syncing the dozen objects, their folders and
// the branch instead took 16 syncs and 15 ms for a commit that is 2 ms of work. What the record drops, when it has grown
// too long, is brought to the disk before.
type record []recorded

type recorded struct {
	Hash       string `json:"hash"`
	Boot       string `json:"boot"`                 // see bootID
	Raw        []byte `json:"raw"`                  // the commit object
	Checkpoint []byte `json:"checkpoint,omitempty"` // outbox/checkpoint as committed

	hash   plumbing.Hash
	line   []byte
	commit *object.Commit // nil until the line was read
}

const (
	recordKept  = 32      // commits
	recordLimit = 1 << 18 // bytes from which the older ones are dropped; a commit takes about 1,200
)

func (r *Repository) recordPath() string { return filepath.Join(r.dir, stateDir, "git.head") }

func (r *Repository) readRecord() (record, error) {
	b, err := os.ReadFile(r.recordPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var rec record
	for line := range bytes.Lines(wholeLines(b)) { // a last line without its end was never synced, and is no commit
		name, ok := bytes.CutPrefix(line, []byte(linePrefix))
		if !ok || len(name) < hashLen || !plumbing.IsHash(string(name[:hashLen])) {
			return nil, &recordError{r.recordPath(), fmt.Errorf("line %d is not a commit", len(rec)+1)}
		}
		rec = append(rec, recorded{hash: plumbing.NewHash(string(name[:hashLen])), line: line})
	}
	// The two that are always needed. The others are read when they are found: all of them cost milliseconds.
	for i := range rec {
		if i > 0 && i < len(rec)-1 {
			continue
		}
		if err := rec[i].read(); err != nil {
			return nil, &recordError{r.recordPath(), err}
		}
	}
	return rec, nil
}

// A line begins with the hash of its commit in hexadecimal.
const (
	linePrefix = `{"hash":"`
	hashLen    = 40
)

// read takes the line of a commit apart, and compares the commit with its name.
func (e *recorded) read() (err error) {
	if err := json.Unmarshal(e.line, e); err != nil {
		return err
	}
	if plumbing.NewHash(e.Hash) != e.hash || plumbing.ComputeHash(plumbing.CommitObject, e.Raw) != e.hash {
		return errContent
	}
	e.commit, err = parseCommit(e.Raw)
	return err
}

type recordError struct {
	path string
	err  error
}

func (e *recordError) Error() string { return fmt.Sprintf("%s: %v", e.path, e.err) }

// extendRecord adds a commit and syncs. The lines that are there are not judged here but in readRecord.
func (r *Repository) extendRecord(hash plumbing.Hash, raw, checkpoint []byte) error {
	line, err := json.Marshal(recorded{Hash: hash.String(), Boot: bootID(), Raw: raw, Checkpoint: checkpoint})
	if err != nil {
		return err
	}
	f, err := durable.OpenAppend(r.recordPath(), nil)
	if errors.Is(err, fs.ErrNotExist) {
		if f, err = durable.CreateAppend(r.recordPath(), 0o600, nil); err == nil {
			err = durable.SyncDir(filepath.Dir(r.recordPath()))
		}
	}
	if err != nil {
		return err
	}
	err = func() error {
		st, err := f.Stat()
		if err != nil {
			return err
		}
		if err := cutUnfinished(f, st.Size); err != nil {
			return err
		}
		if _, err := f.Write(append(line, '\n')); err != nil {
			return err
		}
		if err := f.Datasync(); err != nil || st.Size < recordLimit {
			return err
		}
		return r.shortenRecord()
	}()
	return errors.Join(err, f.Close())
}

// cutUnfinished removes a last line that a crash left without its end.
func cutUnfinished(f *durable.File, size int64) error {
	if size == 0 {
		return nil
	}
	var last [1]byte
	if _, err := f.ReadAt(last[:], size-1); err != nil || last[0] == '\n' {
		return err
	}
	b := make([]byte, size)
	if _, err := f.ReadAt(b, 0); err != nil {
		return err
	}
	return f.Truncate(int64(len(wholeLines(b))))
}

// shortenRecord drops all but the last commits, whose objects may not be on the disk yet.
func (r *Repository) shortenRecord() error {
	if err := syncFileSystem(r.git); err != nil {
		return err
	}
	b, err := os.ReadFile(r.recordPath())
	if err != nil {
		return err
	}
	for n := countLines(b); n > recordKept; n-- {
		b = b[bytes.IndexByte(b, '\n')+1:]
	}
	return durable.WriteFile(r.recordPath(), b, 0o600)
}

// find returns a commit of the record. One that is damaged there is not known.
func (rec record) find(hash plumbing.Hash) (recorded, bool) {
	for _, e := range rec {
		if e.hash == hash && (e.commit != nil || e.read() == nil) {
			return e, true
		}
	}
	return recorded{}, false
}

func (rec record) last() plumbing.Hash {
	if len(rec) == 0 {
		return plumbing.ZeroHash
	}
	return rec[len(rec)-1].hash
}

func parseCommit(raw []byte) (*object.Commit, error) {
	var encoded plumbing.MemoryObject
	encoded.SetType(plumbing.CommitObject)
	if _, err := encoded.Write(raw); err != nil {
		return nil, err
	}
	c := new(object.Commit)
	if err := c.Decode(&encoded); err != nil {
		return nil, err
	}
	if c.TreeHash.IsZero() {
		return nil, errors.New("not a commit")
	}
	return c, nil
}

func printCommit(c *object.Commit) ([]byte, error) {
	var encoded plumbing.MemoryObject
	if err := c.Encode(&encoded); err != nil {
		return nil, err
	}
	r, err := encoded.Reader()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var b bytes.Buffer
	_, err = b.ReadFrom(r)
	return b.Bytes(), err
}

// commit returns a commit with its raw form.
func (o *objects) commit(hash plumbing.Hash) (*object.Commit, error) {
	raw, err := o.get(plumbing.CommitObject, hash)
	if err != nil {
		return nil, err
	}
	c, err := parseCommit(raw)
	if err != nil {
		return nil, &ObjectError{hash.String(), "commit", err}
	}
	return c, nil
}

// parent returns the first parent of a commit, the zero hash for a root.
func parent(c *object.Commit) plumbing.Hash {
	if len(c.ParentHashes) == 0 {
		return plumbing.ZeroHash
	}
	return c.ParentHashes[0]
}
