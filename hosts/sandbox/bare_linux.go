package sandbox

import (
	"errors"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// powers returns the capabilities of this process.
func powers() (unix.CapUserData, error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	err := unix.Capget(&header, &data[0])
	data[0].Permitted |= data[1].Permitted
	return data[0], err
}

// user is who the job runs as, nil is who we are.
func (c *Cmd) user() *User {
	if c.Confine == nil {
		return nil
	}
	return c.Confine.User
}

// bare reports whether a process at LevelNone has something to give up: what root can do, and whatever else we were given.
func (c *Cmd) bare() bool {
	p, err := powers()
	return err != nil || p.Permitted != 0 || os.Geteuid() == 0 || c.user() != nil
}

// become makes this process another user, on all its threads. nil is who we are.
func (u *User) become() error {
	if u == nil {
		return nil
	}
	if err := syscall.Setgroups(u.Groups); err != nil {
		return err
	}
	if err := syscall.Setresgid(u.GID, u.GID, u.GID); err != nil {
		return err
	}
	return syscall.Setresuid(u.UID, u.UID, u.UID)
}

// GiveUp makes this process, which acts for jobs, as powerful as they are: it is their user, nil is that this stays as it is, and has
// no capability.
func GiveUp(user *User) error {
	if err := user.become(); err != nil {
		return selfError("change of the user", err)
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	err := onAllThreads(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&none[0])), 0)
	runtime.KeepAlive(&header)
	if err != nil {
		return selfError("capabilities", err)
	}
	return nil
}

// startBare starts the process at LevelNone without any capability, and without a way to get one: neither by its user, nor by
// what it executes.
func (a *attempt) startBare() error {
	c := a.cmd
	if !clonable {
		return c.unconfined("clone", errors.New("on "+runtime.GOARCH+" jobs of root keep its capabilities: run as an ordinary user"))
	}
	p, err := powers()
	if err != nil {
		return c.unconfined("capabilities", err)
	}
	j := &birth{bare: true, streams: a.childEnds}
	if u := c.user(); u != nil {
		j.user, j.uid, j.gid = true, uintptr(u.UID), uintptr(u.GID)
		for _, g := range u.Groups {
			j.groups = append(j.groups, uint32(g))
		}
		j.groupCount = len(j.groups)
		j.groups = append(j.groups, 0) // so that there is one to point at
	}
	if p.Effective&(1<<unix.CAP_SETPCAP) != 0 {
		for unix.Prctl(unix.PR_CAPBSET_READ, uintptr(j.bounding), 0, 0, 0) == nil {
			j.bounding++
		}
	}
	if j.path, err = syscall.BytePtrFromString(c.Path); err != nil {
		return c.failed(c.Path, ReasonOther, err)
	}
	argv, err := syscall.SlicePtrFromStrings(c.Argv)
	if err != nil {
		return c.failed(c.Path, ReasonOther, err)
	}
	env, err := syscall.SlicePtrFromStrings(c.Env)
	if err != nil {
		return c.failed(c.Path, ReasonOther, err)
	}
	j.argv, j.env = &argv[0], &env[0]
	if j.dir, err = unix.Open(c.Dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
		return c.failed(c.Dir, ReasonDir, err)
	}
	defer unix.Close(j.dir)
	Seal()
	a.pid, err = j.start(0)
	if b, ok := errors.AsType[*birthError](err); ok {
		return c.birthFailed(b.step, b.errno)
	}
	a.pidfd = int(j.pidfd)
	a.setTimeout()
	return nil
}
