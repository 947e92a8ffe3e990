package durable

import (
	"golang.org/x/sys/unix"
)

func syncFD(fd int) error {
	return retry(func() error { return unix.Fsync(fd) })
}

// dataSyncFD leaves out the times of the file, which nobody reads, and with them most of the cost.
func dataSyncFD(fd int) error {
	return retry(func() error { return unix.Fdatasync(fd) })
}
