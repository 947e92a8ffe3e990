package agent

import (
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// dirPath is a name for the open directory dir that stays right whatever is renamed. The child process resolves it
// before its descriptors are closed.
func dirPath(dir *os.File, _ string) string { return "/proc/self/fd/" + strconv.Itoa(int(dir.Fd())) }

// resolved is where a path leads, or itself where it leads nowhere. In most there are no links, which the kernel says with one
// question; without that, looking at each part of three paths was 2 % of what a job with true costs.
func resolved(path string) string {
	fd, err := unix.Openat2(unix.AT_FDCWD, path, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_SYMLINKS})
	if err == nil {
		unix.Close(fd)
		return filepath.Clean(path)
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}

// leastRoom is how much of the disk has to be free where outputs are kept, in bytes.
const leastRoom = 64 << 10

// roomFor makes a folder for outputs, where there is none, and reports where it could not take any.
func roomFor(dir string) error {
	var st unix.Statfs_t
	err := unix.Statfs(dir, &st)
	if err == unix.ENOENT {
		if err = os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		err = unix.Statfs(dir, &st)
	}
	if err == nil {
		err = unix.Access(dir, unix.W_OK|unix.X_OK)
	}
	// Who is root may also use what is kept for it. A file system without a size has no blocks.
	free := st.Bavail
	if os.Geteuid() == 0 {
		free = st.Bfree
	}
	if err == nil && st.Blocks > 0 && int64(free)*st.Bsize < leastRoom {
		err = unix.ENOSPC
	}
	if err != nil {
		return &os.PathError{Op: "write into", Path: dir, Err: err}
	}
	return nil
}

// unnamedFile makes a file in the file system of dir that has no name, and is gone when it is closed without one.
func unnamedFile(dir string) (*os.File, error) {
	return os.OpenFile(dir, os.O_WRONLY|unix.O_TMPFILE, 0o644)
}

// nameFile gives it one, in place of what an earlier attempt left there.
func nameFile(f *os.File, path string) error {
	from := "/proc/self/fd/" + strconv.Itoa(int(f.Fd()))
	err := unix.Linkat(unix.AT_FDCWD, from, unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW)
	if err == unix.EEXIST {
		if err = os.Remove(path); err == nil {
			err = unix.Linkat(unix.AT_FDCWD, from, unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW)
		}
	}
	return err
}

// startWriteback makes the disk begin, so that syncing many files is waiting for one.
func startWriteback(f *os.File) {
	unix.SyncFileRange(int(f.Fd()), 0, 0, unix.SYNC_FILE_RANGE_WRITE)
}

func datasync(f *os.File) error { return unix.Fdatasync(int(f.Fd())) }

// Executable is the path under which this program can be started again, also when its file was replaced meanwhile.
func Executable() (string, error) { return "/proc/self/exe", nil }

// limitData lets this process write to so many bytes of memory; 0 is without limit.
func limitData(bytes int64) error {
	if bytes <= 0 {
		return nil
	}
	return unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: uint64(bytes), Max: uint64(bytes)})
}
