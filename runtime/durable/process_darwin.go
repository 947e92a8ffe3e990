package durable

import (
	"fmt"
	"io/fs"
	"strconv"

	"golang.org/x/sys/unix"
)

// BootID names the time from one boot of the machine to the next.
func BootID() (string, error) {
	return unix.Sysctl("kern.bootsessionuuid")
}

// ProcessStart returns when a process was started, in microseconds since 1970. Where there is none with this number, or
// it has ended and only waits to be reaped, the error is fs.ErrNotExist.
func ProcessStart(pid int) (int64, error) {
	const zombie = 5 // SZOMB
	info, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	if err != nil || info.Proc.P_stat == zombie {
		return 0, fmt.Errorf("process %s: %w", strconv.Itoa(pid), fs.ErrNotExist)
	}
	return info.Proc.P_starttime.Sec*1e6 + int64(info.Proc.P_starttime.Usec), nil
}
