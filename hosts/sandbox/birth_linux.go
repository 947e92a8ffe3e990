package sandbox

import (
	"fmt"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// step is how far a new process got.
type step uint32

const (
	stepClone step = iota
	stepSession
	stepParent
	stepLimits
	stepCapabilities
	stepUser
	stepPrivileges
	stepLandlock
	stepDir
	stepStreams
	stepSeccomp
	stepExec
)

// primitive names what a step needs of the system.
func (s step) primitive() string {
	switch s {
	case stepClone:
		return "clone"
	case stepSession:
		return "setsid"
	case stepParent:
		return "parent-death signal"
	case stepLimits:
		return "resource limits"
	case stepCapabilities:
		return "capabilities"
	case stepUser:
		return "change of the user"
	case stepPrivileges:
		return "no_new_privs"
	case stepLandlock:
		return "Landlock"
	case stepStreams:
		return "close_range"
	case stepSeccomp:
		return "seccomp"
	}
	return "exec"
}

// cloneArgs is struct clone_args of Linux 5.7.
type cloneArgs struct {
	flags, pidFD uint64
	_            [2]uint64 // where to store thread ids
	exitSignal   uint64
	_            [6]uint64 // stack, thread-local storage, chosen ids, cgroup
}

type limit struct {
	resource int
	value    unix.Rlimit
}

// birth is what the child needs between clone and exec, and what it says about it.
type birth struct {
	call       uintptr // clone3, or clone where it is bare
	operands   [3]uintptr
	args       cloneArgs
	parent     uintptr
	limits     [10]limit
	limitCount int
	capHeader  unix.CapUserHeader
	capData    [2]unix.CapUserData // empty: no capability
	ruleset    int
	dir        int
	streams    [3]int
	noSignals  uint64
	filter     unix.SockFprog
	path       *byte
	argv, env  **byte

	// Of a process that no keeper starts, at LevelNone, and that gives up itself what one has given up.
	bare       bool
	bounding   int  // capabilities that are taken from what a program could give it
	user       bool // it becomes another one
	uid, gid   uintptr
	groups     []uint32 // not empty
	groupCount int
	action     [4]uintptr // struct sigaction: the default

	pidfd int32
	step  step
	errno uintptr
}

// birthError is a step that failed.
type birthError struct {
	step  step
	errno syscall.Errno
}

func (e *birthError) Error() string { return fmt.Sprintf("%s: %v", e.step.primitive(), e.errno) }
func (e *birthError) Unwrap() error { return e.errno }

// start makes the process, on the calling thread, to which the goroutine is locked.
func (j *birth) start(flags uint64) (pid int, err error) {
	j.pidfd, j.step, j.errno = -1, stepClone, 0
	j.args = cloneArgs{flags: flags | unix.CLONE_VM | unix.CLONE_VFORK | unix.CLONE_PIDFD | unix.CLONE_CLEAR_SIGHAND,
		exitSignal: uint64(unix.SIGCHLD), pidFD: uint64(uintptr(unsafe.Pointer(&j.pidfd)))}
	j.call, j.operands = unix.SYS_CLONE3, [3]uintptr{uintptr(unsafe.Pointer(&j.args)), unsafe.Sizeof(j.args)}
	if j.bare {
		const how = unix.CLONE_VM | unix.CLONE_VFORK | unix.CLONE_PIDFD
		j.call, j.operands = unix.SYS_CLONE, [3]uintptr{how | uintptr(unix.SIGCHLD), 0, uintptr(unsafe.Pointer(&j.pidfd))}
	}
	j.parent = uintptr(unix.Getpid())
	j.capHeader.Version = unix.LINUX_CAPABILITY_VERSION_3
	// A handler of the Go runtime that ran in the child would be the end of both.
	all, old := ^uint64(0), uint64(0)
	sigmask(&all, &old)
	child, errno := vfork(j)
	sigmask(&old, nil)
	runtime.KeepAlive(j)
	if errno != 0 {
		return 0, &birthError{step: stepClone, errno: syscall.Errno(errno)}
	}
	if j.errno != 0 {
		unix.Close(int(j.pidfd))
		var status unix.WaitStatus
		for {
			if _, err := unix.Wait4(int(child), &status, 0, nil); err != unix.EINTR {
				break
			}
		}
		return 0, &birthError{step: j.step, errno: syscall.Errno(j.errno)}
	}
	return int(child), nil
}

func sigmask(set, old *uint64) {
	syscall.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(set)),
		uintptr(unsafe.Pointer(old)), 8, 0, 0)
}

// limit adds one. Where we are held to less ourselves, so is the job.
func (j *birth) limit(resource int, value int64) {
	v := uint64(value)
	var own unix.Rlimit
	if unix.Getrlimit(resource, &own) == nil {
		v = min(v, own.Max)
	}
	j.limits[j.limitCount] = limit{resource: resource, value: unix.Rlimit{Cur: v, Max: v}}
	j.limitCount++
}
