package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// StartError says that the program could not be started. The job did nothing.
type StartError struct {
	Path   string // the program or, where that was at fault, the directory
	Reason Reason
	Err    error
	// Primitive names what the system lacks, or would not do, where Reason is ReasonConfine: "Landlock", "seccomp",
	// "user namespace" and so on.
	Primitive string
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
	ReasonConfine   Reason = "cannot be confined"
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
	e.Reason = c.reason(err)
	return e
}

// reason is why an exec failed.
func (c *Cmd) reason(err error) Reason {
	switch {
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ENOTDIR):
		if _, statErr := os.Stat(c.Path); !errors.Is(statErr, fs.ErrNotExist) && statErr == nil {
			return ReasonLoader
		}
		return ReasonMissing
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return ReasonDenied
	case errors.Is(err, syscall.ENOEXEC):
		return ReasonFormat
	case errors.Is(err, syscall.E2BIG):
		return ReasonTooLong
	case errors.Is(err, syscall.ETXTBSY):
		return ReasonBusy
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.ENOMEM), errors.Is(err, syscall.EMFILE),
		errors.Is(err, syscall.ENFILE):
		return ReasonResources
	}
	return ReasonOther
}
