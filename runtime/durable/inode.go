package durable

import (
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Inode tells files apart, whatever they are called.
type Inode struct{ Dev, Ino uint64 }

// Stat is what Lstat and File.Stat return: enough to see that a file still is the one it was.
type Stat struct {
	Inode   Inode
	Regular bool
	Size    int64
}

// Lstat describes the file at path; a symbolic link is not followed.
func Lstat(path string) (Stat, error) {
	var st unix.Stat_t
	if err := retry(func() error { return unix.Lstat(path, &st) }); err != nil {
		return Stat{}, &fs.PathError{Op: "lstat", Path: path, Err: err}
	}
	return newStat(&st), nil
}

// SameInode reports whether the file at path is the open file f. A symbolic link at path is not.
func SameInode(f *os.File, path string) (bool, error) {
	return sameInodeFD(int(f.Fd()), path)
}

func sameInodeFD(fd int, path string) (bool, error) {
	open, err := statFD(fd, path)
	if err != nil {
		return false, err
	}
	var st unix.Stat_t
	err = retry(func() error { return unix.Lstat(path, &st) })
	if err == unix.ENOENT {
		return false, nil
	}
	if err != nil {
		return false, &fs.PathError{Op: "lstat", Path: path, Err: err}
	}
	return newStat(&st).Inode == open.Inode, nil
}

func statFD(fd int, path string) (Stat, error) {
	var st unix.Stat_t
	if err := retry(func() error { return unix.Fstat(fd, &st) }); err != nil {
		return Stat{}, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	return newStat(&st), nil
}

func newStat(st *unix.Stat_t) Stat {
	// The types of the fields differ between systems.
	return Stat{
		Inode:   Inode{uint64(st.Dev), uint64(st.Ino)},
		Regular: uint32(st.Mode)&unix.S_IFMT == unix.S_IFREG,
		Size:    st.Size,
	}
}
