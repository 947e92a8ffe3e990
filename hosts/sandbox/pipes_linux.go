package sandbox

import (
	"math"

	"golang.org/x/sys/unix"
)

// Seal keeps descriptors that our own caller left open without close-on-exec from the processes that we start: a pipe
// held by a job keeps the reader at its other end waiting, a file or socket is more than the job was given. All that we
// open ourselves has the flag already. Run does this each time, for a microsecond. Before Linux 5.11 it has no effect.
func Seal() { unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC) }

func (a *attempt) pipes() (err error) {
	if a.cancel, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return err
	}
	null := -1
	if a.cmd.Stdin == nil || a.cmd.Stdout == nil || a.cmd.Stderr == nil {
		if null, err = unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0); err != nil {
			return err
		}
		defer unix.Close(null)
	}
	for i := range a.childEnds {
		var p [2]int
		given := a.cmd.Stdin != nil
		if i > 0 {
			given = a.outputs[i-1].capture != nil
		}
		if !given {
			if a.childEnds[i], err = unix.FcntlInt(uintptr(null), unix.F_DUPFD_CLOEXEC, 3); err != nil {
				return err
			}
			continue
		}
		if err = unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
			return err
		}
		// Our end must not block. The child's is a file of its own, and stays as programs expect it.
		if i == 0 {
			a.childEnds[0], a.stdin = p[0], p[1]
		} else {
			a.childEnds[i], a.outputs[i-1].fd = p[1], p[0]
		}
		if err = unix.SetNonblock(p[1-min(i, 1)], true); err != nil {
			return err
		}
		if u := a.cmd.user(); u != nil { // who opens /dev/stdout anew
			if err = unix.Fchown(a.childEnds[i], u.UID, u.GID); err != nil {
				return err
			}
		}
	}
	if a.stdin >= 0 {
		a.input = a.cmd.Stdin
		a.feed()
	}
	return nil
}
