package ledger

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// cursor reads lines across segments while others are written. Between two reads it stands behind the last whole line.
type cursor struct {
	segments segments
	next     int64    // number of the first line that was not handed out
	file     *os.File // the segment that is being read; nil where it has to be looked for
	first    int64    // number of the segment
	at       int64    // number of the line at offset
	offset   int64
	lines    *bufio.Reader
}

// read calls fn with every line from number next on that can be read by now.
func (c *cursor) read(fn func(*Event, []byte) error) error {
	if c.file == nil {
		first, ok, err := c.segments.floor(c.next)
		if err != nil {
			return err
		}
		if !ok {
			first, ok, err = c.segments.above(-1)
			if err != nil || !ok {
				return err
			}
			if first > 0 {
				return c.missing(0, first)
			}
		}
		if _, err := c.open(first); err != nil {
			return err
		}
	}
	for c.file != nil {
		if err := c.segment(fn); err != nil {
			return err
		}
		if c.at == c.first {
			// A commit to a new segment is going on. Should it fail, the segment goes away: look for it again next time.
			c.close()
			return nil
		}
		found, err := c.open(c.at)
		if err != nil {
			return err
		}
		if found {
			continue
		}
		later, ok, err := c.segments.above(c.first)
		if err != nil || !ok {
			return err
		}
		// The lines in between, and then the later segment, may have been written since this one was read to its end.
		if err := c.segment(fn); err != nil {
			return err
		}
		if c.at != later {
			return c.missing(c.at, later)
		}
	}
	return nil
}

// open goes to the beginning of a segment, if there is one of that name.
func (c *cursor) open(first int64) (found bool, err error) {
	f, err := openSegment(c.segments.path(first))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	c.close()
	c.file, c.first, c.at, c.offset = f, first, first, 0
	return true, nil
}

func (c *cursor) close() {
	if c.file != nil {
		c.file.Close()
		c.file = nil
	}
}

func (c *cursor) missing(from, later int64) error {
	return &TamperError{CodeSegmentMissing, c.segments.rel(later), from,
		fmt.Sprintf("the lines from here to %d are missing", later-1)}
}

// segment reads from where the cursor stands to the last whole line of the segment.
func (c *cursor) segment(fn func(*Event, []byte) error) error {
	rel := c.segments.rel(c.first)
	info, err := c.file.Stat()
	if err != nil {
		return err
	}
	named, err := os.Lstat(c.file.Name())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err != nil || !os.SameFile(info, named) || info.Size() < c.offset {
		return &TamperError{CodeShorter, rel, c.at, "the ledger was cut back while it was read"}
	}
	section := io.NewSectionReader(c.file, c.offset, info.Size()-c.offset)
	if c.lines == nil {
		c.lines = bufio.NewReaderSize(section, tailBuffer)
	} else {
		c.lines.Reset(section)
	}
	for {
		line, err := c.lines.ReadSlice('\n')
		if err == io.EOF {
			return nil
		}
		if err != nil && err != bufio.ErrBufferFull {
			return err
		}
		if c.at < c.next && err == nil {
			c.at++
			c.offset += int64(len(line))
			continue
		}
		e, bad := ParseLine(line[:len(line)-1])
		if bad != nil || err != nil {
			return c.bad(rel, info.Size(), bad)
		}
		if e.Seq != c.at {
			return &TamperError{CodeSeqGap, rel, c.at, fmt.Sprintf("the line says that it is line %d", e.Seq)}
		}
		// The cursor moves first, so that a reader who stopped does not get the line again.
		c.at++
		c.next = c.at
		c.offset += int64(len(line))
		if err := fn(&e, line[:len(line)-1]); err != nil {
			return err
		}
	}
}

// bad tells a tail that the next command will move aside, which for a reader is the end, from a line that is wrong.
func (c *cursor) bad(rel string, size int64, why error) error {
	torn, err := isTorn(io.NewSectionReader(c.file, c.offset, size-c.offset))
	if torn || err != nil {
		return err
	}
	if why == nil {
		why = &LineError{"", "too long"}
	}
	return &TamperError{CodeBadLine, rel, c.at, why.Error()}
}
