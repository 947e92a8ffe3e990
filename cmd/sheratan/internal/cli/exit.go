package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/sheratan/sheratan/pipeline"
	"github.com/sheratan/sheratan/pipeline/rules"
	"github.com/sheratan/sheratan/runtime/history"
	"github.com/sheratan/sheratan/runtime/index"
	"github.com/sheratan/sheratan/runtime/ledger"
	"github.com/sheratan/sheratan/runtime/workspace"
)

// The exit codes. They are an interface: scripts test them, and DESIGN.md section 7 lists them.
const (
	exitDone        = 0
	exitError       = 1
	exitBlocked     = 3
	exitFailed      = 4
	exitNoWorkspace = 10
	exitLoopRunning = 11
	exitTampered    = 12
	exitRolledBack  = 13
	exitIncomplete  = 14
	exitUsage       = 64
	exitTimeout     = 124
	exitInterrupted = 130
)

// exitTexts says what each exit code means, for the help texts.
var exitTexts = map[int]string{
	exitDone:        "done",
	exitError:       "an error, or an unknown id",
	exitBlocked:     "at least one job was blocked",
	exitFailed:      "at least one job failed",
	exitNoWorkspace: "no workspace here",
	exitLoopRunning: "another tick --loop is running",
	exitTampered:    "the ledger does not verify",
	exitRolledBack:  "the ledger was rolled back or forked",
	exitIncomplete:  "incomplete: something is missing",
	exitUsage:       "wrong usage",
	exitTimeout:     "the time to wait ran out",
	exitInterrupted: "interrupted",
}

// Causes with which the context of Run ends: SIGINT, which also ends the jobs that run, and SIGTERM, which lets them
// finish for a while.
var (
	ErrInterrupted = pipeline.ErrInterrupted
	ErrTerminated  = errors.New("terminated")
)

// exitRow maps a kind of error to its exit code and to what to type next, unless the error knows better.
type exitRow struct {
	matches func(error) bool
	code    int
	hint    string
}

// exitTable holds the errors of the packages below that have an exit code of their own.
var exitTable = []exitRow{
	{isType[*workspace.NotFoundError], exitNoWorkspace, "sheratan init"},
	{isType[*pipeline.LoopRunningError], exitLoopRunning, "sheratan status"},
	{isType[*ledger.TamperError], exitTampered, "sheratan ledger verify"},
	{isType[*ledger.MissingError], exitTampered, "sheratan ledger verify"},
	{isType[*ledger.DigestError], exitTampered, "sheratan ledger verify"},
	{isType[*history.SegmentError], exitTampered, "sheratan ledger verify"},
	{isType[*rules.InvalidError], exitError, "sheratan config check"},
	{isType[*rules.LockedError], exitError, "sheratan config lock"},
	{isType[*pipeline.RulesLockedError], exitError, "sheratan config lock"},
	{isType[*index.GarbageError], exitError, "sheratan doctor"}, // twice in one command
	{isError(pipeline.ErrWaitTimeout), exitTimeout, "sheratan status"},
	{isError(syscall.ENOSPC), exitError, "sheratan doctor"},
	{isError(syscall.EDQUOT), exitError, "sheratan doctor"},
	{isError(syscall.EROFS), exitError, "sheratan doctor"},
	{isError(syscall.EIO), exitError, "sheratan doctor"},
	{isError(fs.ErrPermission), exitError, "sheratan doctor"},
}

func isType[T error](err error) bool {
	var target T
	return errors.As(err, &target)
}

func isError(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}

// hintOf returns what to type after err: what the error says itself, else what the table says, else nothing.
func hintOf(err error) string {
	var h interface{ Hint() string }
	if errors.As(err, &h) && h.Hint() != "" {
		return h.Hint()
	}
	for _, row := range exitTable {
		if row.matches(err) {
			return row.hint
		}
	}
	return ""
}

// usageError is a mistake in the command line itself.
type usageError struct {
	err  error
	hint string
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }
func (e *usageError) Hint() string  { return e.hint }

func usagef(format string, args ...any) error { return &usageError{err: fmt.Errorf(format, args...)} }

// outcome ends a command with an exit code and no message: stdout has said what there is to say.
type outcome int

func (o outcome) Error() string { return exitTexts[int(o)] }

// hinted adds a command to type to an error that comes from below.
type hinted struct {
	error
	hint string
}

func (e *hinted) Unwrap() error { return e.error }
func (e *hinted) Hint() string  { return e.hint }

func hint(err error, text string) error {
	if err == nil {
		return nil
	}
	return &hinted{err, text}
}

// exitCode is the table from errors to exit codes.
func exitCode(ctx context.Context, err error) int {
	var (
		o outcome
		u *usageError
	)
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &u):
		return exitUsage
	case interrupted(ctx, err):
		return exitInterrupted
	case errors.As(err, &o):
		return int(o)
	}
	for _, row := range exitTable {
		if row.matches(err) {
			return row.code
		}
	}
	return exitError
}

// interrupted reports whether err says only that a signal ended the command, and nothing else besides.
func interrupted(ctx context.Context, err error) bool {
	if err == nil {
		return false
	}
	cause := context.Cause(ctx)
	signalled := errors.Is(cause, ErrInterrupted) || errors.Is(cause, ErrTerminated)
	for _, e := range flatten(err) {
		if !errors.Is(e, ErrInterrupted) && !errors.Is(e, ErrTerminated) && !(signalled && errors.Is(e, context.Canceled)) {
			return false
		}
	}
	return true
}
