package sandbox

import (
	"time"

	"golang.org/x/sys/unix"
)

// dying is how long processes get to disappear after SIGKILL. Only one in uninterruptible sleep takes that long.
const dying = 2 * time.Second

// finish takes the rest of the output, ends what is left of the process group, reaps the process and looks for others
// where something suggests that there are any.
func (a *attempt) finish() {
	for i, fd := range a.childEnds {
		closeFD(fd)
		a.childEnds[i] = -1
	}
	closeFD(a.stdin)
	a.stdin = -1
	interrupted := a.report.TimedOut || a.report.Cancelled
	// Where nobody else holds the output, this comes to its end at once.
	a.drain(0)
	if a.held() && !interrupted {
		a.drain(a.cmd.waitDelay())
	}
	if a.keeper != nil {
		a.finishConfined()
		return
	}
	// The process is not reaped yet, so nobody else can have its number.
	unix.Kill(-a.pid, unix.SIGKILL)
	if a.held() {
		a.drain(a.cmd.waitDelay())
	}
	a.reap()
	if unix.Kill(-a.pid, 0) == nil {
		a.report.Leaked += awaitGroup(a.pid)
	}
	if interrupted || a.held() {
		killed, left := sweep(a.cmd.Mark, a.pid)
		a.report.Survivors += killed
		a.report.Leaked += left
		if a.held() {
			a.drain(a.cmd.waitDelay())
		}
	}
}

// held reports whether some process still has an end of an output pipe.
func (a *attempt) held() bool { return a.outputs[0].fd >= 0 || a.outputs[1].fd >= 0 }

// drain reads until the end of both outputs, for at most d. With 0 it takes what is there.
func (a *attempt) drain(d time.Duration) {
	for i := range a.outputs {
		// A pipe holds 64 KiB, which can be many small reads; who fills it faster than that is still running.
		for n := 0; n < 1<<20 && a.outputs[i].fd >= 0; {
			got := a.read(&a.outputs[i])
			if got == 0 {
				break
			}
			n += got
		}
	}
	if d == 0 {
		return
	}
	for deadline := time.Now().Add(d); a.held() && time.Now().Before(deadline); {
		a.poll(deadline, false)
	}
}

// reap waits for the process, which has ended, and notes how.
func (a *attempt) reap() {
	var status unix.WaitStatus
	var usage unix.Rusage
	for {
		_, err := unix.Wait4(a.pid, &status, 0, &usage)
		if err == nil {
			break
		}
		if err != unix.EINTR {
			a.report.ExitCode = -1
			return
		}
	}
	a.report.ExitCode = status.ExitStatus()
	if status.Signaled() {
		a.report.ExitCode, a.report.Signal = -1, status.Signal()
	}
	a.report.CPU = time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	a.report.MaxRSS = peak(usage.Maxrss << 10)
}
