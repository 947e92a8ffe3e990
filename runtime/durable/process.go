package durable

import (
	"errors"
	"io/fs"

	"golang.org/x/sys/unix"
)

// Alive reports whether the process that BootID and ProcessStart described as boot and start still runs. Process numbers
// are given out again, after a reboot at the latest; the three together are not. A process that has ended and was not
// yet waited for is not alive. Where the system hides the processes of other users, one that has the number counts.
func Alive(boot string, pid int, start int64) bool {
	if now, err := BootID(); err != nil || now != boot || pid <= 0 {
		return false
	}
	s, err := ProcessStart(pid)
	if errors.Is(err, fs.ErrNotExist) {
		return unix.Kill(pid, 0) == unix.EPERM
	}
	return err == nil && s == start
}
