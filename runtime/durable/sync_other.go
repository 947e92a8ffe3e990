//go:build unix && !linux

package durable

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// fullFsync is F_FULLFSYNC of Darwin, where fsync(2) does not empty the cache of the drive.
const fullFsync = 51

func syncFD(fd int) error {
	if runtime.GOOS == "darwin" {
		return retry(func() error {
			_, err := unix.FcntlInt(uintptr(fd), fullFsync, 0)
			return err
		})
	}
	return retry(func() error { return unix.Fsync(fd) })
}

func dataSyncFD(fd int) error { return syncFD(fd) }
