package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"

	"github.com/sheratan/sheratan/runtime/durable"
)

// openActive opens the segment in which pos lies, where it is not open, and returns its length. The path must still be
// the file that is open: bytes that go to a file without a name are lost.
func (l *Log) openActive(pos Position) (size int64, err error) {
	path := l.segments.path(pos.Segment)
	stat, err := durable.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, &TamperError{CodeSegmentMissing, l.segments.rel(pos.Segment), pos.Segment, "the segment is not there"}
	}
	if err != nil {
		return 0, err
	}
	if l.active != nil && l.activeFirst == pos.Segment {
		if l.activeInode != stat.Inode {
			return 0, &TamperError{CodeSegmentReplaced, l.segments.rel(pos.Segment), pos.Segment,
				"another file has taken the place of the segment"}
		}
		return stat.Size, nil
	}
	if !stat.Regular {
		return 0, &TamperError{CodeSegmentReplaced, l.segments.rel(pos.Segment), pos.Segment, "not a regular file"}
	}
	f, err := durable.OpenAppend(path, l.faults)
	if err != nil {
		return 0, err
	}
	if stat, err = f.Stat(); err != nil {
		return 0, errors.Join(err, f.Close())
	}
	if err := l.Close(); err != nil {
		return 0, errors.Join(err, f.Close())
	}
	l.active, l.activeFirst, l.activeInode = f, pos.Segment, stat.Inode
	return stat.Size, nil
}

func (l *Log) differentSize(pos Position, size int64) *TamperError {
	e := &TamperError{CodeLonger, l.segments.rel(pos.Segment), pos.Size,
		fmt.Sprintf("%d bytes where %d are known", size, pos.Offset)}
	if size < pos.Offset {
		e.Code = CodeShorter
		e.Seq--
	}
	return e
}

// Check makes sure that the ledger has everything before pos at its end: the segment is there, it is long enough, and the
// last line before pos is the one that pos remembers. What is wrong is reported as a *TamperError. It costs the same
// however long the ledger is; Verify reads all of it.
func (l *Log) Check(pos Position) error {
	if pos.Size == 0 {
		return nil
	}
	size, err := l.openActive(pos)
	if err != nil {
		return err
	}
	if size < pos.Offset {
		return l.differentSize(pos, size)
	}
	line, err := l.lineBefore(pos)
	if err != nil {
		return err
	}
	if line == nil || LeafHash(line) != pos.Leaf {
		return &TamperError{CodeLastLineDiffers, l.segments.rel(pos.Segment), pos.Size - 1,
			"the line is not the one that was written"}
	}
	return nil
}

// lineBefore returns the line that ends at pos in the active segment, without its newline; nil where there is none.
func (l *Log) lineBefore(pos Position) ([]byte, error) {
	for want := int64(4096); ; want = MaxLine + 2 {
		n := min(want, pos.Offset)
		if int64(cap(l.buf)) < n {
			l.buf = make([]byte, n)
		}
		buf := l.buf[:n]
		if _, err := l.active.ReadAt(buf, pos.Offset-n); err != nil {
			return nil, err
		}
		line, ok := bytes.CutSuffix(buf, []byte{'\n'})
		if !ok {
			return nil, nil
		}
		if i := bytes.LastIndexByte(line, '\n'); i >= 0 {
			return line[i+1:], nil
		}
		if n == pos.Offset {
			return line, nil
		}
		if n > MaxLine {
			return nil, nil
		}
	}
}
