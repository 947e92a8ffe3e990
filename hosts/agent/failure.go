package agent

import (
	"errors"
	"fmt"
	"time"

	"github.com/sheratan/sheratan/hosts/roots"
	"github.com/sheratan/sheratan/hosts/sandbox"
)

// failure is why an attempt failed. It is an error so that it can pass through functions that return errors.
type failure struct {
	code      string
	text      string
	retryable bool
	unstarted bool // nothing of the job ran, for a reason that is the machine's
}

func (f *failure) Error() string { return f.text }

func failed(code string, retryable bool, format string, args ...any) *failure {
	return &failure{code: code, retryable: retryable, text: fmt.Sprintf(format, args...)}
}

// hostFault is why an attempt did not begin where the machine is at fault and not the job. The attempt counts for nothing.
func hostFault(format string, args ...any) *failure {
	f := failed(CodeHost, true, format, args...)
	f.unstarted = true
	return f
}

// unlessFault is a failure with a code, unless err is a fault of the machine.
func unlessFault(err error, code string, retryable bool) *failure {
	if sandbox.Fault(err) {
		return hostFault("%v", err)
	}
	return failed(code, retryable, "%v", err)
}

// outcome says what a program's end means.
func outcome(r sandbox.Report, timeout time.Duration) *failure {
	switch {
	case r.TimedOut:
		return timedOut(timeout)
	case r.Cancelled:
		return failed(CodeCancelled, true, "cancelled")
	case r.OverMemory && (r.Signal != 0 || r.ExitCode != 0):
		return failed(CodeMemory, false, "ended because it took more memory than allowed")
	case r.OverDisk:
		return failed(CodeDisk, false, "ended because its files took more of the disk than allowed")
	case r.OverCPU:
		return failed(CodeCPU, false, "took more processor time than allowed")
	case r.Signal != 0:
		return failed(CodeSignal, true, "ended by %s", signalName(r.Signal))
	case r.ExitCode != 0:
		return failed(CodeExit, true, "exit status %d", r.ExitCode)
	}
	return nil
}

func timedOut(timeout time.Duration) *failure {
	return failed(CodeTimeout, true, "Job timed out after %ds", int(timeout.Seconds()))
}

// pathFailure carries the code of a path error over. What is wrong with the path itself no repetition mends.
func pathFailure(err error) *failure {
	p, ok := errors.AsType[*roots.PathError](err)
	if !ok {
		return failed(string(roots.IO), true, "%v", err)
	}
	return failed(string(p.Code), retryable(p.Code), "%v", p)
}

// retryable reports whether an operation that failed with code could succeed later. A missing file may yet be written
// by another job; a path outside the roots stays there, and an existing file is not created by trying again.
func retryable(code roots.Code) bool {
	switch code {
	case roots.NotFound, roots.Changed, roots.NoSpace, roots.IO:
		return true
	}
	return false
}
