package durable

import (
	"io/fs"

	"golang.org/x/sys/unix"
)

// FileSystem tells on what kind of file system path lies.
func FileSystem(path string) (FS, error) {
	var st unix.Statfs_t
	if err := retry(func() error { return unix.Statfs(path, &st) }); err != nil {
		return FS{}, &fs.PathError{Op: "statfs", Path: path, Err: err}
	}
	name := unix.ByteSliceToString(st.Fstypename[:])
	return FS{Name: name, Network: networks[name] || st.Flags&unix.MNT_LOCAL == 0}, nil
}
