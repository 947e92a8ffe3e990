//go:build linux && (amd64 || arm64)

package sandbox

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// deed is a call that the keeper makes for its job, on what it holds of it.
type deed struct {
	question
	fd       int    // the caller's socket or file, the same one as the caller has
	file     int    // the socket file that the address leads to; -1 where it is an address of another kind
	address  []byte // a copy
	blocking bool   // the caller is ready to wait
	begun    bool   // the connection is on its way, or there is nothing to do
	local    bool   // a Unix socket
}

func (d *deed) close() {
	closeFD(d.fd)
	closeFD(d.file)
}

// prepare takes hold of what a call is about. After that it cannot be changed any more.
func (s *supervisor) prepare(q *question) (d *deed, errno syscall.Errno) {
	d = &deed{question: *q, fd: -1, file: -1}
	var err error
	if d.fd, err = borrow(q); err == nil {
		switch q.nr {
		case unix.SYS_CONNECT:
			err = s.prepareConnect(d)
		case unix.SYS_FLOCK:
			err = s.prepareLock(d)
		}
	}
	// The caller's number may be another's by now, and all this that one's.
	if err == nil && !s.valid(q) {
		err = unix.EINTR
	}
	if err != nil {
		d.close()
		return nil, errnoOf(err)
	}
	return d, 0
}

// borrow duplicates the descriptor that a call names first.
func borrow(q *question) (fd int, err error) {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(int(q.pid)) + "/status")
	if err != nil {
		return -1, unix.EPERM
	}
	_, rest, _ := bytes.Cut(status, []byte("\nTgid:\t"))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	process, err := strconv.Atoi(string(line))
	if err != nil {
		return -1, unix.EPERM
	}
	pidfd, err := unix.PidfdOpen(process, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(pidfd)
	return unix.PidfdGetfd(pidfd, int(int32(q.args[0])), 0)
}

// prepareConnect copies the address. A path is looked up as the caller would, and has to lead to a socket in a folder that
// is the job's own: whatever lies anywhere else, somebody else may listen at.
func (s *supervisor) prepareConnect(d *deed) error {
	flags, err := unix.FcntlInt(uintptr(d.fd), unix.F_GETFL, 0)
	if err != nil {
		return err
	}
	d.blocking = flags&unix.O_NONBLOCK == 0
	size := int(int32(d.args[2]))
	if size < 0 || size > unix.SizeofSockaddrAny+16 {
		return unix.EINVAL
	}
	address := make([]byte, size)
	if size > 0 {
		local := []unix.Iovec{{Base: &address[0]}}
		local[0].SetLen(size)
		n, err := unix.ProcessVMReadv(int(d.pid), local, []unix.RemoteIovec{{Base: uintptr(d.args[1]), Len: size}}, 0)
		if err != nil {
			return err
		}
		if n != size {
			return unix.EFAULT
		}
	}
	d.address = address
	family, err := unix.GetsockoptInt(d.fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil {
		return err
	}
	d.local = family == unix.AF_UNIX
	if !d.local || size <= 2 || binary.NativeEndian.Uint16(address) != unix.AF_UNIX || address[2] == 0 {
		return nil // an abstract name is of the job's own network namespace
	}
	path, _, _ := bytes.Cut(address[2:], []byte{0})
	cwd, err := unix.Open("/proc/"+strconv.Itoa(int(d.pid))+"/cwd", unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(cwd)
	// Links of /proc would be those of the keeper.
	if d.file, err = unix.Openat2(cwd, string(path), &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_NO_MAGICLINKS}); err != nil {
		d.file = -1
		return err
	}
	mount, err := mountOf(d.file, "")
	if err != nil || !slices.Contains(s.inside, mount) {
		return unix.EACCES
	}
	d.address = append(binary.NativeEndian.AppendUint16(nil, unix.AF_UNIX), "/proc/self/fd/"+strconv.Itoa(d.file)+"\x00"...)
	return nil
}

// prepareLock refuses to lock what the job may only read: everybody else who wants to lock it would wait for the job.
func (s *supervisor) prepareLock(d *deed) error {
	d.blocking = d.args[1]&unix.LOCK_NB == 0
	if s.writes(d.fd) {
		return nil
	}
	if d.args[1]&unix.LOCK_EX != 0 {
		return unix.EACCES
	}
	// Nobody changes the file for this job's sake, so that there is nothing that a shared lock would keep away. Programs
	// that only read a file ask for one all the same (go does for go.mod), and go on as if they had it.
	d.begun = true
	return nil
}

// writes reports whether the job may change the file that is open.
func (s *supervisor) writes(fd int) bool {
	if s.writable == nil {
		var st unix.Statfs_t
		return unix.Fstatfs(fd, &st) == nil && st.Flags&unix.ST_RDONLY == 0
	}
	path, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
	return err == nil && slices.ContainsFunc(s.writable, func(dir string) bool {
		return below(strings.TrimSuffix(path, " (deleted)"), dir)
	})
}

// try makes the call, without waiting.
func (d *deed) try() (errno syscall.Errno, again bool) {
	if d.nr == unix.SYS_FLOCK {
		if d.begun {
			return 0, false
		}
		_, _, errno = syscall.RawSyscall(unix.SYS_FLOCK, marked(d.fd), uintptr(d.args[1]&0xffffffff)|unix.LOCK_NB, 0)
		return errno, errno == unix.EWOULDBLOCK && d.blocking
	}
	if d.begun {
		return d.arrived()
	}
	if d.blocking {
		if err := unix.SetNonblock(d.fd, true); err != nil {
			return errnoOf(err), false
		}
		defer unix.SetNonblock(d.fd, false)
	}
	var address unsafe.Pointer
	if len(d.address) > 0 {
		address = unsafe.Pointer(&d.address[0])
	}
	_, _, errno = syscall.RawSyscall(unix.SYS_CONNECT, marked(d.fd), uintptr(address), uintptr(len(d.address)))
	switch {
	case errno == unix.EAGAIN && d.local && d.blocking: // nobody has accepted the last few
		return errno, true
	case errno == unix.EINPROGRESS && d.blocking:
		d.begun = true
		return d.arrived()
	}
	return errno, false
}

// arrived reports how a connection ended that was begun.
func (d *deed) arrived() (errno syscall.Errno, again bool) {
	fds := []unix.PollFd{{Fd: int32(d.fd), Events: unix.POLLOUT}}
	if n, err := unix.Poll(fds, 0); err != nil || n == 0 {
		return 0, true
	}
	code, err := unix.GetsockoptInt(d.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		if e, ok := errors.AsType[syscall.Errno](err); ok {
			return e, false
		}
		return unix.EIO, false
	}
	return syscall.Errno(code), false
}

// marked is a descriptor in a call that the keeper makes itself.
func marked(fd int) uintptr { return uintptr(own)<<32 | uintptr(uint32(fd)) }
