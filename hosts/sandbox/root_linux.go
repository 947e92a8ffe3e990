package sandbox

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// newRoot is the root of a keeper while it is being made.
type newRoot struct {
	fd     int
	memory map[uint64]bool // devices of our own file systems, in which places may be made
	covers []int           // mounts of what hides a folder
}

func openRoot(path string) (*newRoot, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	r := &newRoot{fd: fd, memory: map[uint64]bool{}}
	if err := r.owns(fd); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return r, nil
}

func (r *newRoot) close() {
	unix.Close(r.fd)
	for _, fd := range r.covers {
		unix.Close(fd)
	}
}

func (r *newRoot) owns(fd int) error {
	var st unix.Stat_t
	err := unix.Fstat(fd, &st)
	if err == nil {
		r.memory[uint64(st.Dev)] = true
	}
	return err
}

// attach puts a tree into its place.
func (r *newRoot) attach(t *tree) error {
	err := r.put(t)
	if err != nil && !(t.found && vanished(err)) {
		return fmt.Errorf("%s: %w", shortened(t.path), err)
	}
	return nil
}

func (r *newRoot) put(t *tree) error {
	if t.link != "" {
		parent, name, err := r.parent(t.path)
		if err != nil {
			return err
		}
		defer unix.Close(parent)
		if err := unix.Symlinkat(t.link, parent, name); err != nil && err != unix.EEXIST {
			return err
		}
		return nil
	}
	place, err := straight(r.fd, "."+t.path)
	if err == unix.ENOENT && !t.found {
		place, err = r.makePlace(t)
	}
	if err != nil {
		return err
	}
	defer unix.Close(place)
	fd := t.fd
	if t.hide && t.folder {
		if fd, err = emptyFolder(); err != nil {
			return err
		}
		r.covers = append(r.covers, fd)
	}
	if err := unix.MoveMount(fd, "", place, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH); err != nil {
		return fmt.Errorf("move_mount: %w", err)
	}
	if t.hide && t.folder {
		return r.owns(fd)
	}
	return nil
}

// makePlace makes what a tree is to be mounted on.
func (r *newRoot) makePlace(t *tree) (place int, err error) {
	parent, name, err := r.parent(t.path)
	if err != nil {
		return -1, err
	}
	defer unix.Close(parent)
	if t.folder {
		err = r.mkdir(parent, name)
	} else if err = r.mine(parent); err == nil {
		err = unix.Mknodat(parent, name, unix.S_IFREG|0o644, 0)
	}
	if err != nil {
		return -1, err
	}
	return straight(parent, name)
}

// parent opens the folder of a path, and makes what is missing of it.
func (r *newRoot) parent(path string) (fd int, name string, err error) {
	names := strings.Split(path[1:], "/")
	if fd, err = unix.Openat(r.fd, ".", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
		return -1, "", err
	}
	for _, dir := range names[:len(names)-1] {
		next, err := straight(fd, dir)
		if err == unix.ENOENT {
			if err = r.mkdir(fd, dir); err == nil {
				next, err = straight(fd, dir)
			}
		}
		unix.Close(fd)
		if err != nil {
			return -1, "", err
		}
		fd = next
	}
	return fd, names[len(names)-1], nil
}

func (r *newRoot) mkdir(parent int, name string) error {
	if err := r.mine(parent); err != nil {
		return err
	}
	return unix.Mkdirat(parent, name, 0o755)
}

// mine refuses a folder in which something would be made that is not in our own memory: what is missing there was there a
// moment ago.
func (r *newRoot) mine(fd int) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if !r.memory[uint64(st.Dev)] {
		return unix.ENOENT
	}
	return nil
}

// closeCovers makes them read-only, now that the work folder may have got its place in one.
func (r *newRoot) closeCovers() error {
	for _, fd := range r.covers {
		if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}); err != nil {
			return fmt.Errorf("read-only cover: %w", err)
		}
	}
	return nil
}

// emptyFolder is a file system of its own with nothing in it.
func emptyFolder() (mount int, err error) {
	fs, err := unix.Fsopen("tmpfs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("tmpfs: %w", err)
	}
	defer unix.Close(fs)
	for _, option := range [][2]string{{"mode", "0755"}, {"size", "64k"}} {
		if err := unix.FsconfigSetString(fs, option[0], option[1]); err != nil {
			return -1, fmt.Errorf("tmpfs: %s: %w", option[0], err)
		}
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return -1, fmt.Errorf("tmpfs: %w", err)
	}
	mount, err = unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC)
	if err != nil {
		return -1, fmt.Errorf("tmpfs: %w", err)
	}
	return mount, nil
}

// straight is how a path is looked up that jobs may have a hand in: a symbolic link on the way is an error. The path may
// be longer than the kernel takes at once.
func straight(dir int, path string) (fd int, err error) {
	fd = dir
	for {
		piece := path
		if len(path) >= unix.PathMax {
			cut := strings.LastIndexByte(path[:unix.PathMax-1], '/')
			if cut <= 0 {
				return -1, unix.ENAMETOOLONG
			}
			piece, path = path[:cut], path[cut+1:]
		} else {
			path = ""
		}
		next, err := straightAtOnce(fd, piece)
		if err == unix.ENOSYS || err == unix.EPERM { // in containers that do not know the call
			next, err = straightByStep(fd, piece)
		}
		if fd != dir {
			unix.Close(fd)
		}
		if err != nil || path == "" {
			return next, err
		}
		fd = next
	}
}

func straightAtOnce(dir int, path string) (fd int, err error) {
	return unix.Openat2(dir, path, &unix.OpenHow{Flags: unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_SYMLINKS})
}

// straightByStep opens one name after the other, none of them by a link.
func straightByStep(dir int, path string) (fd int, err error) {
	const flags = unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC
	start := "."
	if strings.HasPrefix(path, "/") {
		start = "/"
	}
	if fd, err = unix.Openat(dir, start, flags|unix.O_DIRECTORY, 0); err != nil {
		return -1, err
	}
	names := strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
	for i, name := range names {
		only := 0
		if i < len(names)-1 {
			only = unix.O_DIRECTORY // which a link is not
		}
		next, err := unix.Openat(fd, name, flags|only, 0)
		unix.Close(fd)
		if err != nil {
			return -1, err
		}
		fd = next
	}
	return fd, nil
}

// shortened is a path for a message.
func shortened(path string) string {
	const most = 300
	if len(path) <= most {
		return path
	}
	return path[:most/2] + "…" + path[len(path)-most/2:]
}

// machineFiles are what stays of /proc beside processes: what programs ask about the machine that they run on. The rest,
// from the addresses in the kernel to the interrupts, is nothing to them.
var machineFiles = map[string]bool{
	"cgroups": true, "cpuinfo": true, "filesystems": true, "loadavg": true, "meminfo": true, "mounts": true, "net": true,
	"self": true, "stat": true, "sys": true, "sysvipc": true, "thread-self": true, "uptime": true, "version": true,
	"version_signature": true, "vmstat": true,
}

// mountProc mounts a /proc of this pid namespace, and covers what it says about the machine.
func mountProc(path string) error {
	empty, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(empty)
	none := filepath.Join(filepath.Dir(path), "none")
	if err := os.WriteFile(none, nil, 0); err != nil {
		return err
	}
	defer os.Remove(none)
	if err := unix.Mount("proc", path, "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("a /proc of its own: %w", err)
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return fmt.Errorf("a /proc of its own: %w", err)
	}
	for _, e := range entries {
		name := e.Name()
		if name[0] >= '0' && name[0] <= '9' || machineFiles[name] {
			continue
		}
		from, at := empty, ""
		if !e.IsDir() {
			from, at = unix.AT_FDCWD, none
		}
		if err := coverEntry(from, at, path+"/"+name); err != nil {
			return fmt.Errorf("/proc/%s: %w", name, err)
		}
	}
	return nil
}

// coverEntry mounts what lies at from in the place of an entry, as something that can be neither opened nor changed.
func coverEntry(from int, at, place string) error {
	flags := uint(unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC)
	if at == "" {
		flags |= unix.AT_EMPTY_PATH
	}
	fd, err := unix.OpenTree(from, at, flags)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, &unix.MountAttr{
		Attr_set: unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC}); err != nil {
		return err
	}
	return unix.MoveMount(fd, "", unix.AT_FDCWD, place, unix.MOVE_MOUNT_F_EMPTY_PATH)
}
