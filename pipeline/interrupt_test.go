package pipeline

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/sheratan/sheratan/hosts/agent"
	"github.com/sheratan/sheratan/pipeline/job"
)

var errTestTerminated = errors.New("terminated")

// whileRunning calls work, which runs the job with the id, calls then when that job is running, and returns what work returned.
func (w *world) whileRunning(id string, work func() error, then func()) error {
	w.t.Helper()
	done := make(chan error, 1)
	go func() { done <- work() }()
	other := w.open()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if row, ok, err := other.find(w.t.Context(), id); err != nil {
			w.t.Fatal(err)
		} else if ok && row.Status == job.StatusRunning {
			break
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("%s does not run", id)
		}
	}
	then()
	select {
	case err := <-done:
		return err
	case <-time.After(20 * time.Second):
		w.t.Fatal("it did not end")
		return nil
	}
}

// An attempt that a person interrupts is over: nothing starts it anew, unless a rerun of it does no harm and nobody said that he
// did not want it any more.
func TestInterrupt(t *testing.T) {
	const unsafe = `{"program": "sleep", "args": ["[0-9.]+"], "decision": "allow"}`
	const safe = `{"program": "sleep", "args": ["[0-9.]+"], "decision": "allow", "rerun": "safe"}`
	type means func(w *world, ctx context.Context, stop context.CancelCauseFunc, hurry chan struct{}) error
	tick := func(cause error, hurried bool) means {
		return func(w *world, ctx context.Context, stop context.CancelCauseFunc, hurry chan struct{}) error {
			w.propose(exec("a", "", "sleep", "50"))
			return w.whileRunning("a", func() error { return w.p.Tick(ctx, TickOptions{}, nil) }, func() {
				stop(cause)
				if hurried {
					close(hurry)
				}
			})
		}
	}
	submit := func(mine bool) means {
		return func(w *world, ctx context.Context, stop context.CancelCauseFunc, hurry chan struct{}) error {
			text := exec("a", "", "sleep", "50")
			if !mine {
				w.propose(text)
				text = exec("b", `"depends_on": ["a"],`, "true")
			}
			arrivals, err := w.p.Arrivals(ctx)
			w.check(err)
			list, err := w.p.Submit(ctx, "operator", []Draft{{Name: "test", Data: []byte(text)}})
			w.check(err)
			arrivals.Expect(list[0])
			var seen []string
			err = w.whileRunning("a", func() error {
				return arrivals.Wait(ctx, WaitOptions{Drive: true, Left: func(l LeftJob) { seen = append(seen, l.JobID+" "+string(l.Status)) }},
					func(r job.Result) error { seen = append(seen, r.JobID+" "+string(r.Status)); return nil })
			}, func() { stop(ErrInterrupted) })
			if want := map[bool]string{true: "a cancelled", false: "b pending"}[mine]; len(seen) != 1 || seen[0] != want {
				t.Errorf("the submitter is told %q, want %q", seen, want)
			}
			if !errors.Is(err, ErrInterrupted) {
				t.Errorf("the wait ends with %v", err)
			}
			return nil
		}
	}
	pause := func(w *world, ctx context.Context, stop context.CancelCauseFunc, hurry chan struct{}) error {
		w.propose(exec("a", "", "sleep", "50"))
		other := w.open()
		err := w.whileRunning("a", func() error { return w.p.Tick(ctx, TickOptions{}, nil) },
			func() { w.check(other.Pause(ctx, "", "test", true)) })
		w.check(other.Resume(ctx, ""))
		return err
	}
	for _, c := range []struct {
		name       string
		rule       string
		by         means
		status     job.Status
		error      string
		runsAgain  bool
		warning    int
		lastEvents []job.EventName
	}{
		{"tick, not safe", unsafe, tick(ErrInterrupted, false), job.StatusQuarantined, "OUTCOME_UNKNOWN: interrupted", false, 1,
			[]job.EventName{job.JobAttemptFailed, job.OutcomeUnknown}},
		{"tick, safe", safe, tick(ErrInterrupted, false), job.StatusPending, "cancelled", true, 0,
			[]job.EventName{job.JobAttemptFailed, job.JobRetryScheduled}},
		{"tick, no more time, not safe", unsafe, tick(errTestTerminated, true), job.StatusQuarantined, "OUTCOME_UNKNOWN: interrupted", false, 1,
			[]job.EventName{job.JobAttemptFailed, job.OutcomeUnknown}},
		{"submit --wait, not safe", unsafe, submit(true), job.StatusCancelled, "interrupted while it ran", false, 0,
			[]job.EventName{job.JobAttemptFailed, job.JobCancelled}},
		{"submit --wait, safe", safe, submit(true), job.StatusCancelled, "interrupted while it ran", false, 0,
			[]job.EventName{job.JobAttemptFailed, job.JobCancelled}},
		{"submit --wait of another job, not safe", unsafe, submit(false), job.StatusQuarantined, "OUTCOME_UNKNOWN: interrupted", false, 1,
			[]job.EventName{job.JobAttemptFailed, job.OutcomeUnknown}},
		{"pause --kill, not safe", unsafe, pause, job.StatusQuarantined, "OUTCOME_UNKNOWN: paused", false, 1,
			[]job.EventName{job.JobAttemptFailed, job.OutcomeUnknown}},
		{"pause --kill, safe", safe, pause, job.StatusPending, "cancelled", true, 0,
			[]job.EventName{job.JobAttemptFailed, job.JobRetryScheduled}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.with(safe, c.rule+" ")
			hurry := make(chan struct{})
			w.p.opts.Hurry = hurry
			ctx, stop := context.WithCancelCause(t.Context())
			defer stop(nil)
			w.check(c.by(w, ctx, stop, hurry))
			w.is("a", c.status, c.error)
			if names := slices.DeleteFunc(w.names("a"), func(n job.EventName) bool { return n == job.JobReady }); len(names) < 2 || names[len(names)-2] != c.lastEvents[0] || names[len(names)-1] != c.lastEvents[1] {
				t.Errorf("the events are %v, and the last %v", names, c.lastEvents)
			}
			if list, err := w.p.Attempts(t.Context(), "a"); err != nil || len(list) != 1 || list[0].ErrorCode != "CANCELLED" {
				t.Errorf("attempts: %+v, %v", list, err)
			}
			if len(w.warned) != c.warning {
				t.Errorf("warnings: %q, want %d", w.warned, c.warning)
			}
			w.warned = nil
			w.verify()

			// Whoever comes later starts it anew only where that does no harm.
			again, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			p := w.open()
			run := func() error { return p.Tick(again, TickOptions{}, nil) }
			if !c.runsAgain {
				w.check(run())
			} else {
				w.check(w.whileRunning("a", run, func() { cancel(ErrInterrupted) }))
			}
			if n := w.row("a").Attempt; (n > 1) != c.runsAgain {
				t.Errorf("it was started %d times", n)
			}
		})
	}
}

// Without hurry, a tick that was told to end waits for what runs.
func TestDrainWaits(t *testing.T) {
	w := newWorld(t)
	ctx, stop := context.WithCancelCause(t.Context())
	w.propose(exec("a", "", "sleep", "1"))
	w.check(w.whileRunning("a", func() error { return w.p.Tick(ctx, TickOptions{}, nil) }, func() { stop(errTestTerminated) }))
	w.is("a", job.StatusCompleted, "")
}

// The end of a batch that recorded an interrupted attempt may be lost: recovery comes to the same.
func TestInterruptRecovered(t *testing.T) {
	for _, c := range []struct {
		code   string
		rerun  bool
		status job.Status
	}{
		{codeInterrupted, true, job.StatusCancelled},
		{codeInterrupted, false, job.StatusCancelled},
		{"CANCELLED", true, job.StatusPending},
		{"CANCELLED", false, job.StatusQuarantined},
	} {
		t.Run(c.code, func(t *testing.T) {
			w := newWorld(t)
			w.propose(exec("a", "", map[bool]string{true: "true", false: "echo"}[c.rerun]))
			w.lostEnd("a", job.Result{Status: job.StatusCancelled, ExitCode: -1, Error: "cancelled", ErrorCode: agent.CodeCancelled, Retryable: true}, c.code)
			w.check(w.p.Recover(t.Context()))
			if got := w.row("a").Status; got != c.status {
				t.Errorf("it is %s, want %s", got, c.status)
			}
			w.verify()
		})
	}
}
