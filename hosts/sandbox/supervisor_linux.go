//go:build linux && (amd64 || arm64)

package sandbox

import (
	"slices"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// supervisor decides about the few calls of a job where it matters what a descriptor or an address in memory stands for,
// which a filter cannot see. The kernel stops the caller and asks (seccomp user notification); the keeper does what it is
// asked for in the caller's place, on a copy of the address and on the same socket or file. Letting the call continue
// after a look at it would not do: another thread of the job could change both meanwhile.
//
// It runs on the keeper's own thread, between its other duties, and never waits: what cannot be done yet is tried again.
type supervisor struct {
	listener int      // -1 where the kernel asks about nothing
	inside   []uint64 // mounts of the job's own folders
	writable []string // at LevelRestricted, where being read-only is no property of a mount
	waiting  []*deed

	instances, watches, events uint64 // that this job asked for
}

// What a job may have of things that the kernel counts for a user, or for the machine, as a whole.
const (
	maxInstances = 64   // of inotify
	maxWatches   = 8192 // of inotify
	maxEvents    = 4096 // of asynchronous input and output, of 65,536 that a machine has by default
	maxWaiting   = 256  // calls that are tried again
)

// tryAgain is how long the keeper waits between attempts.
const tryAgain = 2 * time.Millisecond

// own marks a call of the keeper itself, which the filter for it lets pass: in the half of the first argument that the
// kernel drops, since a descriptor has 32 bits. The filter of a job refuses the mark.
const own = 0x4b656570

// question is struct seccomp_notif: a call that waits for an answer.
type question struct {
	id   uint64
	pid  uint32
	_    uint32
	nr   int32
	_    uint32
	_    uint64
	args [6]uint64
}

// answer is struct seccomp_notif_resp.
type answer struct {
	id    uint64
	value int64
	errno int32
	flags uint32
}

// questions are the calls that the keeper decides about.
func questions(level Level, network bool) rules {
	p := make(rules)
	ask := bpf.RetConstant{Val: unix.SECCOMP_RET_USER_NOTIF}
	foreign := []bpf.Instruction{bpf.LoadAbsolute{Off: offArgs + 4, Size: 4}, bpf.JumpIf{Cond: bpf.JumpEqual, Val: own, SkipTrue: 1}, ask, allow}
	p.on(unix.SYS_FLOCK, foreign...)
	p.on(unix.SYS_IO_SETUP, ask)
	if level == LevelFull {
		if !network {
			p.on(unix.SYS_CONNECT, foreign...)
		}
		for _, n := range watching {
			p.on(n, ask)
		}
		p.on(unix.SYS_INOTIFY_ADD_WATCH, ask)
	}
	return p
}

// supervise has the kernel ask about calls of whatever this thread starts from now on. Where another one is asked already,
// as in some containers, that cannot be had.
func (k *keeper) supervise() error {
	s := &k.supervisor
	s.listener = -1
	if k.Level == LevelFull {
		for _, path := range []string{k.Confine.Work, "/tmp"} {
			if path == "" || path == "/tmp" && !tmpMount(&k.Confine) {
				continue
			}
			id, err := mountOf(unix.AT_FDCWD, path)
			if err != nil {
				return err
			}
			s.inside = append(s.inside, id)
		}
	} else {
		s.writable = k.Confine.writable()
	}
	// A caller whose question was heard is not interrupted by signals: it would ask again for what was done already.
	fd, err := questions(k.Level, k.Confine.Network).putOn(allow,
		unix.SECCOMP_FILTER_FLAG_NEW_LISTENER|unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV)
	if err != nil {
		return err
	}
	s.listener = int(fd)
	unix.CloseOnExec(s.listener)
	return nil
}

// mountOf returns the number of the mount that a file is reached through.
func mountOf(dir int, path string) (uint64, error) {
	var st unix.Statx_t
	if err := unix.Statx(dir, path, unix.AT_EMPTY_PATH|unix.AT_SYMLINK_NOFOLLOW, unix.STATX_MNT_ID, &st); err != nil {
		return 0, err
	}
	if st.Mask&unix.STATX_MNT_ID == 0 {
		return 0, unix.ENOSYS
	}
	return st.Mnt_id, nil
}

// begin is called for each new job.
func (s *supervisor) begin() { s.instances, s.watches, s.events = 0, 0, 0 }

// hear takes one question and answers it, or puts it by.
func (s *supervisor) hear() {
	var q question
	if s.control(unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&q)) != 0 {
		return // the caller is gone
	}
	switch q.nr {
	case unix.SYS_CONNECT, unix.SYS_FLOCK:
		d, errno := s.prepare(&q)
		if errno != 0 {
			s.answer(&q, errno)
			return
		}
		if !s.carryOut(d) {
			return
		}
		if len(s.waiting) == maxWaiting {
			d.close()
			s.answer(&q, unix.EAGAIN)
			return
		}
		s.waiting = append(s.waiting, d)
	case unix.SYS_IO_SETUP:
		s.allot(&q, &s.events, q.args[0]&0xffffffff, maxEvents, unix.EAGAIN)
	case unix.SYS_INOTIFY_ADD_WATCH:
		s.allot(&q, &s.watches, 1, maxWatches, unix.ENOSPC)
	default:
		s.allot(&q, &s.instances, 1, maxInstances, unix.EMFILE)
	}
}

// retry has another look at what could not be done.
func (s *supervisor) retry() {
	s.waiting = slices.DeleteFunc(s.waiting, func(d *deed) bool {
		if !s.valid(&d.question) {
			d.close()
			return true
		}
		return !s.carryOut(d)
	})
}

// carryOut does what was asked for and answers. It returns true where it has to be tried again.
func (s *supervisor) carryOut(d *deed) (again bool) {
	errno, again := d.try()
	if !again {
		d.close()
		s.answer(&d.question, errno)
	}
	return again
}

// allot lets a call continue while the job has some left of what it asks for: nothing that it points to is looked at.
func (s *supervisor) allot(q *question, used *uint64, want, limit uint64, none syscall.Errno) {
	if want > limit || *used+want > limit {
		s.answer(q, none)
		return
	}
	*used += want
	a := answer{id: q.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
	s.control(unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&a))
}

func (s *supervisor) answer(q *question, errno syscall.Errno) {
	a := answer{id: q.id, errno: -int32(errno)}
	s.control(unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&a))
}

// valid reports whether the caller still waits, and its number is still its own.
func (s *supervisor) valid(q *question) bool {
	id := q.id
	return s.control(unix.SECCOMP_IOCTL_NOTIF_ID_VALID, unsafe.Pointer(&id)) == 0
}

func (s *supervisor) control(request uintptr, arg unsafe.Pointer) syscall.Errno {
	for {
		_, _, errno := syscall.RawSyscall(unix.SYS_IOCTL, uintptr(s.listener), request, uintptr(arg))
		if errno != unix.EINTR {
			return errno
		}
	}
}
