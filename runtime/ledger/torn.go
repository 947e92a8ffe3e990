package ledger

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"path/filepath"

	"github.com/sheratan/sheratan/runtime/durable"
)

// TornTail is what a crash left behind the last whole line: a line without its end, or zeros where the file system had
// reserved blocks and did not come to fill them. Nothing in it was ever acted on.
type TornTail struct {
	Segment string   // that has the torn bytes, relative to runtime/
	At      Position // behind the last whole line, which may be in the segment before
	Bytes   int64    // 0 for a segment that was made and not written

	first  int64 // number of the segment
	offset int64 // of the torn bytes in it
}

// Guard returns a *TamperError where fewer than size lines precede the torn tail: lines that are known to have been
// committed were not torn by a crash. It is for a rebuild without an index, where the last git commit says how long the
// ledger was.
func (t *TornTail) Guard(size int64) error {
	if t.At.Size >= size {
		return nil
	}
	return &TamperError{CodeShorter, t.Segment, t.At.Size,
		fmt.Sprintf("cannot be read from here on, and %d lines had been committed", size)}
}

// MoveTorn copies a torn tail to a file in the folder dir, which it makes, and cuts it off the ledger; a segment of which
// nothing remains is removed. It returns the meta of the TORN_TAIL_MOVED that the caller has to write. After a crash in
// between, Tail finds the same bytes again and they go to the same file.
func (l *Log) MoveTorn(t *TornTail, dir string) (Torn, error) {
	at := t.At
	at.Segment, at.Offset = t.first, t.offset
	size, err := l.openActive(at)
	if err != nil {
		return Torn{}, err
	}
	if size != t.offset+t.Bytes {
		return Torn{}, l.differentSize(at, size)
	}
	data := make([]byte, t.Bytes)
	if _, err := l.active.ReadAt(data, t.offset); err != nil {
		return Torn{}, err
	}
	sum := sha256.Sum256(data)
	moved := Torn{Segment: t.Segment, Bytes: t.Bytes, SHA256: hex.EncodeToString(sum[:])}
	if err := durable.MkdirAllSynced(dir, 0o755); err != nil {
		return Torn{}, err
	}
	name := fmt.Sprintf("%09d-%d-%s", t.first, t.offset, moved.SHA256[:16])
	if err := durable.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
		return Torn{}, err
	}
	if t.offset > 0 {
		return moved, l.cutBack(t.offset)
	}
	if err := l.active.Remove(); err != nil {
		return Torn{}, err
	}
	return moved, l.Close()
}

// isTorn reports whether what r begins with is a line that a crash interrupted: it has no end, or zeros.
func isTorn(r io.Reader) (bool, error) {
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Read(buf)
		end := bytes.IndexByte(buf[:n], '\n')
		if end >= 0 {
			return bytes.IndexByte(buf[:end], 0) >= 0, nil
		}
		if bytes.IndexByte(buf[:n], 0) >= 0 || err == io.EOF {
			return true, nil
		}
		if err != nil {
			return false, err
		}
	}
}
