package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// spent is what a process took: by the clock, and of processors, with all its children.
type spent struct {
	wall, cpu time.Duration
	memory    int64 // that it had at its largest, in bytes; 0 is unknown
}

// costs are repeated measurements of one kind of process.
type costs struct{ wall, cpu series }

func (c *costs) add(s spent) {
	c.wall = append(c.wall, s.wall)
	c.cpu = append(c.cpu, s.cpu)
}

// command is a process to be timed.
type command struct {
	dir   string
	env   []string // on top of our own
	stdin string
	args  []string

	started func(pid int) // is called beside the process when it has begun, and returns at its end
}

// time runs the command to its end. A process that fails is an error: its time would mean nothing.
func (c command) time(ctx context.Context) (spent, error) {
	cmd := exec.CommandContext(ctx, c.args[0], c.args[1:]...)
	cmd.Dir = c.dir
	cmd.Env = append(os.Environ(), c.env...)
	if c.stdin != "" {
		cmd.Stdin = strings.NewReader(c.stdin)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	start := time.Now()
	err := cmd.Start()
	if err == nil {
		var beside sync.WaitGroup
		if c.started != nil {
			beside.Go(func() { c.started(cmd.Process.Pid) })
		}
		err = cmd.Wait()
		beside.Wait()
	}
	wall := time.Since(start)
	if err != nil {
		return spent{}, fmt.Errorf("%s: %w\n%s", strings.Join(c.args, " "), err, stderr.Bytes())
	}
	s := spent{wall: wall, cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		s.memory = usage.Maxrss << 10 // Linux counts kilobytes
	}
	return s, nil
}

// run runs the command without wanting its time.
func (c command) run(ctx context.Context) error {
	_, err := c.time(ctx)
	return err
}

// ownCPU is the processor time of this process so far.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// clockTick is the unit of times in /proc/PID/stat, the same on all architectures; see proc_pid_stat(5).
const clockTick = 10 * time.Millisecond

// processCPU is the processor time that a process has used so far, without its children.
func processCPU(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	f := strings.Fields(rest)
	if len(f) < 13 || f[0] == "Z" {
		return 0, fmt.Errorf("process %d has ended", pid)
	}
	user, errUser := strconv.ParseInt(f[11], 10, 64)
	system, errSystem := strconv.ParseInt(f[12], 10, 64)
	return time.Duration(user+system) * clockTick, errors.Join(errUser, errSystem)
}
