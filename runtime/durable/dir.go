package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// SyncDir brings the entries of a folder to the disk: names that were made, renamed or removed in it.
func SyncDir(path string) error {
	fd, err := openFD(path, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return &fs.PathError{Op: "open", Path: path, Err: err}
	}
	err = retry(func() error { return unix.Fsync(fd) })
	if closeErr := unix.Close(fd); err == nil {
		err = closeErr
	}
	if err != nil {
		return &fs.PathError{Op: "sync", Path: path, Err: err}
	}
	return nil
}

// MkdirAllSynced makes path and the folders above it that are missing, and brings their names to the disk. It is not
// enough to sync the innermost folder: a power loss may take a folder together with all that was synced within.
func MkdirAllSynced(path string, perm fs.FileMode) error {
	info, err := os.Stat(path)
	if err == nil {
		if !info.IsDir() {
			return &fs.PathError{Op: "mkdir", Path: path, Err: unix.ENOTDIR}
		}
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	parent := filepath.Dir(path)
	if err := MkdirAllSynced(parent, perm); err != nil {
		return err
	}
	// Somebody else may have made it meanwhile, and not synced it yet.
	if err := os.Mkdir(path, perm); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return SyncDir(parent)
}
