package pipeline

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
)

// overlaps lists the pairs of jobs whose attempts were under way at the same time.
func (w *world) overlaps(ids ...string) (pairs [][2]string) {
	for i, a := range ids {
		for _, b := range ids[i+1:] {
			x, y := w.row(a), w.row(b)
			if x.StartedAt.Before(y.CompletedAt) && y.StartedAt.Before(x.CompletedAt) {
				pairs = append(pairs, [2]string{a, b})
			}
		}
	}
	return pairs
}

func TestConcurrencyKey(t *testing.T) {
	w := newWorld(t)
	lane, other, free := []string{}, []string{}, []string{}
	for i := range 4 {
		lane, other, free = append(lane, fmt.Sprintf("lane%d", i)), append(other, fmt.Sprintf("other%d", i)), append(free, fmt.Sprintf("free%d", i))
		w.propose(exec(lane[i], `"concurrency_key": "deploy",`, "sleep", "0.1"))
		w.proposeAs("agent", exec(other[i], `"concurrency_key": "deploy",`, "sleep", "0.1")) // another source, another key
		w.propose(exec(free[i], "", "sleep", "0.1"))
	}
	w.is("lane1", job.StatusThrottled, "")
	lines, err := w.p.Why(t.Context(), "lane1")
	w.check(err)
	if want := []string{"another job of operator with the concurrency key deploy"}; !slices.Equal(lines.WaitsFor, want) {
		t.Errorf("lane1 waits for %q", lines.WaitsFor)
	}
	w.tick()
	for _, id := range slices.Concat(lane, other, free) {
		w.is(id, job.StatusCompleted, "")
	}
	if pairs := w.overlaps(lane...); pairs != nil {
		t.Errorf("at the same time: %v", pairs)
	}
	if pairs := w.overlaps(other...); pairs != nil {
		t.Errorf("at the same time: %v", pairs)
	}
	if pairs := w.overlaps(free...); pairs == nil {
		t.Error("jobs without a key ran one after the other: the test could not have seen jobs run together")
	}
	w.verify()
}

// The key goes on when its job is blocked, cancelled, or waits for a retry, and to the most urgent first.
func TestConcurrencyKeyGoesOn(t *testing.T) {
	w := newWorld(t)
	const key = `"concurrency_key": "k",`
	w.propose(exec("fails", key+`"max_retries": 1,`, "false"))
	w.propose(noop("second", key))
	w.propose(noop("urgent", key+`"priority": "critical",`))
	w.propose(noop("dropped", key))
	w.check(w.p.Cancel(t.Context(), Selection{IDs: []string{"dropped"}}, "", ignoreJob))
	w.tick()
	w.is("second", job.StatusCompleted, "")
	w.is("urgent", job.StatusCompleted, "")
	w.is("fails", job.StatusPending, "exit status 1")
	if w.row("second").StartedAt.Before(w.row("urgent").StartedAt) {
		t.Error("the urgent job came second")
	}
	w.forward(2 * time.Second)
	w.tick()
	w.is("fails", job.StatusFailed, "Max retries exceeded: exit status 1")

	// A holder that is cancelled before it ran makes room, and the command that cancels need not be the one that goes on.
	w.propose(noop("holder", key))
	w.propose(noop("waiter", key))
	w.is("waiter", job.StatusThrottled, "")
	w.check(w.p.Cancel(t.Context(), Selection{IDs: []string{"holder"}}, "", ignoreJob))
	w.tick()
	w.is("waiter", job.StatusCompleted, "")
	w.verify()
}

// Waiting for a key is no second wait for a rate window.
func TestConcurrencyKeyIsCountedOnce(t *testing.T) {
	w := newWorld(t)
	for i := range 10 {
		w.proposeAs("agent", noop(fmt.Sprintf("j%d", i), `"concurrency_key": "k",`))
	}
	w.proposeAs("agent", noop("eleventh", ""))
	w.is("eleventh", job.StatusThrottled, "")
	w.tick()
	for i := range 10 {
		w.is(fmt.Sprintf("j%d", i), job.StatusCompleted, "")
	}
	w.is("eleventh", job.StatusThrottled, "")
	w.forward(time.Minute)
	w.tick()
	w.is("eleventh", job.StatusCompleted, "")
	w.verify()
}

func TestKeysExpire(t *testing.T) {
	w := newWorld(t)
	w.with(`"operators"`, `"limits": {"key_seconds": 3600}, "operators"`)
	const key = `"idempotency_key": "nightly",`
	w.propose(exec("first", key, "echo", "once"))
	w.tick()
	w.propose(exec("same", key, "echo", "once"))
	w.is("same", job.StatusCompleted, "")
	if w.row("same").JoinedTo != "first" {
		t.Error("the second one ran by itself while the key was held")
	}
	if l := w.propose(exec("other", key, "echo", "twice")); l.Status != string(job.StatusQuarantined) {
		t.Errorf("another payload under the same key: %s", l.Status)
	}
	w.forward(time.Hour)
	w.propose(exec("later", key, "echo", "twice"))
	w.tick()
	w.is("later", job.StatusCompleted, "")
	if row := w.row("later"); row.JoinedTo != "" || row.Attempt != 1 || !row.HoldsKey {
		t.Errorf("later: joined to %q, %d attempts, holds its key: %v", row.JoinedTo, row.Attempt, row.HoldsKey)
	}
	if w.row("first").HoldsKey || !slices.Contains(w.names("first"), job.KeyExpired) {
		t.Error("the first one still has the key, or the ledger does not say that it lost it")
	}
	w.verify()
}

// A job that runs, or waits to, keeps its key however long that takes.
func TestKeysOfUnfinishedJobsDoNotExpire(t *testing.T) {
	w := newWorld(t)
	w.with(`"operators"`, `"limits": {"key_seconds": 60}, "operators"`)
	w.check(w.p.Pause(context.Background(), "operator", "a test", false))
	w.propose(noop("first", `"idempotency_key": "k",`))
	w.forward(time.Hour)
	w.propose(noop("second", `"idempotency_key": "k",`))
	w.check(w.p.Resume(t.Context(), "operator"))
	w.tick()
	if w.row("second").JoinedTo != "first" {
		t.Error("the key of a waiting job expired")
	}
	w.verify()
}
