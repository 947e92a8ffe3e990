package history

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/sheratan/sheratan/runtime/durable"
)

// How the ledger of HEAD compares with a snapshot.
type ledgerState int

const (
	ahead  ledgerState = iota // the snapshot has more
	same                      // HEAD has exactly the snapshot
	behind                    // HEAD has more: another process committed later events already
)

// newLedger stores what the snapshot has of the ledger and the tree base has not.
func (r *Repository) newLedger(o *objects, base plumbing.Hash, p Position) ([]file, ledgerState, error) {
	if p.Size == 0 {
		first, _, err := o.highest(base, ledgerDir)
		if err == nil && first != noSegment {
			return nil, behind, nil
		}
		return nil, same, err
	}
	from, blob, err := o.highest(base, ledgerDir)
	if err != nil {
		return nil, 0, err
	}
	if from > p.Segment {
		return nil, behind, nil
	}
	segments := []int64{p.Segment}
	if from != p.Segment {
		if segments, err = listSegments(r.dir, ledgerDir, max(0, from)); err != nil {
			return nil, 0, err
		}
		// What the caller's position does not name yet is the next commit's.
		segments = slices.DeleteFunc(segments, func(first int64) bool { return first > p.Segment })
		if len(segments) == 0 || segments[len(segments)-1] != p.Segment {
			return nil, 0, &SegmentError{segmentPath(ledgerDir, p.Segment), "missing"}
		}
	}
	if err := startsAt(ledgerDir, segments, from); err != nil {
		return nil, 0, err
	}
	var files []file
	next := segments[0]
	for _, first := range segments {
		path := segmentPath(ledgerDir, first)
		if first != next {
			return nil, 0, &SegmentError{path, fmt.Sprintf("line %d was expected to be the next", next)}
		}
		var content []byte
		if first == p.Segment {
			content, err = r.readActive(path, p)
		} else {
			content, err = r.readClosed(path)
		}
		if err != nil {
			return nil, 0, err
		}
		next = first + countLines(content)
		if first == from {
			state, err := compare(o, blob, path, content, first == p.Segment)
			if err != nil || state != ahead && first == p.Segment {
				return nil, state, err
			}
			if state == same {
				continue
			}
		}
		hash, err := o.put(plumbing.BlobObject, content)
		if err != nil {
			return nil, 0, err
		}
		files = append(files, file{path, hash})
	}
	return files, ahead, nil
}

// startsAt checks that segments begin with the highest one that is in git, or else with the very first.
func startsAt(dir string, segments []int64, from int64) error {
	want := max(0, from)
	if len(segments) > 0 && segments[0] == want || len(segments) == 0 && from == noSegment {
		return nil
	}
	return &SegmentError{segmentPath(dir, want), "missing"}
}

// readActive reads the committed part of the active segment.
func (r *Repository) readActive(path string, p Position) ([]byte, error) {
	content, err := r.read(path, p.Offset)
	if err != nil {
		return nil, err
	}
	if content[len(content)-1] != '\n' {
		return nil, &SegmentError{path, fmt.Sprintf("byte %d is not the end of a line", p.Offset)}
	}
	if n := p.Segment + countLines(content); n != p.Size {
		return nil, &SegmentError{path, fmt.Sprintf("has events up to %d in its first %d bytes, %d are committed", n, p.Offset, p.Size)}
	}
	return content, nil
}

// compare says how the blob that HEAD has of a segment compares with what the file has now. A file may only be shorter
// where the caller's position is an old one.
func compare(o *objects, blob plumbing.Hash, path string, content []byte, mayLag bool) (ledgerState, error) {
	if plumbing.ComputeHash(plumbing.BlobObject, content) == blob {
		return same, nil
	}
	size, err := o.size(blob)
	if err != nil {
		return 0, err
	}
	switch {
	case int64(len(content)) > size:
		return ahead, nil
	case mayLag:
		return behind, nil
	}
	return 0, &SegmentError{path, fmt.Sprintf("has %d bytes of whole lines and another content than the %d bytes that are in git", len(content), size)}
}

// newDocuments stores the documents that the tree base does not have, and counts all of them. They are on the disk then: those
// that another process is just writing, or was killed over, could otherwise be lost with the power, and others take their
// place, while git has them.
func (r *Repository) newDocuments(o *objects, base plumbing.Hash, synced Position) (files []file, size int64, err error) {
	from, blob, err := o.highest(base, documentsDir)
	if err != nil {
		return nil, 0, err
	}
	segments, err := listSegments(r.dir, documentsDir, max(0, from))
	if err != nil {
		return nil, 0, err
	}
	if err := startsAt(documentsDir, segments, from); err != nil {
		return nil, 0, err
	}
	for i, first := range segments {
		if i == 0 {
			size = first
		}
		path := segmentPath(documentsDir, first)
		if first != size {
			return nil, 0, &SegmentError{path, fmt.Sprintf("line %d was expected to be the next", size)}
		}
		var content []byte
		if i == len(segments)-1 {
			content, err = r.read(path, -1)
			content = wholeLines(content)
		} else {
			content, err = r.readClosed(path)
		}
		if err != nil {
			return nil, 0, err
		}
		if len(content) == 0 {
			break // made a moment ago; its first document is not there yet
		}
		size = first + countLines(content)
		if first == from {
			state, err := compare(o, blob, path, content, false)
			if err != nil {
				return nil, 0, err
			}
			if state == same {
				continue
			}
		}
		hash, err := o.put(plumbing.BlobObject, content)
		if err != nil {
			return nil, 0, err
		}
		files = append(files, file{path, hash})
		if i == len(segments)-1 && (first != synced.Segment || int64(len(content)) != synced.Offset) {
			if err := r.syncSegment(path); err != nil {
				return nil, 0, err
			}
		}
	}
	return files, size, nil
}

// syncSegment brings a segment, and its name, to the disk.
func (r *Repository) syncSegment(path string) error {
	f, err := durable.OpenAppend(filepath.Join(r.dir, path), nil)
	if err != nil {
		return err
	}
	err = f.Datasync()
	if err == nil {
		err = f.SyncName(3)
	}
	return errors.Join(err, f.Close())
}

// newCheckpoint stores the checkpoint where the tree base has another one or none, and returns its text in any case.
func (r *Repository) newCheckpoint(o *objects, base plumbing.Hash) ([]file, []byte, error) {
	text, err := r.read(checkpointPath, -1)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(text) == 0 {
		// One that was committed stays: nothing leaves this history.
		e, err := o.find(base, checkpointPath)
		if err == nil && !e.Hash.IsZero() {
			text, err = o.get(plumbing.BlobObject, e.Hash)
		}
		return nil, text, err
	}
	if err != nil {
		return nil, nil, err
	}
	if len(text) > maxCheckpoint {
		return nil, nil, &SegmentError{checkpointPath, fmt.Sprintf("has %d bytes, at most %d are possible", len(text), maxCheckpoint)}
	}
	e, err := o.find(base, checkpointPath)
	if err != nil {
		return nil, nil, err
	}
	hash, err := o.put(plumbing.BlobObject, text)
	if err != nil || hash == e.Hash {
		return nil, text, err
	}
	return []file{{checkpointPath, hash}}, text, nil
}
