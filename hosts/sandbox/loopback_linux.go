package sandbox

import "golang.org/x/sys/unix"

// bringUp makes 127.0.0.1 and ::1 of the network namespace that this process is in answer. It is a namespace of the job's own,
// so that nobody but the job is there, and tests that start a server run without the network.
func bringUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request)
}
