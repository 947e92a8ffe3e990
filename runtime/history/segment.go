package history

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	ledgerDir      = "outbox/ledger"
	documentsDir   = "outbox/documents"
	checkpointPath = "outbox/checkpoint"

	maxCheckpoint = 1 << 20 // bytes; a checkpoint is a few hundred
	noSegment     = -1
)

// SegmentError says that a file is not what the history or the caller says it must be. Nothing was committed.
type SegmentError struct {
	Path    string // below runtime/
	Message string
}

func (e *SegmentError) Error() string { return e.Path + ": " + e.Message }

// segmentPath is where the segment lies whose first line has number first.
func segmentPath(dir string, first int64) string {
	return fmt.Sprintf("%s/%03d/%03d/%09d.jsonl", dir, first/1e6, first/1e3%1e3, first)
}

// parseSegment is the inverse of segmentPath.
func parseSegment(path string) (dir string, first int64, ok bool) {
	for _, dir := range []string{ledgerDir, documentsDir} {
		rest, ok := strings.CutPrefix(path, dir+"/")
		if !ok || len(rest) < len("000/000/000000000.jsonl") {
			continue
		}
		first, err := strconv.ParseInt(strings.TrimSuffix(rest[len("000/000/"):], ".jsonl"), 10, 64)
		if err == nil && first >= 0 && segmentPath(dir, first) == path {
			return dir, first, true
		}
	}
	return "", 0, false
}

// listSegments returns the first line numbers of the segments in dir from the one that begins at from on, in order. Only
// folders that can hold one of these are read. What is not a segment by name and type is passed over.
func listSegments(root, dir string, from int64) ([]int64, error) {
	var found []int64
	upper, err := numbers(filepath.Join(root, dir), "", from/1e6)
	if err != nil {
		return nil, err
	}
	for _, u := range upper {
		middle, err := numbers(filepath.Join(root, dir, fmt.Sprintf("%03d", u)), "", max(0, from/1e3-u*1e3))
		if err != nil {
			return nil, err
		}
		for _, m := range middle {
			folder := filepath.Join(root, dir, fmt.Sprintf("%03d", u), fmt.Sprintf("%03d", m))
			firsts, err := numbers(folder, ".jsonl", from)
			if err != nil {
				return nil, err
			}
			for _, n := range firsts {
				if n/1e3 == u*1e3+m {
					found = append(found, n)
				}
			}
		}
	}
	return found, nil
}

// numbers returns the entries of a folder that are numbers with the suffix (folders where it is empty), at least least,
// in order. A folder that does not exist has none.
func numbers(folder, suffix string, least int64) ([]int64, error) {
	f, err := os.Open(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entries, err := f.ReadDir(-1)
	if err != nil {
		return nil, err
	}
	var found []int64
	for _, e := range entries {
		digits, ok := strings.CutSuffix(e.Name(), suffix)
		width, kind := 9, fs.FileMode(0)
		if suffix == "" {
			width, kind = 3, fs.ModeDir
		}
		if !ok || len(digits) != width || e.Type() != kind {
			continue
		}
		if n, err := strconv.ParseUint(digits, 10, 63); err == nil && int64(n) >= least {
			found = append(found, int64(n))
		}
	}
	slices.Sort(found)
	return found, nil
}

// read returns the first limit bytes of a file below runtime/, all of it where limit is negative.
func (r *Repository) read(path string, limit int64) ([]byte, error) {
	// O_NONBLOCK: a FIFO put in place of a segment must not hang a commit.
	f, err := os.OpenFile(filepath.Join(r.dir, path), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, unix.ELOOP) {
		return nil, &SegmentError{path, "not a regular file"}
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &SegmentError{path, "not a regular file"}
	}
	if limit < 0 {
		limit = info.Size()
	}
	if info.Size() < limit {
		return nil, &SegmentError{path, fmt.Sprintf("has %d bytes, %d are committed", info.Size(), limit)}
	}
	b := make([]byte, limit)
	if _, err := io.ReadFull(f, b); err != nil {
		return nil, fmt.Errorf("read %s: %w", f.Name(), err)
	}
	return b, nil
}

// readClosed returns a segment that will not grow any more: whole lines only.
func (r *Repository) readClosed(path string) ([]byte, error) {
	b, err := r.read(path, -1)
	if err == nil && (len(b) == 0 || b[len(b)-1] != '\n') {
		err = &SegmentError{path, "ends in an unfinished line, and a later segment exists"}
	}
	return b, err
}

// wholeLines cuts off an unfinished last line, which a writer may be in the middle of.
func wholeLines(b []byte) []byte { return b[:bytes.LastIndexByte(b, '\n')+1] }

func countLines(b []byte) int64 { return int64(bytes.Count(b, []byte{'\n'})) }

// firstLines returns the first n lines of b, or nil where it has fewer.
func firstLines(b []byte, n int64) []byte {
	end := 0
	for ; n > 0; n-- {
		i := bytes.IndexByte(b[end:], '\n')
		if i < 0 {
			return nil
		}
		end += i + 1
	}
	return b[:end]
}
