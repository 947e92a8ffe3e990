package roots

import (
	"strings"

	"golang.org/x/sys/unix"
)

// maxLinks bounds the symbolic links of one walk, as the kernel does.
const maxLinks = 40

// walk is one way through a root. It keeps every directory that it went through open, so that the ".." of a link's
// target is a step back on the way it came, whatever was renamed meanwhile, and can never lead above the root.
type walk struct {
	r     *Roots
	steps []step
	links int
	plain bool     // no symbolic link is followed, wherever it leads
	array [12]step // for steps, so that ordinary walks allocate nothing
}

type step struct {
	fd    int
	owned bool // by the walk; the directory of the root is not
	path  string
	mount uint64
}

// target is where a walk ended: the directory that holds it, its name there, and what is known of it.
type target struct {
	dir     step
	name    string   // "" is the root itself
	path    string   // absolute
	found   bool     // with info
	missing []string // components that do not exist, the last of them is name; nil where at most name is missing
	info
}

func (w *walk) close() {
	for _, s := range w.steps {
		if s.owned {
			unix.Close(s.fd)
		}
	}
	w.steps = nil
}

func (w *walk) top() step { return w.steps[len(w.steps)-1] }

// begin starts over in a root.
func (w *walk) begin(root *root) *PathError {
	w.close()
	w.steps = w.array[:0]
	h, err := w.r.enter(root)
	if err != nil {
		return err
	}
	w.steps = append(w.steps, step{fd: h.fd, path: root.path, mount: h.mount})
	return nil
}

// start begins a walk along path. names are what is left to go; dir says that path can only be a directory.
func (r *Roots) start(w *walk, path string) (names []string, dir bool, err *PathError) {
	names, abs, dir, err := split(path)
	if err != nil {
		return nil, false, err
	}
	w.r = r
	root := r.roots[0]
	if abs {
		if root, names, err = r.locate(path, names); err != nil {
			return nil, false, err
		}
	}
	return names, dir, w.begin(root)
}

// to walks along names. It ends at an object that is no directory, or at a directory that is entered only with enter,
// or where a name is missing. With follow, a link at the end is followed as well.
func (w *walk) to(names []string, follow, enter bool) (target, *PathError) {
	for len(names) > 0 {
		name, rest := names[0], names[1:]
		last := len(rest) == 0
		if name == ".." {
			if len(w.steps) == 1 {
				return target{}, fault(OutsideRoots, "a symbolic link leads out of the root")
			}
			if s := w.top(); s.owned {
				unix.Close(s.fd)
			}
			w.steps = w.steps[:len(w.steps)-1]
			names = rest
			continue
		}
		dir := w.top()
		at := target{dir: dir, name: name, path: join(dir.path, name)}
		if err := w.r.named(at.path); err != nil {
			return target{}, err
		}
		fd := -1
		var in info
		var err error
		if last && !enter {
			in, err = statAt(dir.fd, name)
		} else {
			fd, in, err = lookup(dir.fd, name)
		}
		if err == unix.ENOENT {
			if !last {
				at.missing = names
				// All of the folders on the way are beginnings of one text: to put each together would cost the square of the length.
				path := join(dir.path, strings.Join(names, "/"))
				end := len(at.path) - len(name) - 1
				for _, name := range names {
					end += 1 + len(name)
					if err := w.r.named(path[:end]); err != nil {
						return target{}, err
					}
				}
			}
			return at, nil
		}
		if err != nil {
			return target{}, sysFault("look up", name, err)
		}
		at.info, at.found = in, true
		next, pathErr := w.step(&at, fd, rest, follow)
		if pathErr != nil {
			return target{}, pathErr
		}
		if next == nil {
			return at, nil
		}
		names = next
		if len(names) == 0 && in.kind() == unix.S_IFDIR {
			return target{dir: w.top(), path: at.path, found: true, info: in}, nil
		}
	}
	// The root itself, or a directory that a link with ".." at its end came back to.
	dir := w.top()
	in, err := statAt(dir.fd, "")
	if err != nil {
		return target{}, sysFault("look up", dir.path, err)
	}
	return target{dir: dir, path: dir.path, found: true, info: in}, nil
}

// rulesOfWorkspace is the end of a path that makes the folder above a workspace, for whoever works in there.
const rulesOfWorkspace = "/config/sheratan.json"

// named reports whether path is that of a forbidden folder, or of what would be the rules of another workspace. Equality
// is enough: a walk passes every directory on the way.
func (r *Roots) named(path string) *PathError {
	if at := len(path) - len(rulesOfWorkspace); at >= 0 && strings.EqualFold(path[at:], rulesOfWorkspace) {
		return fault(ForbiddenPath, "%s holds the rules of a workspace", path)
	}
	for i := range r.forbidden {
		if f := r.forbidden[i].path; len(f) == len(path) && strings.EqualFold(f, path) {
			return fault(ForbiddenPath, "%s is closed to jobs", f)
		}
	}
	return nil
}

// step decides about an object that was found, and takes over its descriptor. It returns the names that are left to go,
// or nil where the walk ends here.
func (w *walk) step(at *target, fd int, rest []string, follow bool) ([]string, *PathError) {
	keep := false
	defer func() {
		if fd >= 0 && !keep {
			unix.Close(fd)
		}
	}()
	if what, bad := w.r.closed(at.info); bad {
		return nil, fault(ForbiddenPath, "%q is %s", at.name, what)
	}
	if at.mount != at.dir.mount {
		if what, bad := w.r.exposes(at.info, at.path); bad {
			return nil, fault(ForbiddenPath, "%q is a mount of %s", at.name, what)
		}
	}
	switch {
	case at.kind() == unix.S_IFLNK:
		if len(rest) == 0 && !follow {
			return nil, nil
		}
		if w.plain {
			return nil, fault(Symlink, "%q is a symbolic link", at.name)
		}
		return w.follow(at, rest)
	case at.kind() != unix.S_IFDIR:
		if len(rest) > 0 {
			return nil, fault(NotADirectory, "%q is not a directory", at.name)
		}
		return nil, nil
	case fd < 0:
		return nil, nil // the last one, and the caller does not want to enter it
	}
	keep = true
	w.steps = append(w.steps, step{fd: fd, owned: true, path: at.path, mount: at.mount})
	return rest, nil
}

// follow reads a symbolic link and returns what is to be walked instead of it.
func (w *walk) follow(at *target, rest []string) ([]string, *PathError) {
	if w.links++; w.links > maxLinks {
		return nil, fault(SymlinkLoop, "more than %d symbolic links on the way", maxLinks)
	}
	buf := make([]byte, maxPath+1)
	n, err := unix.Readlinkat(at.dir.fd, at.name, buf)
	if err == unix.EINVAL {
		return nil, fault(Changed, "%q was replaced meanwhile", at.name)
	}
	if err != nil {
		return nil, sysFault("read the link", at.name, err)
	}
	link := string(buf[:n])
	names, pathErr := splitLink(link)
	if pathErr != nil {
		return nil, fault(pathErr.Code, "the symbolic link %q leads to %q: %s", at.name, link, pathErr.Message)
	}
	if strings.HasPrefix(link, "/") {
		var root *root
		for _, name := range names {
			if name == ".." {
				return nil, fault(Traversal, "the symbolic link %q leads to %q, which contains \"..\"", at.name, link)
			}
		}
		if root, names, pathErr = w.r.locate(link, names); pathErr != nil {
			return nil, fault(pathErr.Code, "the symbolic link %q leads to %q, which %s", at.name, link, pathErr.Message)
		}
		if pathErr = w.begin(root); pathErr != nil {
			return nil, pathErr
		}
	}
	return append(append(make([]string, 0, len(names)+len(rest)), names...), rest...), nil
}

func join(dir, name string) string {
	if dir == "/" {
		return "/" + name
	}
	return dir + "/" + name
}

// Check reports whether path may be used, as a *PathError, for the gates: its spelling, and as far as it exists the
// objects on the way and at the end. Whether it exists is not its concern; a path of which only the beginning exists is
// fine. A link at the end is followed.
func (r *Roots) Check(path string) error {
	var w walk
	defer w.close()
	names, dir, err := r.start(&w, path)
	if err == nil {
		var at target
		if at, err = w.to(names, true, false); err == nil && at.found {
			err = usable(at, dir)
		}
	}
	if err != nil {
		err.Path = path
		return err
	}
	return nil
}

// usable reports what forbids to use the object at the end of a path, whatever for.
func usable(at target, dir bool) *PathError {
	switch at.kind() {
	case unix.S_IFDIR:
		return nil
	case unix.S_IFREG:
		if dir {
			return fault(NotADirectory, "%q is not a directory", at.name)
		}
		if at.nlink > 1 {
			return fault(HardLink, "%q has %d names (hard links), and one of them may lie outside", at.name, at.nlink)
		}
		return nil
	case unix.S_IFLNK:
		return fault(Symlink, "%q is a symbolic link", at.name)
	}
	return fault(SpecialFile, "%q is a FIFO, socket or device", at.name)
}
