package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sheratan/sheratan/hosts/roots"
)

// Protected are names of files and folders that a job leaves as they are in a root that it may change: what they say is
// done by version control, direnv or an editor, with the rights of whoever works there. A rule can open all but the first
// to its program.
var Protected = []string{".git", ".hg", ".svn", ".jj", ".envrc", ".vscode", ".idea"}

// Bounds of a survey. What lies deeper is hidden as a whole; with more entries no job starts, since each costs a mount.
const (
	surveyDepth   = 256
	surveyEntries = 4096
)

// survey is what was found in folders that a job sees and that must not be the job's. Folders are read from one to the
// next by descriptor, and no link is followed: what an earlier job left there names nothing outside of them. It takes some
// 10 µs for a folder and 1 µs for a file.
type survey struct {
	write     bool            // the job may change what is in the folders, so that Protected counts
	open      []string        // names of Protected that its rule gives to it
	workspace string          // is kept too
	past      map[string]bool // folders that are not entered: they are closed to jobs
	buffer    []byte          // of the folder that is read
	seen      *look           // where the folders are noted, nil is nowhere

	kept    []string // repositories and settings
	sockets []string // that somebody listens at, or did
	closed  []string // FIFOs, devices, and what lies too deep: jobs that can open these act on other programs
}

// look adds what is in a folder, or is the file.
func (s *survey) look(path string) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	switch err {
	case nil:
		return s.walk(fd, path, 0, s.write)
	case unix.ENOTDIR:
		if info, err := os.Lstat(path); err == nil {
			s.note(path, info.Mode().Type())
		}
		return nil
	}
	return s.unread(path, err, s.write)
}

// unread says what it means that a folder could not be read.
func (s *survey) unread(path string, err error, write bool) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP):
		return nil // it was there a moment ago
	case errors.Is(err, fs.ErrPermission):
		if write {
			s.kept = append(s.kept, path) // it may be a repository
		}
		return nil
	}
	return fmt.Errorf("%s: looking for what jobs must leave alone: %w", path, err)
}

func (s *survey) note(path string, mode fs.FileMode) {
	if mode&(fs.ModeNamedPipe|fs.ModeDevice) != 0 {
		s.closed = append(s.closed, path)
	}
	if mode&fs.ModeSocket != 0 {
		s.sockets = append(s.sockets, path)
	}
}

// Special returns the Unix sockets in folders, and the FIFOs and devices with what lies too deep to be looked through.
func Special(folders []string) (sockets, closed []string, err error) {
	var s survey
	for _, path := range folders {
		if err := s.look(path); err != nil {
			return nil, nil, err
		}
	}
	return sorted(s.sockets), sorted(s.closed), nil
}

// walk reads an open folder and all below it, and closes it. Below what is kept only write is over: it can still be read.
func (s *survey) walk(fd int, path string, depth int, write bool) error {
	defer unix.Close(fd)
	if s.buffer == nil {
		s.buffer = make([]byte, 32<<10)
	}
	if s.seen != nil { // before it is read: what changes after that is newer
		s.seen.note(path, fd, "")
	}
	var entries []entry // that can matter, which few do
	err := eachEntry(fd, s.buffer, func(name []byte, mode fs.FileMode) {
		if mode.IsRegular() || mode == fs.ModeSymlink {
			if !write || !s.special(name) {
				return
			}
		}
		entries = append(entries, entry{string(name), mode})
	})
	if err != nil {
		return s.unread(path, err, write)
	}
	bare := write && isBare(entries)
	if bare && depth > 0 {
		s.kept = append(s.kept, path)
		write, bare = false, false
	}
	for _, e := range entries {
		inner := path + "/" + e.name
		keep := write && (s.protects(e.name, bare) || inner == s.workspace)
		if keep {
			s.kept = append(s.kept, inner)
		}
		if !e.mode.IsDir() {
			s.note(inner, e.mode)
			continue
		}
		if s.past[inner] {
			continue
		}
		if depth == surveyDepth {
			s.closed = append(s.closed, inner)
			continue
		}
		next, err := unix.Openat(fd, e.name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err == nil {
			err = s.walk(next, inner, depth+1, write && !keep)
		} else {
			if s.seen != nil {
				s.seen.note(inner, fd, e.name)
			}
			err = s.unread(inner, err, write)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// special reports whether a name may be one that is kept, whatever it is of.
func (s *survey) special(name []byte) bool {
	is := func(other string) bool { return strings.EqualFold(string(name), other) }
	return roots.IsGit(string(name)) || slices.ContainsFunc(Protected, is) || slices.ContainsFunc(bareParts, is) || s.workspace != "" && is(filepath.Base(s.workspace))
}

// bareParts are what a repository without a work tree has; a root that is one keeps these and not itself, or one job could
// close the root to all others.
var bareParts = []string{"HEAD", "branches", "commondir", "config", "config.worktree", "hooks", "info", "modules", "objects",
	"packed-refs", "refs", "worktrees"}

func (s *survey) protects(name string, bare bool) bool {
	in := func(list []string) bool {
		return slices.ContainsFunc(list, func(other string) bool { return strings.EqualFold(name, other) })
	}
	return bare && slices.Contains(bareParts, name) || (roots.IsGit(name) || in(Protected)) && !in(s.open)
}

// isBare reports whether a folder is a repository without a work tree.
func isBare(entries []entry) bool {
	found := 0
	for _, e := range entries {
		if e.name == "HEAD" || e.name == "objects" || e.name == "refs" {
			found++
		}
	}
	return found == 3
}

// bounded refuses what is too much to be kept or hidden one by one, and names where most of it is.
func (s *survey) bounded() error {
	all := append(slices.Clone(s.kept), s.closed...)
	if len(all) <= surveyEntries {
		return nil
	}
	count, most := map[string]int{}, ""
	for _, path := range all {
		dir := filepath.Dir(filepath.Dir(path))
		if count[dir]++; most == "" || count[dir] > count[most] {
			most = dir
		}
	}
	return fmt.Errorf("%s: more than %d repositories, settings, FIFOs and devices in the folders that the job sees, most of them in there: "+
		"move them out of the roots, or name smaller roots", most, surveyEntries)
}

// inside reports whether path is dir or lies in it; both are absolute. It is asked some hundred times for a job, and
// filepath.Rel takes ten times as long.
func inside(path, dir string) bool {
	path, dir = filepath.Clean(path), filepath.Clean(dir)
	rest, ok := strings.CutPrefix(path, dir)
	return ok && (rest == "" || rest[0] == '/' || dir == "/")
}
