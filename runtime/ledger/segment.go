package ledger

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// SegmentBytes is the length from which on a segment gets no further batch.
const SegmentBytes = 64 << 10

// Where the two kinds of segments lie, relative to runtime/.
const (
	LedgerDir    = "outbox/ledger"
	DocumentsDir = "outbox/documents"
)

// SegmentPath returns the path of the segment whose first line has the number first, relative to its folder: 4000 is
// 000/004/000004000.jsonl, folders for millions and thousands. It fails beyond nine digits.
func SegmentPath(first int64) (string, error) {
	if first < 0 || first > maxSeq {
		return "", fmt.Errorf("segment %d: only numbers from 0 to %d have a name; start a new workspace", first, int64(maxSeq))
	}
	var digits [9]byte
	for i, n := len(digits)-1, first; i >= 0; i, n = i-1, n/10 {
		digits[i] = byte('0' + n%10)
	}
	return string(digits[:3]) + "/" + string(digits[3:6]) + "/" + string(digits[:]) + ".jsonl", nil
}

// parseSegmentPath reads what SegmentPath returns, and nothing else.
func parseSegmentPath(p string) (first int64, ok bool) {
	name, ok := strings.CutSuffix(path.Base(p), ".jsonl")
	if !ok {
		return 0, false
	}
	first, err := strconv.ParseInt(name, 10, 64)
	if err != nil {
		return 0, false
	}
	again, err := SegmentPath(first)
	return first, err == nil && again == p
}

// segments is a folder of segments.
type segments struct {
	dir  string // outbox/ledger or outbox/documents as an absolute path
	name string // the same relative to runtime/
}

// path returns the path of a segment that has a name.
func (s segments) path(first int64) string {
	p, _ := SegmentPath(first)
	return filepath.Join(s.dir, p)
}

// rel returns the path of a segment relative to runtime/.
func (s segments) rel(first int64) string {
	p, _ := SegmentPath(first)
	return s.name + "/" + p
}

// floor returns the last segment that begins at n or before; ok is false where there is none.
func (s segments) floor(n int64) (first int64, ok bool, err error) {
	return s.find(func(m int64) bool { return m <= n }, true)
}

// above returns the first segment that begins behind n; ok is false where there is none.
func (s segments) above(n int64) (first int64, ok bool, err error) {
	return s.find(func(m int64) bool { return m > n }, false)
}

// find returns the first segment, or the last one, that is wanted. Folders may be empty: a crash can leave one. Of the
// folders only those are read that lie on the way.
func (s segments) find(want func(int64) bool, last bool) (first int64, ok bool, err error) {
	var search func(dir string, level int) (bool, error)
	search = func(dir string, level int) (bool, error) {
		entries, err := readDir(filepath.Join(s.dir, filepath.FromSlash(dir)))
		if err != nil {
			return false, err
		}
		if last {
			slices.Reverse(entries)
		}
		for _, e := range entries {
			p := path.Join(dir, e.Name())
			if level == 2 {
				if n, ok := parseSegmentPath(p); ok && want(n) {
					first = n
					return true, nil
				}
				continue
			}
			low, high, ok := folderRange(p, level)
			// A folder has a wanted segment only if one of its ends is wanted, because want is monotonic.
			if !ok || !e.IsDir() || !want(low) && !want(high) {
				continue
			}
			if found, err := search(p, level+1); found || err != nil {
				return found, err
			}
		}
		return false, nil
	}
	ok, err = search("", 0)
	return first, ok, err
}

// walk calls segment for each segment and other for each path, relative to the folder, that is neither a segment nor a
// folder of segments.
func (s segments) walk(segment func(first int64) error, other func(path string) error) error {
	var visit func(dir string, level int) error
	visit = func(dir string, level int) error {
		entries, err := readDir(filepath.Join(s.dir, filepath.FromSlash(dir)))
		if err != nil {
			return err
		}
		for _, e := range entries {
			p := path.Join(dir, e.Name())
			if level < 2 {
				if _, _, ok := folderRange(p, level); ok && e.IsDir() {
					err = visit(p, level+1)
				} else {
					err = other(p)
				}
			} else if n, ok := parseSegmentPath(p); ok && e.Type().IsRegular() {
				err = segment(n)
			} else {
				err = other(p)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	return visit("", 0)
}

// folderRange returns the first and last number that a segment in folder p may begin with.
func folderRange(p string, level int) (low, high int64, ok bool) {
	var million, thousand int64
	var err error
	parts := strings.Split(p, "/")
	if million, err = strconv.ParseInt(parts[0], 10, 64); err != nil {
		return 0, 0, false
	}
	if level == 0 {
		return million * 1e6, million*1e6 + 999_999, million >= 0 && p == fmt.Sprintf("%03d", million)
	}
	if thousand, err = strconv.ParseInt(parts[1], 10, 64); err != nil {
		return 0, 0, false
	}
	low = million*1e6 + thousand*1e3
	return low, low + 999, thousand >= 0 && p == fmt.Sprintf("%03d/%03d", million, thousand)
}

// readDir is os.ReadDir for a folder that may be missing.
func readDir(dir string) ([]os.DirEntry, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return entries, err
}
