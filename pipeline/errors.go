package pipeline

import (
	"errors"
	"fmt"
)

// UnknownJobError says that no event knows the job.
type UnknownJobError struct{ ID string }

func (e *UnknownJobError) Error() string {
	if e.ID == "" {
		return `"": no such job`
	}
	return e.ID + ": no such job"
}

// Hint says where to look.
func (e *UnknownJobError) Hint() string { return "sheratan jobs" }

// InputError is a flaw in something that a person or a program handed in.
type InputError struct {
	File    string // "-" is standard input
	Line    int    // from 1; 0 where it does not apply
	Column  int
	Pointer string
	Message string
	Way     string // the way out, a command or a short sentence
}

func (e *InputError) Error() string {
	s := e.File
	if e.Line > 0 {
		s += fmt.Sprintf(":%d", e.Line)
		if e.Column > 0 {
			s += fmt.Sprintf(":%d", e.Column)
		}
	}
	if e.Pointer != "" {
		s += ": " + e.Pointer
	}
	return s + ": " + e.Message
}

// Hint returns the way out.
func (e *InputError) Hint() string { return e.Way }

// StateError says that a job is not in a state in which the command makes sense.
type StateError struct {
	ID, Status, Want string
	Way              string
}

func (e *StateError) Error() string {
	return fmt.Sprintf("%s: is %s, and %s", e.ID, e.Status, e.Want)
}

// Hint returns the way out.
func (e *StateError) Hint() string { return e.Way }

// LoopRunningError says that another process loops over this workspace.
type LoopRunningError struct{ Path string }

func (e *LoopRunningError) Error() string { return e.Path + ": another tick --loop is running" }

// Hint says what works meanwhile.
func (e *LoopRunningError) Hint() string { return "sheratan status" }

// ErrWaitTimeout says that the jobs waited for had not ended in time.
var ErrWaitTimeout = errors.New("the jobs did not end in time")

// ErrInterrupted as the cause of a context makes a running tick end its jobs instead of waiting for them, as Options.Hurry does.
var ErrInterrupted = errors.New("interrupted")

// errPaused ends what runs of a source that was paused with kill.
var errPaused = errors.New("paused")
