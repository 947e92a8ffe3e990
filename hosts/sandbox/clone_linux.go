//go:build linux && (amd64 || arm64)

package sandbox

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// clonable says that this file exists for the architecture.
const clonable = true

// clone3 starts a process that shares our memory until it executes something, while the calling thread waits (vfork). It
// returns twice: with 0 in the child, which runs on the same stack.
func clone3(args *cloneArgs, size uintptr) (pid, errno uintptr)

// vfork starts the job's process. What is between clone and exec here belongs to one process, not to a thread of ours,
// and cannot be done through package syscall: limits, Landlock, seccomp, the loss of all capabilities. All memory is
// shared meanwhile, so the child tells us by two variables how far it got.
//
// The child runs on the stack of the thread that waits for it: nothing here may allocate, split the stack, or return in
// the child. package syscall does the same in forkAndExecInChild1.
//
//go:noinline
//go:nosplit
//go:norace
//go:nocheckptr
func vfork(j *birth) (pid, errno uintptr) {
	pid, errno = clone3(&j.args, unsafe.Sizeof(j.args))
	if errno != 0 || pid != 0 {
		return pid, errno
	}
	var e syscall.Errno
	var r uintptr
	var i int

	j.step = stepSession
	if _, _, e = syscall.RawSyscall(unix.SYS_SETSID, 0, 0, 0); e != 0 {
		goto failed
	}
	// The keeper may be dead already; then nobody would send the signal.
	j.step = stepParent
	if _, _, e = syscall.RawSyscall6(unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0, 0); e != 0 {
		goto failed
	}
	if r, _, _ = syscall.RawSyscall(unix.SYS_GETPPID, 0, 0, 0); r != j.parent {
		e = unix.ESRCH
		goto failed
	}
	j.step = stepLimits
	for i = 0; i < j.limitCount; i++ {
		if _, _, e = syscall.RawSyscall6(unix.SYS_PRLIMIT64, 0, uintptr(j.limits[i].resource),
			uintptr(unsafe.Pointer(&j.limits[i].value)), 0, 0, 0); e != 0 {
			goto failed
		}
	}
	j.step = stepCapabilities
	if _, _, e = syscall.RawSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&j.capHeader)),
		uintptr(unsafe.Pointer(&j.capData[0])), 0); e != 0 {
		goto failed
	}
	j.step = stepLandlock
	if _, _, e = syscall.RawSyscall(unix.SYS_LANDLOCK_RESTRICT_SELF, uintptr(j.ruleset), 0, 0); e != 0 {
		goto failed
	}
	j.step = stepDir
	if _, _, e = syscall.RawSyscall(unix.SYS_FCHDIR, uintptr(j.dir), 0, 0); e != 0 {
		goto failed
	}
	j.step = stepStreams
	for i = 0; i < len(j.streams); i++ {
		if _, _, e = syscall.RawSyscall(unix.SYS_DUP3, uintptr(j.streams[i]), uintptr(i), 0); e != 0 {
			goto failed
		}
	}
	if _, _, e = syscall.RawSyscall(unix.SYS_CLOSE_RANGE, 3, 1<<31-1, unix.CLOSE_RANGE_CLOEXEC); e != 0 {
		goto failed
	}
	// All handlers are gone (CLONE_CLEAR_SIGHAND), so no code of ours runs when a signal comes in now.
	if _, _, e = syscall.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK,
		uintptr(unsafe.Pointer(&j.noSignals)), 0, 8, 0, 0); e != 0 {
		goto failed
	}
	j.step = stepSeccomp
	if _, _, e = syscall.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0,
		uintptr(unsafe.Pointer(&j.filter))); e != 0 {
		goto failed
	}
	j.step = stepExec
	_, _, e = syscall.RawSyscall(unix.SYS_EXECVE, uintptr(unsafe.Pointer(j.path)),
		uintptr(unsafe.Pointer(j.argv)), uintptr(unsafe.Pointer(j.env)))
failed:
	j.errno = uintptr(e)
	for {
		syscall.RawSyscall(unix.SYS_EXIT_GROUP, 253, 0, 0)
	}
}
