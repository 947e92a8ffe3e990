//go:build unix && !linux

package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"syscall"
	"time"
)

// Run is the portable form: process group, timeout, limited output, no parent-death signal. It has no level but none.
func (c *Cmd) Run(ctx context.Context) (Report, error) {
	report := Report{ExitCode: -1, Level: c.level(), Started: time.Now()}
	if c.level() != LevelNone {
		return report, &StartError{Path: c.Path, Reason: ReasonConfine, Primitive: "Linux",
			Err: fmt.Errorf("level %s: %w", c.level(), errors.ErrUnsupported)}
	}
	if c.Confine != nil && c.Confine.User != nil {
		return report, &StartError{Path: c.Path, Reason: ReasonConfine, Primitive: "Linux", Err: fmt.Errorf("another user: %w", errors.ErrUnsupported)}
	}
	if ctx.Err() != nil {
		report.Cancelled = true
		return report, nil
	}
	cmd := &exec.Cmd{Path: c.Path, Args: c.Argv, Dir: c.Dir, Env: c.Env,
		Stdout: writer(c.Stdout), Stderr: writer(c.Stderr), SysProcAttr: &syscall.SysProcAttr{Setsid: true}}
	if c.Env == nil {
		cmd.Env = []string{}
	}
	if c.Stdin != nil {
		cmd.Stdin = bytes.NewReader(c.Stdin)
	}
	cmd.WaitDelay = c.waitDelay()
	if err := cmd.Start(); err != nil {
		return report, c.startError(err)
	}
	group := cmd.Process.Pid
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	var timeout <-chan time.Time
	if c.Timeout > 0 {
		timer := time.NewTimer(c.Timeout)
		defer timer.Stop()
		timeout = timer.C
	}
	select {
	case <-done:
	case <-timeout:
		report.TimedOut = true
		end(group, c.timeoutGrace(), done)
	case <-ctx.Done():
		report.Cancelled = true
		end(group, c.grace(ctx), done)
	}
	syscall.Kill(-group, syscall.SIGKILL)
	report.Duration = time.Since(report.Started)
	state := cmd.ProcessState
	status, _ := state.Sys().(syscall.WaitStatus)
	report.ExitCode = state.ExitCode()
	if status.Signaled() {
		report.Signal = status.Signal()
	}
	report.CPU = state.UserTime() + state.SystemTime()
	if usage, ok := state.SysUsage().(*syscall.Rusage); ok {
		report.MaxRSS = int64(usage.Maxrss)
	}
	return report, nil
}

// end asks the group to end, and makes it after grace.
func end(group int, grace time.Duration, done <-chan error) {
	syscall.Kill(-group, syscall.SIGTERM)
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		syscall.Kill(-group, syscall.SIGKILL)
		<-done
	}
}

func writer(c *Capture) io.Writer {
	if c == nil {
		return nil
	}
	return c
}

// Sweep finds nothing: the environment of other processes is not open to us.
func Sweep(string) (killed, left int) { return 0, 0 }

// Seal has no effect.
func Seal() {}

// Probe reports that there is nothing to confine a job with.
func Probe() Facts {
	gap := Gap{Primitive: "Linux", Level: LevelRestricted, Lost: "there is a sandbox for Linux only"}
	return Facts{Level: LevelNone, Gaps: []Gap{gap}, Missing: []string{gap.String()}}
}

// Known has nothing to keep apart.
func Known(int) (forget func()) { return func() {} }

// Main does nothing: there are no keepers.
func Main() {}

// RestrictSelf has nothing to restrict this process with.
func RestrictSelf([]string, *User) error {
	return &StartError{Path: "worker", Reason: ReasonConfine, Primitive: "Linux", Err: errors.ErrUnsupported}
}

// GiveUp has nothing to give up, and makes nobody another user.
func GiveUp(user *User) error {
	if user == nil {
		return nil
	}
	return &StartError{Path: "worker", Reason: ReasonConfine, Primitive: "Linux", Err: errors.ErrUnsupported}
}

// Keepers would hold the processes that confine jobs.
type Keepers struct{}

// Close does nothing.
func (*Keepers) Close() error { return nil }
