package cli

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/sheratan/sheratan/pipeline"
	"github.com/sheratan/sheratan/pipeline/rules"
	"github.com/sheratan/sheratan/runtime/history"
	"github.com/sheratan/sheratan/runtime/ledger"
	"github.com/sheratan/sheratan/runtime/workspace"
)

// TestExitCode: the table from errors to exit codes, also for errors that were wrapped or joined on their way.
func TestExitCode(t *testing.T) {
	t.Parallel()
	signalled, cancel := context.WithCancelCause(context.Background())
	cancel(ErrInterrupted)
	for _, c := range []struct {
		ctx  context.Context
		err  error
		want int
	}{
		{nil, nil, 0},
		{nil, errors.New("x"), 1},
		{nil, &pipeline.UnknownJobError{ID: "x"}, 1},
		{nil, outcome(exitBlocked), 3},
		{nil, outcome(exitFailed), 4},
		{nil, &workspace.NotFoundError{Dir: "/"}, 10},
		{nil, &pipeline.LoopRunningError{}, 11},
		{nil, &ledger.TamperError{}, 12},
		{nil, &ledger.MissingError{}, 12},
		{nil, &ledger.DigestError{}, 12},
		{nil, &history.SegmentError{}, 12},
		{nil, &rules.InvalidError{}, 1},
		{nil, syscall.ENOSPC, 1},
		{nil, usagef("x"), 64},
		{nil, pipeline.ErrWaitTimeout, 124},
		{signalled, context.Canceled, 130},
		{signalled, ErrInterrupted, 130},
		{nil, ErrTerminated, 130},
		{signalled, errors.New("disk full"), 1},
		{nil, context.Canceled, 1},
	} {
		ctx := c.ctx
		if ctx == nil {
			ctx = context.Background()
		}
		for form, err := range map[string]error{"bare": c.err, "wrapped": fmt.Errorf("here: %w", c.err), "joined": errors.Join(errors.New("first"), c.err)} {
			want := c.want
			switch {
			case c.err == nil:
				err = nil
			case form == "joined" && want == exitInterrupted:
				want = exitError // the other error counts for more than that it was interrupted
			}
			if got := exitCode(ctx, err); got != want {
				t.Errorf("%s %v: exit %d, want %d", form, c.err, got, want)
			}
		}
	}
}

// TestExitTexts: every code of the table has a text.
func TestExitTexts(t *testing.T) {
	t.Parallel()
	for _, row := range exitTable {
		if exitTexts[row.code] == "" {
			t.Errorf("exit code %d has no text", row.code)
		}
	}
	if want := 12; len(exitTexts) != want {
		t.Errorf("%d exit codes, want %d", len(exitTexts), want)
	}
}

// TestHints: an error brings its own hint, else the table has one.
func TestHints(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		want string
	}{
		{errors.New("x"), ""},
		{hint(errors.New("x"), "do this"), "do this"},
		{fmt.Errorf("outer: %w", hint(errors.New("x"), "do this")), "do this"},
		{&workspace.NotFoundError{Dir: "/"}, "sheratan init"},
		{&usageError{errors.New("x"), "sheratan gate --help"}, "sheratan gate --help"},
	} {
		if got := hintOf(c.err); got != c.want {
			t.Errorf("%v: hint %q, want %q", c.err, got, c.want)
		}
	}
}
