package durable

import (
	"os"

	"golang.org/x/sys/unix"
)

// Exchange swaps two files that both exist, in one step for whoever looks at either. Where a file system cannot, the
// error satisfies errors.ErrUnsupported.
func Exchange(a, b string) error {
	err := retry(func() error {
		return unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE)
	})
	if err == unix.EINVAL {
		err = unix.EOPNOTSUPP
	}
	if err != nil {
		return &os.LinkError{Op: "exchange", Old: a, New: b, Err: err}
	}
	return nil
}
