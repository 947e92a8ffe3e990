// Package sandbox starts one process, watches it, and ends it. It is shaped like os/exec.Cmd, and differs where a
// governed job differs from a child process:
//
//   - Environment, directory and standard streams are exactly what Cmd says; nothing is inherited.
//   - Output goes to files up to a limit, and is counted and thrown away beyond it, so that a flood costs neither memory
//     nor disk.
//   - The end of the process is the end of the attempt. What is left of its process group is killed, and nothing that a
//     job leaves behind can keep Run from returning.
//
// The only level so far is LevelNone: a process group is all that holds a job together. A process that made itself a
// session of its own (setsid, a daemon) is out of reach of that. It is found by the mark in its environment when there
// is reason to look: after a timeout or a cancellation, or when somebody still holds the output after the group was
// killed. Looking through /proc costs some milliseconds, so it is not done after each attempt, and a daemon that closed its
// output outlives an attempt that ended by itself. One that also cleared its environment is never found. Namespaces will
// close both gaps; a process-wide subreaper would not, because it could not tell the orphans of concurrent attempts
// apart.
//
// When the process that called Run dies, the kernel kills the job's first process (PDEATHSIG); Sweep is for what that
// one had started.
//
// Run costs one thread for as long as it lasts, and no goroutine. On two cores, two at a time, it started and ended 2,250
// processes a second where xargs -P2 -n1 made 1,630 (BenchmarkTrue measures both).
package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// Level is how far a job is confined.
type Level string

// The levels, from the strongest.
const (
	LevelFull       Level = "full"
	LevelRestricted Level = "restricted"
	LevelNone       Level = "none"
)

// Defaults of a Cmd.
const (
	DefaultGrace        = 5 * time.Second        // from SIGTERM to SIGKILL when a job is cancelled
	DefaultTimeoutGrace = 50 * time.Millisecond  // the same at its timeout, which is a promise
	DefaultWaitDelay    = 100 * time.Millisecond // for a background child to finish its output after the job has ended
)

// Cmd says what to run. It can be used once.
type Cmd struct {
	Path string   // absolute
	Argv []string // with the program's name in front
	Dir  string   // absolute
	Env  []string // NAME=value, complete
	// Mark is one entry of Env that no other attempt has. Processes that carry it belong to this attempt.
	Mark string

	Stdin          []byte   // nil is /dev/null
	Stdout, Stderr *Capture // nil is /dev/null

	Timeout      time.Duration // 0 is none
	Grace        time.Duration // 0 is DefaultGrace
	TimeoutGrace time.Duration // 0 is DefaultTimeoutGrace
	WaitDelay    time.Duration // 0 is DefaultWaitDelay
}

// Report is what became of a process.
type Report struct {
	ExitCode  int            // -1 where a signal ended it
	Signal    syscall.Signal // that ended it, or 0
	TimedOut  bool           // it was ended by Cmd.Timeout
	Cancelled bool           // it was ended by the context
	Started   time.Time
	Duration  time.Duration
	CPU       time.Duration // user and system, of the process and the children that it waited for
	MaxRSS    int64         // bytes, of the largest of these; 0 where it is not known
	Survivors int           // processes found outside the group after the end, and killed
	Leaked    int           // of these, how many would not die
}

// StartError says that the program could not be started. The job did nothing.
type StartError struct {
	Path   string // the program or, where that was at fault, the directory
	Reason Reason
	Err    error
}

// Reason is why a program could not be started.
type Reason string

// The reasons. Only those of the machine can be gone the next time.
const (
	ReasonMissing   Reason = "no such program"
	ReasonLoader    Reason = "its interpreter or loader does not exist"
	ReasonDenied    Reason = "not executable"
	ReasonFormat    Reason = "not a program that this system can execute"
	ReasonDir       Reason = "cannot change to the directory"
	ReasonTooLong   Reason = "arguments and environment are too long"
	ReasonBusy      Reason = "somebody is writing to it"
	ReasonResources Reason = "the machine is out of processes, memory or files"
	ReasonOther     Reason = "cannot start"
)

// Error names the operand, the reason and the system's own word.
func (e *StartError) Error() string { return fmt.Sprintf("%s: %s: %v", e.Path, e.Reason, e.Err) }

// Unwrap returns the system's error.
func (e *StartError) Unwrap() error { return e.Err }

// Temporary reports whether starting it again later could succeed.
func (e *StartError) Temporary() bool { return e.Reason == ReasonBusy || e.Reason == ReasonResources }

// startError finds out why path did not start. The system gives one number for what can have several causes.
func (c *Cmd) startError(err error) *StartError {
	e := &StartError{Path: c.Path, Reason: ReasonOther, Err: err}
	if info, dirErr := os.Stat(c.Dir); dirErr != nil || !info.IsDir() {
		e.Path, e.Reason = c.Dir, ReasonDir
		return e
	}
	switch {
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ENOTDIR):
		e.Reason = ReasonMissing
		if _, statErr := os.Stat(c.Path); !errors.Is(statErr, fs.ErrNotExist) && statErr == nil {
			e.Reason = ReasonLoader
		}
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		e.Reason = ReasonDenied
	case errors.Is(err, syscall.ENOEXEC):
		e.Reason = ReasonFormat
	case errors.Is(err, syscall.E2BIG):
		e.Reason = ReasonTooLong
	case errors.Is(err, syscall.ETXTBSY):
		e.Reason = ReasonBusy
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.ENOMEM), errors.Is(err, syscall.EMFILE),
		errors.Is(err, syscall.ENFILE):
		e.Reason = ReasonResources
	}
	return e
}

func (c *Cmd) grace() time.Duration        { return orDefault(c.Grace, DefaultGrace) }
func (c *Cmd) timeoutGrace() time.Duration { return orDefault(c.TimeoutGrace, DefaultTimeoutGrace) }
func (c *Cmd) waitDelay() time.Duration    { return orDefault(c.WaitDelay, DefaultWaitDelay) }

func orDefault(d, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return d
}
