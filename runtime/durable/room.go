package durable

import (
	"errors"
	"io/fs"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Room reports whether that many bytes can be written into a folder now, by writing them into a file that is gone
// afterwards: what statfs says of free space is true neither of quotas nor of what is kept for root. The error names what
// is in the way, a full disk for one.
func Room(dir string, bytes int) error {
	path := filepath.Join(dir, tempName())
	fd, err := openFD(path, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err == nil {
		err = errors.Join(remove(path), writeFD(fd, make([]byte, bytes)), unix.Close(fd))
	}
	if err != nil {
		return &fs.PathError{Op: "write into", Path: dir, Err: err}
	}
	return nil
}
