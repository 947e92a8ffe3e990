package sandbox

import (
	"cmp"
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
	fd     int // -1 where link is set, and of a folder that is to be hidden
	path   string
	folder bool
	link   string // of a symbolic link, made again
	found  bool   // was found where it lies, by no name that anybody gave us: left out where it is gone
	hide   bool   // covers what is there
	turn   int    // what is attached later covers what was before
}

// The turns. Nothing that lies in a hidden folder comes after it but the job's own folder, which the runner made there.
const (
	turnGiven = iota
	turnHidden
	turnOwn
	turnHiddenInOwn
)

// isolate gives the keeper a root of its own, in memory and read-only, in which nothing exists but what the confinement
// names. It is called by process 1 of new pid and mount namespaces.
//
// The copies are taken before anything is changed, so that no path is looked up in a file system that is half made. What
// lies in a folder that jobs may write to can be another thing at each moment: no link is followed on the way to any place,
// and nothing is made anywhere but in memory of our own.
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
	r, err := openRoot(hold)
	if err != nil {
		return err
	}
	defer r.close()
	for i := range trees {
		if err := r.attach(&trees[i]); err != nil {
			return err
		}
	}
	if err := r.closeCovers(); err != nil {
		return err
	}
	if err := mountProc(hold + "/proc"); err != nil {
		return err
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

// copies takes what the confinement names, in the order in which it is attached: by turns, and in each of them parents
// before what lies in them.
func copies(c *Confinement) (trees []tree, err error) {
	add := func(path, target string, attr uint64, found bool) {
		if err != nil {
			return
		}
		var t tree
		t, err = copyTree(path, target, attr, found, c.Objects[path])
		if found && vanished(err) {
			err = nil
			return
		}
		if err == nil {
			trees = append(trees, t)
		}
	}
	const quiet = unix.MOUNT_ATTR_NOSUID
	for _, p := range c.Read {
		add(p, p, quiet|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_RDONLY, false)
	}
	for _, p := range c.writable() {
		add(p, p, quiet|unix.MOUNT_ATTR_NODEV, false)
	}
	if tmpMount(c) {
		add(c.Tmp, "/tmp", quiet|unix.MOUNT_ATTR_NODEV, false)
	}
	// A folder on which something is mounted, be it itself, can be neither renamed nor removed.
	for _, p := range c.pinned() {
		add(p, p, quiet|unix.MOUNT_ATTR_NODEV, true)
	}
	for _, p := range c.Keep {
		add(p, p, quiet|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_RDONLY, true)
	}
	// Read-only are the mode and the times of a device: these are the machine's own.
	for _, p := range c.devices() {
		before := len(trees)
		add(p, p, quiet|unix.MOUNT_ATTR_NOEXEC|unix.MOUNT_ATTR_RDONLY, true)
		for i := range trees[before:] {
			trees[before+i].found = false // it gets a place
		}
	}
	for _, p := range slices.Concat(c.Shut, c.Hide) {
		if err != nil {
			return trees, err
		}
		var t tree
		if t, err = coverFor(p); err == nil {
			trees = append(trees, t)
		} else if vanished(err) {
			err = nil
		}
	}
	for i := range trees {
		trees[i].turn = turnOf(&trees[i], c.Work)
	}
	// Of two copies for one place the later, which is the writable one, covers the first.
	slices.SortStableFunc(trees, func(a, b tree) int {
		return cmp.Or(a.turn-b.turn, strings.Count(a.path, "/")-strings.Count(b.path, "/"))
	})
	return trees, err
}

func turnOf(t *tree, work string) int {
	turn := turnGiven
	if below(t.path, work) {
		turn = turnOwn
	}
	if t.hide {
		turn++
	}
	return turn
}

// vanished reports whether a path led nowhere, or by a link that is not followed.
func vanished(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP)
}

// copyTree copies what is mounted at and below path. A symbolic link that we were given (/bin, mostly) is made again as a
// link; one that was found is mounted on itself, so that it stays.
func copyTree(path, target string, attr uint64, found bool, want Object) (tree, error) {
	from, err := straight(unix.AT_FDCWD, path)
	if err != nil {
		return tree{fd: -1}, fmt.Errorf("%s: %w", path, err)
	}
	defer unix.Close(from)
	var st unix.Stat_t
	if err := unix.Fstat(from, &st); err != nil {
		return tree{fd: -1}, fmt.Errorf("%s: %w", path, err)
	}
	if err := want.check(&st); err != nil {
		return tree{fd: -1}, fmt.Errorf("%s: %w", path, err)
	}
	if st.Mode&unix.S_IFMT == unix.S_IFLNK && !found {
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
	return tree{fd: fd, path: target, folder: st.Mode&unix.S_IFMT == unix.S_IFDIR, found: found}, nil
}

// coverFor is what hides a path: of a file a device that cannot be opened, of a folder an empty one.
func coverFor(path string) (tree, error) {
	at, err := straight(unix.AT_FDCWD, path)
	if err != nil {
		return tree{fd: -1}, fmt.Errorf("%s: %w", path, err)
	}
	defer unix.Close(at)
	var st unix.Stat_t
	if err := unix.Fstat(at, &st); err != nil {
		return tree{fd: -1}, fmt.Errorf("%s: %w", path, err)
	}
	t := tree{fd: -1, path: path, folder: st.Mode&unix.S_IFMT == unix.S_IFDIR, hide: true, found: true}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFLNK:
		return t, fmt.Errorf("%s: %w", path, unix.ELOOP)
	case unix.S_IFDIR:
		return t, nil
	}
	null, err := copyTree("/dev/null", "", unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC|unix.MOUNT_ATTR_RDONLY, true, Object{})
	t.fd = null.fd
	return t, err
}

// check refuses another object than the one that was decided about; none is any.
func (o Object) check(st *unix.Stat_t) error {
	if o != (Object{}) && o != (Object{uint64(st.Dev), st.Ino}) {
		return errors.New("is not the folder that it was when the job was allowed")
	}
	return nil
}
