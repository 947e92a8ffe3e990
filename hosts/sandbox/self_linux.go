package sandbox

import (
	"errors"
	"fmt"
	"runtime"
	"syscall"

	landlock "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// RestrictSelf takes from this process, for good, all files but those that lie in writable, all sockets, and the system
// calls that no job has either. Files that are open stay open. It is for a process that acts on behalf of jobs and starts
// no programs. Between the two it gives up what jobs do not have (GiveUp).
//
// The calling goroutine has its thread to itself from now on. Where the program is linked with C (a race detector, mostly),
// Go cannot make each thread restrict itself by Landlock, and only this one is; the filter of system calls is on all.
func RestrictSelf(writable []string, user *User) error {
	runtime.LockOSThread()
	abi := landlockABI()
	if abi == 0 {
		return selfError("Landlock", unix.ENOSYS)
	}
	fd, err := selfRuleset(writable, abi)
	if err != nil {
		return selfError("Landlock", err)
	}
	defer unix.Close(fd)
	if err := GiveUp(user); err != nil {
		return err
	}
	if err := onAllThreads(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0); err != nil {
		return selfError("no_new_privs", err)
	}
	if err := onAllThreads(unix.SYS_LANDLOCK_RESTRICT_SELF, uintptr(fd), 0, 0); err != nil {
		return selfError("Landlock", err)
	}
	thread, err := permissions(LevelRestricted, reachNothing, namesNone, false).putOn(kill9, unix.SECCOMP_FILTER_FLAG_TSYNC)
	switch {
	case err != nil:
		return selfError("seccomp", err)
	case thread != 0:
		return selfError("seccomp", fmt.Errorf("thread %d has another filter", thread))
	}
	return nil
}

func selfError(primitive string, err error) error {
	return &StartError{Path: "worker", Reason: ReasonConfine, Err: fmt.Errorf("%s: %w", primitive, err), Primitive: primitive}
}

// selfRuleset leaves out the scope of signals: each thread gets a domain of its own, and Go's threads signal each other.
func selfRuleset(writable []string, abi int) (fd int, err error) {
	attr := handled(abi)
	attr.Scoped &^= landlock.ScopeSignal
	if fd, err = landlock.LandlockCreateRuleset(&attr, 0); err != nil {
		return -1, err
	}
	for _, path := range writable {
		if err := allowPath(fd, path, writeRights&^landlock.AccessFSExecute&attr.HandledAccessFS, Object{}); err != nil {
			unix.Close(fd)
			return -1, err
		}
	}
	return fd, nil
}

// onAllThreads makes a call on every thread of this process, or where that cannot be, on this one.
func onAllThreads(call, a, b, c uintptr) error {
	_, _, errno := syscall.AllThreadsSyscall6(call, a, b, c, 0, 0, 0)
	if errors.Is(errno, syscall.ENOTSUP) {
		_, _, errno = syscall.RawSyscall6(call, a, b, c, 0, 0, 0)
	}
	if errno != 0 {
		return errno
	}
	return nil
}
