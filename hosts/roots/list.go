package roots

import (
	"errors"
	"io"
	"slices"

	"golang.org/x/sys/unix"
)

// maxDepth bounds the directories that a recursive listing keeps open at once.
const maxDepth = 64

// List returns the names in the directory path, sorted by byte, relative to it and with a slash after directories.
// With recursive, those of its subdirectories as well; links are named and not followed. What may not be opened, like
// .git, is left out. At most limit names are returned, and more reports that there are others (or that directories are
// nested deeper than 64). The error is a *PathError.
func (r *Roots) List(path string, recursive bool, limit int) (names []string, more bool, err error) {
	var w walk
	defer w.close()
	at, fail := r.enterDir(&w, path)
	if fail == nil {
		l := lister{r: r, recursive: recursive, limit: limit}
		if fail = l.list(at.dir, "", 0); fail == nil {
			slices.Sort(l.names)
			return l.names, l.more, nil
		}
	}
	fail.Path = path
	return nil, false, fail
}

type lister struct {
	r         *Roots
	recursive bool
	limit     int
	names     []string
	more      bool
}

func (l *lister) list(dir step, prefix string, depth int) *PathError {
	names, more, err := readDir(dir.fd, l.limit-len(l.names))
	if err != nil {
		return sysFault("list", dir.path, err)
	}
	l.more = l.more || more
	for _, name := range names {
		if len(l.names) >= l.limit {
			l.more = true
			return nil
		}
		if err := l.entry(dir, prefix, name, depth); err != nil {
			return err
		}
	}
	return nil
}

func (l *lister) entry(dir step, prefix, name string, depth int) *PathError {
	if err := checkName(name); err != nil && err.Code == ForbiddenPath {
		return nil
	}
	in, err := statAt(dir.fd, name)
	if err != nil {
		return nil // gone meanwhile, or hidden: either way there is nothing to show
	}
	if in.kind() != unix.S_IFDIR {
		l.names = append(l.names, prefix+name)
		return nil
	}
	w := walk{r: l.r, steps: []step{{fd: dir.fd, path: dir.path, mount: dir.mount}}}
	defer w.close()
	at, fail := w.to([]string{name}, false, true)
	switch {
	case fail != nil && fail.Code == ForbiddenPath:
		return nil
	case fail != nil && fail.Code == Denied:
		l.names = append(l.names, prefix+name+"/") // it is there, but what it holds cannot be shown
		return nil
	case fail != nil:
		return fail
	case !at.found || at.kind() != unix.S_IFDIR:
		return nil // gone or replaced meanwhile
	}
	l.names = append(l.names, prefix+name+"/")
	if !l.recursive {
		return nil
	}
	if depth >= maxDepth {
		l.more = true
		return nil
	}
	fail = l.list(at.dir, prefix+name+"/", depth+1)
	if fail != nil && fail.Code == Denied {
		return nil
	}
	return fail
}

// readDir reads the names in a directory, sorted. It stops reading a little beyond limit, so that a directory with
// millions of entries costs no more than one with thousands.
func readDir(dirfd, limit int) (names []string, more bool, err error) {
	fd, err := openAt(dirfd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, false, err
	}
	f := file(fd, ".")
	defer f.Close()
	names, err = f.Readdirnames(limit + 64)
	if err == nil && len(names) == limit+64 {
		_, err = f.Readdirnames(1)
		more = err == nil
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, false, err
	}
	slices.Sort(names)
	return names, more, nil
}
