package ledger

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Size counts the lines, without a lock: those of the last segment, which is named by how many come before.
func (l *Log) Size() (int64, error) {
	first, ok, err := l.segments.floor(maxSeq)
	if err != nil || !ok {
		return 0, err
	}
	n, _, err := countLines(l.segments.path(first))
	return first + n, err
}

// Written is when the last segment was written to, the zero time where there is none.
func (l *Log) Written() (time.Time, error) {
	first, ok, err := l.segments.floor(maxSeq)
	if err != nil || !ok {
		return time.Time{}, err
	}
	info, err := os.Lstat(l.segments.path(first))
	if err != nil {
		return time.Time{}, err
	}
	return info.ModTime(), nil
}

// countLines returns how many lines a segment has and where the last one ends; what lacks a newline is not a line.
func countLines(path string) (lines, end int64, err error) {
	f, err := openSegment(path)
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	buf := make([]byte, tailBuffer)
	for offset := int64(0); ; {
		n, err := f.Read(buf)
		lines += int64(bytes.Count(buf[:n], []byte{'\n'}))
		if i := bytes.LastIndexByte(buf[:n], '\n'); i >= 0 {
			end = offset + int64(i) + 1
		}
		offset += int64(n)
		if err == io.EOF {
			return lines, end, nil
		}
		if err != nil {
			return 0, 0, err
		}
	}
}

// openSegment opens a segment for reading. A link or a FIFO in its place is an error, and does not block.
func openSegment(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: path, Err: errors.New("not a regular file")}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
