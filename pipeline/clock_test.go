package pipeline

import (
	"context"
	"testing"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/index"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// TestClockSetBack sets the clock back by an hour, between commands and between the attempts of a job. History stays in
// order, and nothing waits for the hour to pass again: not a retry, not a proposal in the inbox, not a rate window, not a
// lease.
func TestClockSetBack(t *testing.T) {
	w := newWorld(t)
	w.propose(noop("before", ""))
	w.propose(exec("retried", `"max_retries": 1, "retry_backoff": "linear",`, "false"))
	w.tick() // its first attempt fails, and the second is due a second after
	if got := w.row("retried").Status; got != job.StatusPending {
		t.Fatalf("retried is %s", got)
	}

	w.forward(-time.Hour)
	w.drop("crawler", "lines.jsonl", noop("line1", "")+"\n"+noop("line2", "")+"\n")
	w.drop("", "half.json", `{"id": "half", "payload"`)
	w.drop("operator", "after.json", noop("after", ""))
	begun := time.Now()
	w.check(w.p.Tick(context.Background(), TickOptions{Linger: 10 * time.Second, Settle: true}, nil))
	if d := time.Since(begun); d > 30*time.Second {
		t.Errorf("the tick took %v", d)
	}
	w.is("before", job.StatusCompleted, "")
	w.is("after", job.StatusCompleted, "")
	w.is("line1", job.StatusCompleted, "")
	w.is("line2", job.StatusCompleted, "")
	if got := w.row("retried"); got.Status != job.StatusFailed || got.Attempt != 2 {
		t.Errorf("retried is %s after %d attempts, want failed after 2", got.Status, got.Attempt)
	}

	// The order of the lines and the order of their times agree.
	last := time.Time{}
	w.check(w.p.Events(context.Background(), index.EventFilter{}, func(_ []byte, ev ledger.Event) error {
		at, err := job.ParseTime(ev.Timestamp)
		if at.Before(last) {
			t.Errorf("event %d is of %v, the one before of %v", ev.Seq, at, last)
		}
		last = at
		return err
	}))

	// With the clock right again nothing changes.
	w.forward(time.Hour)
	w.p = w.open()
	w.propose(noop("right", ""))
	w.tick()
	w.is("right", job.StatusCompleted, "")
	w.verify()
}
