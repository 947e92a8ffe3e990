package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// tmpMount reports whether Tmp can also be /tmp: not where something else that the job sees lies below it.
func tmpMount(c *Confinement) bool {
	if c.Tmp == "" {
		return false
	}
	return !slices.ContainsFunc(slices.Concat(c.Read, c.writable(), c.devices()), func(p string) bool {
		return below(p, "/tmp")
	})
}

// tree is a detached copy of a part of the file system, and where it goes.
type tree struct {
	fd     int // -1 where link is set
	path   string
	folder bool
	link   string
	hide   bool // what is there is covered by nothing
}

// isolate gives the keeper a root of its own, in memory and read-only, in which nothing exists but what the confinement
// names. It is called by process 1 of new pid and mount namespaces.
//
// The copies are taken before anything is changed, so that no path is looked up in a file system that is half made.
func isolate(c *Confinement) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("private mounts: %w", err)
	}
	trees, err := copies(c)
	defer func() {
		for _, t := range trees {
			closeFD(t.fd)
		}
	}()
	if err != nil {
		return err
	}
	// Any folder will do to hold the new root for the moment until it is the root.
	const hold = "/proc"
	if err := unix.Mount("sandbox", hold, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755,size=1m"); err != nil {
		return fmt.Errorf("tmpfs: %w", err)
	}
	for _, dir := range []string{"/proc", "/dev", "/tmp"} {
		if err := os.Mkdir(hold+dir, 0o755); err != nil {
			return err
		}
	}
	for _, t := range trees {
		if err := t.attach(hold); err != nil {
			return err
		}
	}
	for _, t := range trees {
		if t.hide && t.folder {
			// Only now: the work folder may have got its place in here.
			err := unix.MountSetattr(-1, hold+t.path, 0, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
			if err != nil && err != unix.ENOENT && err != unix.EINVAL {
				return fmt.Errorf("%s: read-only: %w", t.path, err)
			}
		}
	}
	if err := unix.Mount("proc", hold+"/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("a /proc of its own: %w", err)
	}
	for name, target := range map[string]string{"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0",
		"stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"} {
		if err := os.Symlink(target, filepath.Join(hold, "dev", name)); err != nil {
			return err
		}
	}
	if err := unix.MountSetattr(-1, hold, 0, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}); err != nil {
		return fmt.Errorf("read-only root: %w", err)
	}
	if err := unix.Chdir(hold); err != nil {
		return err
	}
	// The old root ends up on top of the new one, and is taken away.
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount of the old root: %w", err)
	}
	return unix.Chdir("/")
}

// copies takes what the confinement names, parents before what lies in them.
func copies(c *Confinement) (trees []tree, err error) {
	add := func(path, target string, attr uint64) {
		if err != nil {
			return
		}
		var t tree
		if t, err = copyTree(path, target, attr); err == nil {
			trees = append(trees, t)
		}
	}
	addFound := func(path string, attr uint64) {
		add(path, path, attr)
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
			err = nil
		}
	}
	const quiet = unix.MOUNT_ATTR_NOSUID
	for _, p := range c.Read {
		add(p, p, quiet|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_RDONLY)
	}
	for _, p := range c.writable() {
		add(p, p, quiet|unix.MOUNT_ATTR_NODEV)
	}
	if tmpMount(c) {
		add(c.Tmp, "/tmp", quiet|unix.MOUNT_ATTR_NODEV)
	}
	// A folder on which something is mounted, be it itself, can be neither renamed nor removed.
	for _, p := range c.pinned() {
		addFound(p, quiet|unix.MOUNT_ATTR_NODEV)
	}
	for _, p := range c.Keep {
		addFound(p, quiet|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_RDONLY)
	}
	// Read-only are the mode and the times of a device: these are the machine's own.
	for _, p := range c.devices() {
		addFound(p, quiet|unix.MOUNT_ATTR_NOEXEC|unix.MOUNT_ATTR_RDONLY)
	}
	for _, p := range c.Hide {
		if info, statErr := os.Lstat(p); statErr == nil && info.Mode()&os.ModeSymlink == 0 {
			trees = append(trees, tree{fd: -1, path: p, folder: info.IsDir(), hide: true})
		}
	}
	// Of two copies for one place the later, which is the writable one, covers the first.
	slices.SortStableFunc(trees, func(a, b tree) int {
		return strings.Count(a.path, "/") - strings.Count(b.path, "/")
	})
	return trees, err
}

// straight is how a path is looked up that jobs may have a hand in: a symbolic link on the way is an error.
func straight(dir int, path string) (fd int, err error) {
	return unix.Openat2(dir, path, &unix.OpenHow{Flags: unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_SYMLINKS})
}

// copyTree copies what is mounted at and below path. A symbolic link (/bin, mostly) is made again as a link.
func copyTree(path, target string, attr uint64) (tree, error) {
	from, err := straight(unix.AT_FDCWD, path)
	if err != nil {
		return tree{fd: -1}, fmt.Errorf("%s: %w", path, err)
	}
	defer unix.Close(from)
	var st unix.Stat_t
	if err := unix.Fstat(from, &st); err != nil {
		return tree{fd: -1}, fmt.Errorf("%s: %w", path, err)
	}
	if st.Mode&unix.S_IFMT == unix.S_IFLNK {
		link := make([]byte, unix.PathMax)
		n, err := unix.Readlinkat(from, "", link)
		if err != nil {
			return tree{fd: -1}, fmt.Errorf("%s: %w", path, err)
		}
		return tree{fd: -1, path: target, link: string(link[:n])}, nil
	}
	fd, err := unix.OpenTree(from, "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE|unix.AT_EMPTY_PATH)
	if err != nil {
		return tree{fd: -1}, fmt.Errorf("%s: open_tree: %w", path, err)
	}
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE,
		&unix.MountAttr{Attr_set: attr, Propagation: unix.MS_PRIVATE}); err != nil {
		unix.Close(fd)
		return tree{fd: -1}, fmt.Errorf("%s: mount_setattr: %w", path, err)
	}
	return tree{fd: fd, path: target, folder: st.Mode&unix.S_IFMT == unix.S_IFDIR}, nil
}

// attach puts the tree into the new root, where a parent may have brought its place already.
func (t *tree) attach(root string) error {
	at := root + t.path
	if t.hide {
		return t.cover(at)
	}
	if t.link != "" {
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			return err
		}
		if err := os.Symlink(t.link, at); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
		return nil
	}
	place, err := straight(unix.AT_FDCWD, at)
	if err == unix.ENOENT {
		if err = t.makePlace(at); err == nil {
			place, err = straight(unix.AT_FDCWD, at)
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", t.path, err)
	}
	defer unix.Close(place)
	if err := unix.MoveMount(t.fd, "", place, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH); err != nil {
		return fmt.Errorf("%s: move_mount: %w", t.path, err)
	}
	return nil
}

// makePlace makes what the tree is to be mounted on.
func (t *tree) makePlace(at string) error {
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		return err
	}
	if t.folder {
		return os.Mkdir(at, 0o755)
	}
	return os.WriteFile(at, nil, 0o644)
}

// cover hides what the parent brought to a place, if it did. A file is covered by a device that cannot be opened.
func (t *tree) cover(at string) error {
	if _, err := os.Lstat(at); err != nil {
		return nil
	}
	const flags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	if t.folder {
		if err := unix.Mount("sandbox", at, "tmpfs", flags, "mode=0755,size=64k"); err != nil {
			return fmt.Errorf("%s: tmpfs: %w", t.path, err)
		}
		return nil
	}
	null, err := copyTree("/dev/null", "", unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC|unix.MOUNT_ATTR_RDONLY)
	if err != nil {
		return err
	}
	defer unix.Close(null.fd)
	if err := unix.MoveMount(null.fd, "", unix.AT_FDCWD, at, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("%s: move_mount: %w", t.path, err)
	}
	return nil
}
