// Package roots confines paths to the folders in which jobs may work. The gates ask it whether a path may be used, and
// the executor opens files through it, so that both decide by the same rules.
//
// A path is walked one component at a time, each opened relative to the directory before, never following a symbolic
// link by itself. What was checked is therefore what is used: renaming something between the two changes nothing. Every
// directory on the way and the object at the end are compared with the forbidden ones by device and inode, because
// spelling proves nothing: names differ in case and Unicode form, and a bind mount or a rename gives a directory another
// one. Where a name must do, because the directory does not exist yet, it is compared regardless of case.
//
//   - Symbolic links are followed where their target stays in a root, at most 40 of them, but a file is never written
//     through one.
//   - Files are regular and have one name. A second one could be a hard link to something outside, and nobody can tell.
//   - ".." is refused everywhere but in the target of a link.
//   - config, runtime, missions and everything that some file system could take for .git is unreachable, for reading too.
//   - Pseudo file systems (proc, sys) that are mounted in a root are unreachable: their files are not what they seem.
package roots

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Roots is a set of folders in which jobs may work. It is safe for concurrent use.
type Roots struct {
	spec      Spec
	roots     []*root
	forbidden []forbidden
	gitDirs   map[ident]bool // the .git of the roots and the workspace, see findGit

	mu   sync.Mutex
	dead []int // descriptors of roots that were replaced; somebody may still be walking through them
}

// Spec is what Open was called with, for handing it to another process. All paths are absolute.
type Spec struct {
	Workspace string   `json:"workspace"`
	Roots     []string `json:"roots"`
	Forbidden []string `json:"forbidden"`
}

// ident is what makes two names the same object.
type ident struct{ dev, ino uint64 }

// info is what the walk has to know about an object.
type info struct {
	ident
	mode  uint32
	nlink uint64
	size  int64
	mount uint64 // number of the mount, 0 where the system has none
}

func (in info) kind() uint32 { return in.mode & unix.S_IFMT }

type root struct {
	path    string // resolved
	spelled string // as configured, made absolute
	handle  atomic.Pointer[handle]
}

// handle is an open directory.
type handle struct {
	fd int
	info
}

type forbidden struct {
	path   string // resolved
	exists bool
	info
}

// Open prepares the roots. Relative ones are relative to workspace, and so are the forbidden folders, which need not
// exist. A root that is missing, is no directory, or lies in a forbidden folder is an error.
func Open(workspace string, rootPaths, forbiddenPaths []string) (*Roots, error) {
	workspace, err := filepath.Abs(workspace)
	if err != nil {
		return nil, err
	}
	if len(rootPaths) == 0 {
		return nil, errors.New("no roots are configured")
	}
	r := &Roots{spec: Spec{Workspace: workspace}, gitDirs: map[ident]bool{}}
	for _, p := range forbiddenPaths {
		p = absolute(workspace, p)
		r.spec.Forbidden = append(r.spec.Forbidden, p)
		r.forbid(p)
	}
	r.findGit(workspace)
	for _, p := range rootPaths {
		p = absolute(workspace, p)
		r.spec.Roots = append(r.spec.Roots, p)
		if err := r.add(p); err != nil {
			r.Close()
			return nil, err
		}
	}
	return r, nil
}

// OpenSpec opens what another process described with Spec.
func OpenSpec(s Spec) (*Roots, error) { return Open(s.Workspace, s.Roots, s.Forbidden) }

// Spec returns what the roots were opened with.
func (r *Roots) Spec() Spec { return r.spec }

// Close releases the roots. Paths must not be used any more.
func (r *Roots) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, root := range r.roots {
		if h := root.handle.Swap(nil); h != nil {
			unix.Close(h.fd)
		}
	}
	for _, fd := range r.dead {
		unix.Close(fd)
	}
	r.dead = nil
	return nil
}

// Paths returns the resolved absolute paths of the roots. The first one is what relative paths are relative to.
func (r *Roots) Paths() []string {
	paths := make([]string, len(r.roots))
	for i, root := range r.roots {
		paths[i] = root.path
	}
	return paths
}

func absolute(workspace, path string) string {
	if !filepath.IsAbs(path) {
		path = filepath.Join(workspace, path)
	}
	return filepath.Clean(path)
}

// resolve follows the symbolic links of path as far as it exists.
func resolve(path string) (resolved string, exists bool) {
	if p, err := filepath.EvalSymlinks(path); err == nil {
		return p, true
	}
	parent, name := filepath.Split(path)
	if parent = filepath.Clean(parent); parent == path {
		return path, false
	}
	p, _ := resolve(parent)
	return filepath.Join(p, name), false
}

// forbid makes path unreachable, under the name given and where it leads.
func (r *Roots) forbid(path string) {
	resolved, exists := resolve(path)
	f := forbidden{path: resolved, exists: exists}
	if exists {
		in, err := statAt(unix.AT_FDCWD, resolved)
		f.info, f.exists = in, err == nil
	}
	r.forbidden = append(r.forbidden, f)
	if resolved != path {
		r.forbidden = append(r.forbidden, forbidden{path: path})
	}
}

// findGit remembers the .git of dir, so that it is recognised under another name (a bind mount).
func (r *Roots) findGit(dir string) {
	if in, err := statAt(unix.AT_FDCWD, filepath.Join(dir, ".git")); err == nil {
		r.gitDirs[in.ident] = true
	}
}

func (r *Roots) add(path string) error {
	resolved, err := filepath.EvalSymlinks(path)
	if err != nil {
		return fmt.Errorf("root %s: %w", path, err)
	}
	for _, p := range []string{path, resolved} {
		if err := r.refuseRoot(p); err != nil {
			return fmt.Errorf("root %s: %w", path, err)
		}
	}
	root := &root{path: resolved, spelled: path}
	h, err := r.openRoot(root)
	if err != nil {
		return fmt.Errorf("root %s: %w", path, err)
	}
	root.handle.Store(h)
	r.findGit(resolved)
	r.roots = append(r.roots, root)
	return nil
}

// closed reports whether an object is a forbidden one, by device and inode.
func (r *Roots) closed(in info) (string, bool) {
	for i := range r.forbidden {
		if f := &r.forbidden[i]; f.exists && f.ident == in.ident {
			return f.path + ", which is closed to jobs", true
		}
	}
	if r.gitDirs[in.ident] {
		return "git's own folder", true
	}
	return "", false
}

// locate finds the root of an absolute path: the innermost one. names are the components of the path.
func (r *Roots) locate(path string, names []string) (*root, []string, *PathError) {
	clean, size := path, 0
	for _, name := range names {
		size += len("/") + len(name)
	}
	if size != len(path) {
		clean = "/" + strings.Join(names, "/")
	}
	for i := range r.forbidden {
		if within(r.forbidden[i].path, clean) {
			return nil, nil, fault(ForbiddenPath, "%s is closed to jobs", r.forbidden[i].path)
		}
	}
	var best *root
	var rest string
	for _, root := range r.roots {
		for _, p := range [...]string{root.path, root.spelled} {
			var tail string
			switch {
			case p == "/":
				tail = clean[1:]
			case clean == p:
			case strings.HasPrefix(clean, p) && clean[len(p)] == '/':
				tail = clean[len(p)+1:]
			default:
				continue
			}
			if best == nil || len(tail) < len(rest) {
				best, rest = root, tail
			}
		}
	}
	switch {
	case best == nil:
		return nil, nil, fault(OutsideRoots, "lies in none of the roots (%s)", strings.Join(r.Paths(), ", "))
	case rest == "":
		return best, nil, nil
	}
	return best, names[len(names)-strings.Count(rest, "/")-1:], nil
}

// openAt is openat that is not interrupted.
func openAt(dirfd int, name string, flags int, mode uint32) (int, error) {
	for {
		fd, err := unix.Openat(dirfd, name, flags, mode)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// file makes an os.File of a descriptor.
func file(fd int, name string) *os.File { return os.NewFile(uintptr(fd), name) }
