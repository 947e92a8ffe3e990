package sandbox

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// startConfined has a keeper start the process.
func (a *attempt) startConfined() error {
	c := a.cmd
	a.report.Started = time.Now()
	if c.Confine == nil || c.Level != LevelFull && c.Level != LevelRestricted {
		return c.unconfined("confinement", errors.New("level "+string(c.Level)+": nothing says what the job may reach"))
	}
	s, err := c.request()
	if err != nil {
		return c.failed(c.Dir, ReasonDir, err)
	}
	if err := a.pipes(); err != nil {
		return c.failed(c.Path, ReasonOther, err)
	}
	for started := false; !started; {
		if a.keeper, err = a.hire(); err != nil {
			a.keeper = nil
			if p, ok := errors.AsType[*problem](err); ok {
				return c.unconfined(p.Primitive, p)
			}
			return c.unconfined("keeper", err)
		}
		// What came before is about the sandbox; the time of the job begins now.
		a.report.Started = time.Now()
		a.before = a.keeper.group.cpuTime()
		// Only a failure is answered: waiting for a yes would wake two processes once more for each job.
		err := send(a.keeper.ctl, msgStart, s.encode(), a.childEnds[:]...)
		if err != nil {
			a.keeper.broken = true
			if !a.keeper.used {
				return c.unconfined("keeper", err)
			}
			a.release() // it waited for work, and somebody killed it; another one will do
			a.keeper = nil
		}
		started = err == nil
	}
	a.keeper.used = true
	a.setTimeout()
	if c.Confine.Limits.Disk > 0 && c.Confine.Work != "" {
		q := newQuota(c.Confine, a.keeper.pid)
		q.stop = &a.lookOut(&a.report.OverDisk, q.exceeded).stop
	}
	if g, most := a.keeper.group, a.before+c.Confine.Limits.cpu(); g.counts() {
		a.lookOut(&a.report.OverCPU, func(time.Time) bool { return g.cpuTime() >= most })
	}
	return nil
}

// cpu is the limit of processor time, which is not longer than a duration can be.
func (l *Limits) cpu() time.Duration { return time.Duration(min(l.CPU, 1<<32)) * time.Second }

// hire returns a keeper: of the command's Keepers, or one that lives as long as this thread, and no longer than Run.
func (a *attempt) hire() (*held, error) {
	c := a.cmd
	if c.Keepers != nil && c.Confine.Limits.Memory == 0 {
		return c.Keepers.take(c.Level, c.Confine)
	}
	if err := c.Confine.check(c.Level); err != nil {
		return nil, trouble("confinement", err)
	}
	h, err := fork(c.Level, c.Confine)
	if err != nil {
		return nil, err
	}
	a.own = true
	if err := h.intoGroup(c.Level, c.Confine); err != nil {
		return nil, err
	}
	return h, h.setup(c.Level, c.Confine)
}

// release gives the keeper back.
func (a *attempt) release() {
	switch {
	case a.keeper == nil:
	case a.own:
		a.keeper.close()
	default:
		a.cmd.Keepers.give(a.keeper)
	}
}

// unconfined is the error of a process that could not be confined: for lack of a primitive, unless the machine is only out
// of what it takes at this moment.
func (c *Cmd) unconfined(primitive string, err error) *StartError {
	e := c.failed(c.Path, ReasonConfine, err)
	if e.Reason == ReasonConfine {
		e.Primitive = primitive
	}
	return e
}

// birthFailed says what it means that a new process got as far as at.
func (c *Cmd) birthFailed(at step, errno syscall.Errno) *StartError {
	switch at {
	case stepExec:
		return c.failed(c.Path, c.reason(errno), errno)
	case stepDir:
		return c.failed(c.Dir, ReasonDir, errno)
	}
	return c.unconfined(at.primitive(), errno)
}

// request resolves the folder to a path that means the same in the keeper's file system, and to what is there now. The
// folder may be named by a descriptor of ours.
func (c *Cmd) request() (*start, error) {
	fd, err := unix.Open(c.Dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, err
	}
	dir, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
	if err != nil {
		return nil, err
	}
	for _, list := range [][]string{c.Argv, c.Env} {
		for _, v := range list {
			if _, err := syscall.BytePtrFromString(v); err != nil {
				return nil, &fs.PathError{Op: "exec", Path: c.Path, Err: err}
			}
		}
	}
	return &start{dev: uint64(st.Dev), ino: st.Ino, path: c.Path, dir: dir, argv: c.Argv, env: c.Env}, nil
}

// tell passes a signal on. SIGKILL is for everything that the job started.
func (a *attempt) tell(sig syscall.Signal) {
	kind := msgTerm
	if sig == unix.SIGKILL {
		if a.sweeping {
			return
		}
		kind, a.sweeping = msgSweep, true
	}
	if send(a.keeper.ctl, kind, nil) != nil {
		a.lose()
	}
}

// hear takes what the keeper has to say: that the process ended, or did not start.
func (a *attempt) hear() {
	kind, payload, _, err := receive(a.keeper.ctl)
	if err == nil && kind == msgFailed && len(payload) == 8 {
		at, errno := step(binary.LittleEndian.Uint32(payload)), syscall.Errno(binary.LittleEndian.Uint32(payload[4:]))
		a.ended, a.failed = true, a.cmd.birthFailed(at, errno)
		return
	}
	if err != nil || kind != msgEnded {
		a.lose()
		return
	}
	e, err := decodeEnded(payload)
	if err != nil {
		a.lose()
		return
	}
	a.ended, a.others = true, e.others
	a.note(e.status)
	a.report.CPU, a.report.MaxRSS = e.cpu, e.rss
}

func (a *attempt) note(status unix.WaitStatus) {
	a.report.ExitCode = status.ExitStatus()
	if status.Signaled() {
		a.report.ExitCode, a.report.Signal = -1, status.Signal()
	}
}

// lose is for a keeper that is gone. At LevelFull all that it kept went with it.
func (a *attempt) lose() {
	unix.Kill(a.keeper.pid, unix.SIGKILL)
	a.keeper.broken, a.ended, a.others = true, true, false
	a.report.Lost, a.report.ExitCode, a.report.Signal = true, -1, unix.SIGKILL
}

// finishConfined has the keeper end what is left.
func (a *attempt) finishConfined() {
	if a.others {
		a.tell(unix.SIGKILL)
	}
	if a.sweeping && !a.report.Lost {
		a.swept()
	}
	if a.report.Lost {
		// What it kept is ours when it is dead, and not before.
		unix.Kill(a.keeper.pid, unix.SIGKILL)
		unix.Waitid(unix.P_PID, a.keeper.pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		s := endAdopted()
		killed, left := sweep(a.cmd.Mark, 0)
		a.report.Survivors += s.killed + killed
		a.report.Leaked += s.left + left
		a.report.Killed = s.names
	}
	if g := a.keeper.group; g != nil {
		a.report.OverMemory = g.killed()
		a.report.MaxRSS = max(a.report.MaxRSS, g.peak())
		a.report.CPU = max(a.report.CPU, g.cpuTime()-a.before)
	}
	switch most := a.cmd.Confine.Limits.cpu(); {
	case most == 0 || a.report.ExitCode == 0:
	case a.keeper.group.counts():
		a.report.OverCPU = a.report.OverCPU || a.report.CPU >= most
	case a.report.Signal == unix.SIGKILL: // as the kernel kills it, which counts in ticks, and takes some for whole that were not
		a.report.OverCPU = a.report.CPU >= most-most/8
	}
	if a.held() {
		a.drain(a.cmd.waitDelay())
	}
}

func (a *attempt) swept() {
	// A keeper is done, or gives up, in that time; one that says nothing was stopped.
	fds := []unix.PollFd{{Fd: int32(a.keeper.ctl), Events: unix.POLLIN}}
	for deadline := time.Now().Add(2 * dying); ; {
		n, err := unix.Poll(fds, max(int(time.Until(deadline).Milliseconds()), 1))
		if n > 0 {
			break
		}
		if err != unix.EINTR {
			a.lose()
			return
		}
	}
	kind, payload, _, err := receive(a.keeper.ctl)
	if err == nil && kind != msgSwept {
		err = errMessage
	}
	var s swept
	if err == nil {
		s, err = decodeSwept(payload)
	}
	if err != nil {
		a.keeper.broken, a.report.Lost = true, true
		return
	}
	a.report.Survivors, a.report.Leaked, a.report.Killed = s.killed, s.left, s.names
	// What would not die may yet wake up, and must not do that inside somebody else's attempt.
	a.keeper.broken = s.left > 0
}
