package roots

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// refuseRoot reports why jobs may not work in path, going by its name.
func (r *Roots) refuseRoot(path string) error {
	for _, f := range r.forbidden {
		if within(f.path, path) {
			return fmt.Errorf("lies in %s, which is closed to jobs", f.path)
		}
	}
	for name := range strings.SplitSeq(path, "/") {
		if isGit(skeleton(name)) {
			return errors.New("lies in a .git folder, which is closed to jobs")
		}
	}
	return nil
}

// openRoot walks from / to the resolved path of a root without following any link, and checks each directory.
func (r *Roots) openRoot(root *root) (*handle, error) {
	fd, err := openAt(unix.AT_FDCWD, "/", dirFlags, 0)
	if err != nil {
		return nil, err
	}
	in, err := statAt(fd, "")
	path := ""
	for name := range strings.SplitSeq(strings.Trim(root.path, "/"), "/") {
		if err != nil || name == "" {
			break
		}
		path += "/" + name
		var next int
		outer := in.mount
		if next, in, err = lookup(fd, name); err != nil {
			break
		}
		if next < 0 || in.kind() != unix.S_IFDIR {
			err = fmt.Errorf("%s is not a directory", path)
		} else if what, bad := r.closed(in); bad {
			err = fmt.Errorf("%s is %s", path, what)
		} else if in.mount != outer {
			if what, bad := r.exposes(in, path); bad {
				err = fmt.Errorf("%s is a mount of %s", path, what)
			}
		}
		if next >= 0 {
			unix.Close(fd)
			fd = next
		}
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return &handle{fd: fd, info: in}, nil
}

// enter returns the open directory of a root. Where the directory was replaced since (deleted and cloned again, while a
// loop was running), the new one is opened, under all the checks of the first time.
func (r *Roots) enter(root *root) (*handle, *PathError) {
	h := root.handle.Load()
	in, err := statAt(unix.AT_FDCWD, root.path)
	if err == nil && h != nil && in.ident == h.ident {
		return h, nil
	}
	if err != nil {
		return nil, sysFault("open the root", root.path, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	h, err = r.openRoot(root)
	if err != nil {
		return nil, fault(Changed, "the root was replaced: %v", err)
	}
	if old := root.handle.Swap(h); old != nil {
		r.dead = append(r.dead, old.fd)
	}
	return h, nil
}
