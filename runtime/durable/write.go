package durable

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// TempPrefix begins the name of every temporary file that this package makes, in the folder of the file it is to become.
// A crash may leave one behind; nothing ever reads it, and it may be deleted once it is some minutes old.
const TempPrefix = ".tmp-"

// WriteFile writes data to path so that, when it returns nil, path has exactly data even after a power loss; until then
// path is what it was before. An existing file is replaced. perm is subject to the umask.
func WriteFile(path string, data []byte, perm fs.FileMode) error {
	tmp, err := writeTemp(path, data, perm, true)
	if err != nil {
		return err
	}
	if err := rename(tmp, path); err != nil {
		return errors.Join(err, remove(tmp))
	}
	return SyncDir(filepath.Dir(path))
}

// ReplaceFile is WriteFile without syncing: path never has half of data, but after a power loss it may be missing, old or
// empty. For files that can be made again.
func ReplaceFile(path string, data []byte, perm fs.FileMode) error {
	tmp, err := writeTemp(path, data, perm, false)
	if err != nil {
		return err
	}
	if err := rename(tmp, path); err != nil {
		return errors.Join(err, remove(tmp))
	}
	return nil
}

// CreateFile is ReplaceFile for a path that must not exist: where it does, the error is fs.ErrExist and the file there
// is left alone.
func CreateFile(path string, data []byte, perm fs.FileMode) error {
	tmp, err := writeTemp(path, data, perm, false)
	if err != nil {
		return err
	}
	if err := RenameNoReplace(tmp, path); err != nil {
		return errors.Join(err, remove(tmp))
	}
	return nil
}

// writeTemp goes past os.File, which would cost as many system calls again: projections are written for each job.
func writeTemp(path string, data []byte, perm fs.FileMode, synced bool) (string, error) {
	tmp := filepath.Join(filepath.Dir(path), tempName())
	fd, err := openFD(tmp, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW, perm)
	if err != nil {
		// The caller knows path, not the name of the temporary file.
		return "", &fs.PathError{Op: "create", Path: path, Err: err}
	}
	err = writeFD(fd, data)
	if err == nil && synced {
		err = syncFD(fd)
	}
	if closeErr := unix.Close(fd); err == nil {
		err = closeErr
	}
	if err != nil {
		return "", errors.Join(&fs.PathError{Op: "write", Path: path, Err: err}, remove(tmp))
	}
	return tmp, nil
}

func tempName() string {
	var b [8]byte
	rand.Read(b[:]) // never fails, as its documentation says
	return TempPrefix + hex.EncodeToString(b[:])
}

func rename(from, to string) error {
	if err := retry(func() error { return unix.Rename(from, to) }); err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}

func remove(path string) error {
	err := retry(func() error { return unix.Unlink(path) })
	if err != nil && err != unix.ENOENT {
		return &fs.PathError{Op: "remove", Path: path, Err: err}
	}
	return nil
}
