package ledger

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	"github.com/sheratan/sheratan/runtime/durable"
)

// Ref says where a document lies. Events carry it: Path as artifact_path, SHA256 as artifact_sha256, the rest in meta.
type Ref struct {
	Path   string // of the segment, relative to runtime/
	Offset int64  // of the first byte in it
	Bytes  int64  // without the newline
	SHA256 string // of these bytes, lower-case hex
}

// Documents is the store of what grows: proposals, reports, results, configurations. A document is one line of a segment,
// in RFC 8785 form. Segments are named by how many documents come before. Any number of processes may append; they take
// turns by a lock of their own, so that nobody syncs a document while holding the workspace. A Documents may be used by
// several goroutines.
type Documents struct {
	segments segments
	lockPath string
	faults   durable.Faults

	mu     sync.Mutex
	active *durable.File // the segment of the last Append; nil where it has to be looked for
	first  int64         // its number
	lines  int64         // documents in it, up to size
	size   int64

	syncedFirst, syncedSize int64 // the end of what the last Append brought to the disk

	readers readers
}

// OpenDocuments opens the documents beside the ledger in the folder outbox, which exists. faults is nil but in tests.
func OpenDocuments(outbox string, faults durable.Faults) (*Documents, error) {
	outbox, err := openOutbox(outbox)
	if err != nil {
		return nil, err
	}
	s := segments{dir: filepath.Join(outbox, "documents"), name: DocumentsDir}
	return &Documents{
		segments: s,
		lockPath: filepath.Join(outbox, "..", ".sheratan", "documents.lock"),
		faults:   faults,
		readers:  readers{segments: s},
	}, nil
}

// Close closes what is open.
func (d *Documents) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return errors.Join(d.forget(), d.readers.close())
}

// Synced returns the number of the segment that the last Append of this handle wrote to, and up to which byte it is on the
// disk; 0 and 0 where there was none.
func (d *Documents) Synced() (segment, size int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.syncedFirst, d.syncedSize
}

// Append stores documents, given in RFC 8785 form without newlines, and returns where each lies. When it returns, they are
// on the disk: one write and one fdatasync for all of them. After an error none is.
func (d *Documents) Append(docs [][]byte) ([]Ref, error) {
	if len(docs) == 0 {
		return nil, nil
	}
	total := 0
	for i, doc := range docs {
		if len(doc) == 0 || bytes.IndexByte(doc, '\n') >= 0 || bytes.IndexByte(doc, 0) >= 0 {
			return nil, fmt.Errorf("document %d of %d: %d bytes that are not one line", i+1, len(docs), len(doc))
		}
		total += len(doc) + 1
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	lock, err := durable.Lock(context.Background(), d.lockPath)
	if err != nil {
		return nil, err
	}
	refs, err := d.append(docs, total)
	if err != nil {
		err = errors.Join(fmt.Errorf("documents: nothing was stored: %w", err), d.forget())
	}
	return refs, errors.Join(err, lock.Unlock())
}

func (d *Documents) append(docs [][]byte, total int) ([]Ref, error) {
	if err := d.findEnd(); err != nil {
		return nil, err
	}
	created := false
	if d.active == nil || d.size >= SegmentBytes {
		if err := d.begin(); err != nil {
			return nil, err
		}
		created = true
	}
	refs := make([]Ref, len(docs))
	buf := make([]byte, 0, total)
	for i, doc := range docs {
		sum := sha256.Sum256(doc)
		refs[i] = Ref{d.segments.rel(d.first), d.size + int64(len(buf)), int64(len(doc)), hex.EncodeToString(sum[:])}
		buf = append(append(buf, doc...), '\n')
	}
	_, err := d.active.Write(buf)
	if err == nil {
		err = d.active.Datasync()
	}
	if err == nil && created {
		err = d.active.SyncName(3)
	}
	if err != nil {
		// No event names these bytes. Where they cannot be cut off, whole documents among them stay, and harm nobody.
		return nil, errors.Join(err, d.active.Truncate(d.size))
	}
	d.size += int64(len(buf))
	d.lines += int64(len(docs))
	d.syncedFirst, d.syncedSize = d.first, d.size
	return refs, nil
}
