//go:build linux && (amd64 || arm64)

package sandbox

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// clonable says that this file exists for the architecture.
const clonable = true

// cloning makes the call clone3 or clone for a process that shares our memory until it executes something, while the calling
// thread waits (vfork). It returns twice: with 0 in the child, which runs on the same stack.
func cloning(call, a, b, c uintptr) (pid, errno uintptr)

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
	pid, errno = cloning(j.call, j.operands[0], j.operands[1], j.operands[2])
	if errno != 0 || pid != 0 {
		return pid, errno
	}
	var e syscall.Errno
	var r uintptr
	var i int

	if !j.bare {
		goto confined // its keeper did this
	}
	j.step = stepCapabilities
	for i = 0; i < j.bounding; i++ {
		if _, _, e = syscall.RawSyscall6(unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, uintptr(i), 0, 0, 0, 0); e != 0 {
			goto failed
		}
	}
	if j.bounding > 0 {
		if _, _, e = syscall.RawSyscall6(unix.SYS_PRCTL, unix.PR_SET_SECUREBITS, secureBits, 0, 0, 0, 0); e != 0 {
			goto failed
		}
	}
	if _, _, e = syscall.RawSyscall6(unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0, 0); e != 0 {
		goto failed
	}
	if j.user {
		j.step = stepUser
		if _, _, e = syscall.RawSyscall(unix.SYS_SETGROUPS, uintptr(j.groupCount), uintptr(unsafe.Pointer(&j.groups[0])), 0); e != 0 {
			goto failed
		}
		if _, _, e = syscall.RawSyscall(unix.SYS_SETRESGID, j.gid, j.gid, j.gid); e != 0 {
			goto failed
		}
		if _, _, e = syscall.RawSyscall(unix.SYS_SETRESUID, j.uid, j.uid, j.uid); e != 0 {
			goto failed
		}
	}
	j.step = stepPrivileges
	if _, _, e = syscall.RawSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0); e != 0 {
		goto failed
	}
	// clone has no flag for this, as clone3 has, which containers refuse. A handler of Go's would run on our memory.
	for i = 1; i <= 64; i++ {
		syscall.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(i), uintptr(unsafe.Pointer(&j.action[0])), 0, 8, 0, 0)
	}
confined:
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
	if !j.bare {
		j.step = stepLandlock
		if _, _, e = syscall.RawSyscall(unix.SYS_LANDLOCK_RESTRICT_SELF, uintptr(j.ruleset), 0, 0); e != 0 {
			goto failed
		}
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
	if _, _, e = syscall.RawSyscall(unix.SYS_CLOSE_RANGE, 3, 1<<31-1, unix.CLOSE_RANGE_CLOEXEC); e != 0 && !j.bare { // Seal did what it could
		goto failed
	}
	// All handlers are gone, so no code of ours runs when a signal comes in now.
	if _, _, e = syscall.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK,
		uintptr(unsafe.Pointer(&j.noSignals)), 0, 8, 0, 0); e != 0 {
		goto failed
	}
	if !j.bare {
		j.step = stepSeccomp
		if _, _, e = syscall.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0,
			uintptr(unsafe.Pointer(&j.filter))); e != 0 {
			goto failed
		}
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
