package durable

import (
	"os"

	"golang.org/x/sys/unix"
)

// RenameNoReplace moves a file, like rename(2) within one file system, unless to exists: then the error is fs.ErrExist
// and nothing has changed.
//
// Where neither the system nor the file system offers this in one step, the file gets its new name and then loses the
// old one. A crash in between leaves it under both names, with one inode. A folder cannot be moved in that way.
func RenameNoReplace(from, to string) error {
	err := retry(func() error { return renameNoReplace(from, to) })
	if err == unix.EINVAL || err == unix.ENOSYS || err == unix.ENOTSUP {
		err = linkUnlink(from, to)
	}
	if err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}

func linkUnlink(from, to string) error {
	if err := retry(func() error { return unix.Link(from, to) }); err != nil {
		return err
	}
	return retry(func() error { return unix.Unlink(from) })
}
