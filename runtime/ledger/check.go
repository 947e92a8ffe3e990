package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

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
	return l.sameLine(l.active, pos, &l.buf)
}

// segmentWith opens the segment in which pos lies for reading, and makes sure that it has the line before pos as pos remembers it.
// What is wrong is reported as a *TamperError.
func (l *Log) segmentWith(pos Position) (*os.File, error) {
	rel := l.segments.rel(pos.Segment)
	f, err := openSegment(l.segments.path(pos.Segment))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &TamperError{CodeSegmentMissing, rel, pos.Segment, "the segment is not there"}
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.Size() < pos.Offset {
		err = l.differentSize(pos, info.Size())
	}
	if err == nil {
		err = l.sameLine(f, pos, new([]byte))
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// sameLine makes sure that the line that ends at pos in a segment is the one that pos remembers.
func (l *Log) sameLine(segment io.ReaderAt, pos Position, scratch *[]byte) error {
	line, err := lineBefore(segment, pos, scratch)
	if err != nil {
		return err
	}
	if line == nil || LeafHash(line) != pos.Leaf {
		return &TamperError{CodeLastLineDiffers, l.segments.rel(pos.Segment), pos.Size - 1,
			"the line is not the one that was written"}
	}
	return nil
}

// lineBefore returns the line that ends at pos in a segment, without its newline; nil where there is none.
func lineBefore(segment io.ReaderAt, pos Position, scratch *[]byte) ([]byte, error) {
	for want := int64(4096); ; want = MaxLine + 2 {
		n := min(want, pos.Offset)
		if int64(cap(*scratch)) < n {
			*scratch = make([]byte, n)
		}
		buf := (*scratch)[:n]
		if _, err := segment.ReadAt(buf, pos.Offset-n); err != nil {
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
