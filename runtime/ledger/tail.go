package ledger

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// tailBuffer holds the longest line, its newline, and more.
const tailBuffer = 128 << 10

// Tail reads what lies behind pos, over as many segments as there are, and calls fn with each event, its line (valid
// during the call) and the position behind it. What it hands out has been synced before: the process that wrote it may
// have died before it could. It returns the position behind the last line, and the torn tail if there is one; that must be
// moved with MoveTorn before anything is written.
//
// With the zero Position it reads all of the ledger, for a rebuild; see TornTail.Guard.
//
// What a crash cannot explain is a *TamperError. An error of fn ends the reading and is returned as it is.
func (l *Log) Tail(pos Position, fn func(e *Event, line []byte, at Position) error) (Position, *TornTail, error) {
	if err := l.Check(pos); err != nil {
		return pos, nil, err
	}
	next := pos // where reading goes on; pos stays behind the last line
	for {
		exists := next.Offset > 0
		if !exists {
			_, err := os.Lstat(l.segments.path(next.Segment))
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return pos, nil, err
			}
			exists = err == nil
		}
		if !exists {
			return pos, nil, l.nothingBehind(pos, pos.Size-1)
		}
		end, torn, err := l.tailSegment(next, fn)
		if end.Size > next.Size {
			pos = end
		}
		if err != nil {
			return pos, nil, err
		}
		if torn != nil {
			torn.At = pos
			l.listed = false
			return pos, torn, l.nothingBehind(pos, torn.first)
		}
		next = pos
		next.Segment, next.Offset = pos.Size, 0
	}
}

// tailSegment reads one segment from at to its end.
func (l *Log) tailSegment(at Position, fn func(*Event, []byte, Position) error) (Position, *TornTail, error) {
	size, err := l.openActive(at)
	if err != nil {
		return at, nil, err
	}
	torn := &TornTail{Segment: l.segments.rel(at.Segment), first: at.Segment}
	if size == at.Offset {
		if at.Offset == 0 {
			return at, torn, nil // made, and nothing written
		}
		return at, nil, nil
	}
	if err := l.active.Datasync(); err != nil {
		return at, nil, err
	}
	if at.Offset == 0 {
		if err := l.active.SyncName(3); err != nil {
			return at, nil, err
		}
	}
	r := bufio.NewReaderSize(io.NewSectionReader(l.active, at.Offset, size-at.Offset), tailBuffer)
	for {
		line, err := r.ReadSlice('\n')
		if err == io.EOF && len(line) == 0 {
			return at, nil, nil
		}
		if err != nil && err != io.EOF && err != bufio.ErrBufferFull {
			return at, nil, err
		}
		var e Event
		line, whole := bytes.CutSuffix(line, []byte{'\n'})
		bad := error(&LineError{"", "without an end"})
		if whole {
			e, bad = ParseLine(line)
		}
		if bad != nil {
			torn.offset, torn.Bytes = at.Offset, size-at.Offset
			if cut, err := isTorn(io.NewSectionReader(l.active, torn.offset, torn.Bytes)); cut || err != nil {
				return at, torn, err
			}
			return at, nil, &TamperError{CodeBadLine, torn.Segment, at.Size, bad.Error()}
		}
		if tampered := follows(&e, at, torn.Segment); tampered != nil {
			return at, nil, tampered
		}
		next := at.Next(line)
		if err := fn(&e, line, next); err != nil {
			return at, nil, err
		}
		at = next
	}
}

// follows checks that e is the line that comes at a position.
func follows(e *Event, at Position, segment string) *TamperError {
	if e.Seq != at.Size {
		return &TamperError{CodeSeqGap, segment, at.Size, fmt.Sprintf("the line says that it is line %d", e.Seq)}
	}
	if e.Prev != at.Prev() {
		return &TamperError{CodeChainBroken, segment, at.Size, "prev is not the hash of the line before"}
	}
	return nil
}

// nothingBehind makes sure that there is no segment behind the one named by first. Folders are read for it only once for
// each handle: afterwards nobody but this handle or another one under the same lock has made segments, and those are
// found by their name.
func (l *Log) nothingBehind(pos Position, first int64) error {
	if l.listed {
		return nil
	}
	later, ok, err := l.segments.above(first)
	if err != nil {
		return err
	}
	if ok {
		return &TamperError{CodeSegmentMissing, l.segments.rel(later), pos.Size,
			fmt.Sprintf("the lines from here to %d are missing", later-1)}
	}
	l.listed = true
	return nil
}
