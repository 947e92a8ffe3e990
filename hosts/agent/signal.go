package agent

import (
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// signalName returns SIGTERM and so on.
func signalName(sig syscall.Signal) string {
	if name := unix.SignalName(sig); name != "" {
		return name
	}
	return "signal " + strconv.Itoa(int(sig))
}
