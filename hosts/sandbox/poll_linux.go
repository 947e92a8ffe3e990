package sandbox

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// buffers are for reading output. They have the capacity of a pipe.
var buffers = sync.Pool{New: func() any { b := make([]byte, 64<<10); return &b }}

// poll waits for something to happen, until deadline where that is set, and moves what there is to move.
func (a *attempt) poll(deadline time.Time, cancellable bool) (cancelled bool) {
	fds := [7]unix.PollFd{
		{Fd: int32(a.outputs[0].fd), Events: unix.POLLIN},
		{Fd: int32(a.outputs[1].fd), Events: unix.POLLIN},
		{Fd: int32(a.pidfd), Events: unix.POLLIN},
		{Fd: int32(a.stdin), Events: unix.POLLOUT},
		{Fd: -1, Events: unix.POLLIN},
		{Fd: -1, Events: unix.POLLIN},
		{Fd: -1, Events: unix.POLLIN},
	}
	if a.keeper != nil {
		fds[2].Fd = int32(a.keeper.ctl)
	}
	if a.ended {
		fds[2].Fd = -1
	}
	if cancellable {
		fds[4].Fd = int32(a.cancel)
	}
	if a.over == nil {
		for i, l := range a.lookouts {
			fds[5+i].Fd = int32(l.said)
		}
	}
	var timeout *unix.Timespec
	if !deadline.IsZero() {
		a.deadlineTimer = unix.NsecToTimespec(max(int64(time.Until(deadline)), 0))
		timeout = &a.deadlineTimer
	}
	n, err := unix.Ppoll(fds[:], timeout, nil)
	if err != nil || n == 0 {
		return false // interrupted, or time is up; the caller looks at the clock
	}
	for i := range a.outputs {
		if fds[i].Revents != 0 {
			a.read(&a.outputs[i])
		}
	}
	if fds[3].Revents != 0 {
		a.feed()
	}
	if fds[2].Revents != 0 && a.keeper != nil {
		a.hear()
	} else if fds[2].Revents != 0 {
		a.ended = true
	}
	for i, l := range a.lookouts {
		if fds[5+i].Revents != 0 {
			a.over = l.over
		}
	}
	return fds[4].Revents != 0
}

// read takes what is in the pipe, once: a process that writes faster than we read must not keep us from the clock. At the
// end of the pipe the stream is closed. It returns the number of bytes.
func (a *attempt) read(s *stream) int {
	if a.buffer == nil {
		a.buffer = buffers.Get().(*[]byte)
	}
	for {
		n, err := unix.Read(s.fd, *a.buffer)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			return 0
		case err != nil || n == 0:
			closeFD(s.fd)
			s.fd = -1
			return 0
		}
		s.capture.Write((*a.buffer)[:n])
		return n
	}
}
