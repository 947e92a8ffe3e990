package sandbox

import (
	"context"
	"errors"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// attempt is one running process and everything that Run waits for. One thread polls all of it.
type attempt struct {
	cmd   *Cmd
	pid   int // also the number of the process group; 0 where a keeper has the process
	pidfd int

	keeper   *held // of a confined process
	own      bool  // the keeper is for this process only
	sweeping bool  // the keeper was told to kill everything
	others   bool  // it says that processes are left
	failed   error // it says that the process could not be started
	lookouts []*lookout
	lookAt   time.Time     // when those begin to look; zero when they do
	before   time.Duration // the processor time of the keeper's group when the job began

	stdin         int // our end, -1 when all of Stdin is written
	input         []byte
	outputs       [2]stream
	cancel        int // eventfd that the context writes to
	patience      func() time.Duration
	termAt        time.Time
	killAt        time.Time // zero until SIGTERM was sent
	killed        bool
	giveUpAt      time.Time // zero unless a keeper was told to kill
	ended         bool      // the pidfd says so
	over          *bool     // what a lookout says: a field of the report
	report        Report
	childEnds     [3]int // given to the child
	deadlineTimer unix.Timespec
	buffer        *[]byte // for reading output, once there is some
}

// stream is our end of one output pipe.
type stream struct {
	fd      int // -1 at the end
	capture *Capture
}

// Run starts the process, waits for its end, and makes sure that nothing of it is left. The error is a *StartError where
// it did not start; whatever it did once it ran is in the report. The captures are complete, but not closed.
func (c *Cmd) Run(ctx context.Context) (Report, error) {
	if err := ctx.Err(); err != nil {
		return Report{Cancelled: true, ExitCode: -1, Started: time.Now()}, nil
	}
	// The kernel sends the parent-death signal when the thread that forked ends, not when the process does.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	a := &attempt{cmd: c, pidfd: -1, stdin: -1, cancel: -1, childEnds: [3]int{-1, -1, -1}}
	a.patience = func() time.Duration { return c.grace(ctx) }
	a.outputs[0] = stream{fd: -1, capture: c.Stdout}
	a.outputs[1] = stream{fd: -1, capture: c.Stderr}
	a.report.Level = c.level()
	defer a.close()
	begin := a.start
	if c.level() != LevelNone {
		begin = a.startConfined
	}
	if err := begin(); err != nil {
		return Report{ExitCode: -1, Level: c.level(), Started: a.report.Started}, err
	}
	if ctx.Done() != nil {
		// The eventfd must live as long as somebody may write to it, so closing it waits for the function where
		// that has begun.
		var wrote sync.WaitGroup
		wrote.Add(1)
		stop := context.AfterFunc(ctx, func() {
			defer wrote.Done()
			unix.Write(a.cancel, []byte{1, 0, 0, 0, 0, 0, 0, 0})
		})
		defer func() {
			if !stop() {
				wrote.Wait()
			}
		}()
	}
	a.watch()
	a.finish()
	if a.failed != nil {
		return Report{ExitCode: -1, Level: c.level(), Started: a.report.Started}, a.failed
	}
	return a.report, nil
}

func (a *attempt) close() {
	if a.buffer != nil {
		buffers.Put(a.buffer)
	}
	for _, fd := range a.childEnds {
		closeFD(fd)
	}
	for _, s := range a.outputs {
		closeFD(s.fd)
	}
	closeFD(a.stdin)
	for _, l := range a.lookouts {
		l.end()
	}
	closeFD(a.cancel)
	closeFD(a.pidfd)
	a.release()
}

func closeFD(fd int) {
	if fd >= 0 {
		unix.Close(fd)
	}
}

// start makes the pipes and the process.
func (a *attempt) start() error {
	c := a.cmd
	a.report.Started = time.Now()
	if err := a.pipes(); err != nil {
		return c.failed(c.Path, ReasonOther, err)
	}
	if c.bare() {
		return a.startBare()
	}
	attr := &syscall.ProcAttr{
		Dir:   c.Dir,
		Env:   c.Env,
		Files: []uintptr{uintptr(a.childEnds[0]), uintptr(a.childEnds[1]), uintptr(a.childEnds[2])},
		// A session of its own is a process group of its own, and has no terminal: a job must not be able to read
		// the answer to a question that we ask, nor type one.
		Sys: &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL, PidFD: &a.pidfd},
	}
	Seal()
	pid, err := syscall.ForkExec(c.Path, c.Argv, attr)
	if err != nil {
		a.pidfd = -1
		return c.startError(err)
	}
	a.pid = pid
	if a.pidfd < 0 {
		unix.Kill(-pid, unix.SIGKILL)
		a.reap()
		return &StartError{Path: c.Path, Reason: ReasonOther, Err: errors.New("no pidfd: Linux 5.4 or later is needed")}
	}
	a.setTimeout()
	return nil
}

func (a *attempt) setTimeout() {
	if t := a.cmd.Timeout; t > 0 {
		a.termAt = a.report.Started.Add(t)
	}
}

// feed writes what the pipe takes; most inputs fit whole, before the process starts.
func (a *attempt) feed() {
	for len(a.input) > 0 {
		n, err := unix.Write(a.stdin, a.input)
		if err == unix.EINTR {
			continue
		}
		if err == unix.EAGAIN {
			return
		}
		if err != nil {
			break // the process does not want more
		}
		a.input = a.input[n:]
	}
	closeFD(a.stdin)
	a.stdin, a.input = -1, nil
}

// watch returns when the process has ended. It is not reaped yet, so that its number still stands for its group.
//
// The child's ends of the output pipes stay open here meanwhile. Without them each output would be reported as hung up
// when the process closes it, which in most cases is at its end: three wake-ups where one does.
func (a *attempt) watch() {
	closeFD(a.childEnds[0])
	a.childEnds[0] = -1
	for !a.ended {
		deadline := a.termAt
		if !a.killAt.IsZero() {
			deadline = a.killAt
		}
		if a.killed {
			deadline = a.giveUpAt
		}
		if !a.lookAt.IsZero() && !a.killed && (deadline.IsZero() || a.lookAt.Before(deadline)) {
			deadline = a.lookAt
		}
		cancelled := a.poll(deadline, !a.report.Cancelled)
		now := time.Now()
		if !a.lookAt.IsZero() && !now.Before(a.lookAt) && !a.ended {
			a.lookAt = time.Time{}
			for _, l := range a.lookouts {
				if l.begin() != nil {
					a.lookAt = now.Add(firstLook)
				}
			}
		}
		switch {
		case a.ended:
		case !a.killed && a.over != nil:
			*a.over = true
			a.report.Stopped = a.members()
			a.kill(now)
		case cancelled:
			a.report.Cancelled = true
			a.report.Stopped = a.members()
			a.signal(unix.SIGTERM)
			// A timeout that came first has its own, shorter patience.
			if a.killAt.IsZero() {
				a.killAt = now.Add(a.patience())
			}
		case a.killAt.IsZero() && !a.termAt.IsZero() && !now.Before(a.termAt):
			a.report.TimedOut = true
			a.report.Stopped = a.members()
			a.signal(unix.SIGTERM)
			a.killAt = now.Add(a.cmd.timeoutGrace())
		case !a.killAt.IsZero() && !a.killed && !now.Before(a.killAt):
			a.kill(now)
		case !a.giveUpAt.IsZero() && !now.Before(a.giveUpAt):
			a.lose()
		}
	}
	a.report.Duration = time.Since(a.report.Started)
}

// namesFor is how long the names of processes are looked for that are to be ended: they are for people, and come before
// the end.
const namesFor = 20 * time.Millisecond

// members are the names of the first few processes of the job that there are now.
func (a *attempt) members() (names []string) {
	until := time.Now().Add(namesFor)
	more := func(pid int) bool {
		names = append(names, comm(pid))
		return len(names) < namesKept && time.Now().Before(until)
	}
	if a.keeper == nil {
		eachOf(a.cmd.Mark, a.pid, more)
		return names
	}
	last := ""
	descend(a.keeper.pid, func(task string) bool {
		process, _, _ := strings.Cut(task[len("/proc/"):], "/")
		if process == last {
			return time.Now().Before(until) // another thread
		}
		last = process
		pid, err := strconv.Atoi(process)
		if st, ok := readStat(process); err != nil || !ok || !st.alive {
			return time.Now().Before(until)
		}
		return more(pid)
	})
	return names
}

// kill ends the process. A keeper that does not say soon that it has ended hangs itself, as a process does that is about
// to execute a file of a server that does not answer.
func (a *attempt) kill(now time.Time) {
	a.signal(unix.SIGKILL)
	a.killed = true
	if a.keeper != nil {
		a.giveUpAt = now.Add(2 * dying)
	}
}

// signal reaches the whole group. SIGCONT lets a stopped process act on SIGTERM.
func (a *attempt) signal(sig syscall.Signal) {
	if a.keeper != nil {
		a.tell(sig)
		return
	}
	unix.Kill(-a.pid, sig)
	if sig == unix.SIGTERM {
		unix.Kill(-a.pid, unix.SIGCONT)
	}
}
