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
	// Lack names what the machine is out of, and the limit that it met, where Reason is ReasonResources.
	Lack string
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
	ReasonFault     Reason = "a disk or device of the machine gave an error"
	ReasonConfine   Reason = "cannot be confined"
	ReasonOther     Reason = "cannot start"
)

// Error names the operand, the reason and the system's own word.
func (e *StartError) Error() string {
	reason := string(e.Reason)
	if e.Lack != "" {
		reason = "the machine is out of " + e.Lack
	}
	return fmt.Sprintf("%s: %s: %v", e.Path, reason, e.Err)
}

// Unwrap returns the system's error.
func (e *StartError) Unwrap() error { return e.Err }

// Temporary reports whether starting it again later could succeed.
func (e *StartError) Temporary() bool {
	return e.Reason == ReasonBusy || e.Reason == ReasonResources || e.Reason == ReasonFault
}

// lacks are the errors of a machine that is out of something, which says nothing about what it has a sandbox from.
var lacks = []struct {
	errno syscall.Errno
	lack  string
}{
	{syscall.EMFILE, "open files for this process (ulimit -n; LimitNOFILE= of a service)"},
	{syscall.ENFILE, "open files (sysctl fs.file-max)"},
	{syscall.EAGAIN, "processes (ulimit -u; TasksMax= of a service, pids.max of its cgroup; sysctl kernel.pid_max)"},
	{syscall.ENOMEM, "memory"},
	{syscall.ENOSPC, "space: a disk, or a limit below /proc/sys/user, is full"},
	{syscall.EDQUOT, "disk quota"},
	{syscall.ETIMEDOUT, "processor time"},
}

// Lack names what the machine is out of where that is what err says, "" where it says something else.
func Lack(err error) string {
	for _, l := range lacks {
		if errors.Is(err, l.errno) {
			return l.lack
		}
	}
	return ""
}

// Fault reports whether err is one of the machine, and not of what was asked of it: it is out of something, or a device
// failed.
func Fault(err error) bool {
	return Lack(err) != "" || errors.Is(err, syscall.EIO)
}

// failed is the error of a start for a reason. A fault of the machine is its own reason, wherever it was met.
func (c *Cmd) failed(path string, reason Reason, err error) *StartError {
	e := &StartError{Path: path, Reason: reason, Err: err, Lack: Lack(err)}
	switch {
	case e.Lack != "":
		e.Reason = ReasonResources
	case Fault(err):
		e.Reason = ReasonFault
	}
	return e
}

// startError finds out why path did not start. The system gives one number for what can have several causes.
func (c *Cmd) startError(err error) *StartError {
	if !Fault(err) {
		if info, dirErr := os.Stat(c.Dir); dirErr != nil || !info.IsDir() {
			return c.failed(c.Dir, ReasonDir, err)
		}
	}
	return c.failed(c.Path, c.reason(err), err)
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
	}
	return ReasonOther
}
