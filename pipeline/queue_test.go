package pipeline

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/ledger"
)

func TestDependencies(t *testing.T) {
	const once = `"max_retries": 0,`
	after := func(id string) string { return fmt.Sprintf(`"depends_on": [%q],`, id) }
	w := newWorld(t)
	w.propose(noop("before", after("dep"))) // of a job that is not there yet
	w.tick()
	w.is("before", job.StatusPending, "")
	w.propose(exec("dep", once, "false"))
	w.propose(noop("behind", after("before")))
	w.tick()
	w.is("dep", job.StatusFailed, "exit status 1")
	w.is("before", job.StatusFailed, "Dependency failed: dep")
	w.is("behind", job.StatusFailed, "Dependency failed: before")
	w.propose(noop("late", after("dep")))
	w.tick()
	w.is("late", job.StatusFailed, "Dependency failed: dep")

	w.check(w.p.Retry(t.Context(), Selection{IDs: []string{"before"}}, ignoreJob))
	w.tick()
	w.is("before", job.StatusFailed, "Dependency failed: dep")
	w.check(w.p.Retry(t.Context(), Selection{IDs: []string{"dep", "before"}}, ignoreJob))
	w.is("dep", job.StatusPending, "")
	w.is("before", job.StatusPending, "")

	w.propose(exec("bad", "", "no-such-program"))
	w.propose(noop("on-blocked", after("bad")))
	w.tick()
	w.is("on-blocked", job.StatusPending, "")
	w.check(w.p.Reject(t.Context(), []string{"bad"}, Decision{}, ignoreLine))
	w.tick()
	w.is("on-blocked", job.StatusFailed, "Dependency failed: bad")
	w.verify()
}

// The stage by itself leaves the files of those in place that it finds to have failed.
func TestDispatchPlacesWhatFailed(t *testing.T) {
	w := newWorld(t)
	w.propose(noop("a", ""))
	w.propose(noop("b", `"depends_on": ["a"],`))
	w.check(w.p.Cancel(t.Context(), Selection{IDs: []string{"a"}}, "", ignoreJob))
	w.check(w.p.Dispatch(t.Context(), nil, func(l DispatchLine) error { return fmt.Errorf("%s was dispatched", l.JobID) }))
	w.is("b", job.StatusFailed, "Dependency failed: a")
}

func TestRetriesAndBackoff(t *testing.T) {
	for backoff, want := range map[string][]int{"exponential": {1, 2, 4}, "linear": {1, 2, 3}} {
		t.Run(backoff, func(t *testing.T) {
			w := newWorld(t)
			w.propose(exec("a", fmt.Sprintf(`"max_retries": 3, "retry_backoff": %q,`, backoff), "false"))
			for k, seconds := range want {
				w.tick()
				w.status("a", job.StatusPending)
				row := w.row("a")
				if got := row.WakeAt.Sub(row.UpdatedAt); got != time.Duration(seconds)*time.Second || row.RetryCount != k+1 {
					t.Errorf("retry %d waits %s, count %d", k, got, row.RetryCount)
				}
				w.tick()
				if row := w.row("a"); row.Attempt != k+1 {
					t.Errorf("attempt %d came before its time", row.Attempt)
				}
				w.forward(row.WakeAt.Sub(w.now()))
			}
			w.tick()
			w.is("a", job.StatusFailed, "Max retries exceeded: exit status 1")
			if row := w.row("a"); row.Attempt != 4 || row.RetryCount != 3 {
				t.Errorf("attempt %d, retries %d", row.Attempt, row.RetryCount)
			}
			w.check(w.p.Retry(t.Context(), Selection{Status: "failed"}, ignoreJob))
			w.is("a", job.StatusPending, "")
			if row := w.row("a"); row.RetryCount != 0 {
				t.Errorf("an operator's retry leaves a count of %d", row.RetryCount)
			}
			w.verify()
		})
	}
}

func TestTimeout(t *testing.T) {
	w := newWorld(t)
	w.propose(exec("a", `"max_retries": 0, "timeout_seconds": 1,`, "sleep", "20"))
	w.propose(exec("b", `"max_retries": 0,`, "sleep", "0")) // the queue goes on meanwhile
	w.tick()
	w.is("a", job.StatusFailed, "Job timed out after 1s")
	w.is("b", job.StatusCompleted, "")
	w.verify()
}

func TestRateWindows(t *testing.T) {
	w := newWorld(t)
	for i := range 23 {
		w.drop("", fmt.Sprintf("%02d.json", i), noop(fmt.Sprintf("j%02d", i), ""))
	}
	w.drop("operator", "p.json", noop("unlimited", ""))
	w.gate()
	counts := func() [3]int {
		var n [3]int
		w.check(w.p.Jobs(t.Context(), JobFilter{}, func(l JobLine) error {
			n[slices.Index([]job.Status{job.StatusPending, job.StatusThrottled, job.StatusCompleted}, l.Status)]++
			return nil
		}))
		return n
	}
	if got := counts(); got != [3]int{11, 13, 0} {
		t.Errorf("at once: %v", got)
	}
	for _, want := range [][3]int{{0, 13, 11}, {0, 3, 21}, {0, 0, 24}} {
		w.tick()
		if got := counts(); got != want {
			t.Errorf("pending, throttled, completed: %v, want %v", got, want)
		}
		w.forward(time.Minute)
	}
	w.verify()
}

func TestClaimOrderAndConcurrency(t *testing.T) {
	w := newWorld(t)
	for i, priority := range []string{"low", "normal", "high", "critical"} {
		w.propose(noop(fmt.Sprintf("p%d", i), fmt.Sprintf(`"priority": %q,`, priority)))
	}
	dispatched := func(ids []string) (list []string) {
		w.check(w.p.Dispatch(t.Context(), ids, func(l DispatchLine) error {
			if l.Host != "" {
				list = append(list, l.JobID)
			}
			return nil
		}))
		return list
	}
	if got, want := dispatched(nil), []string{"p3", "p2", "p1", "p0"}; !slices.Equal(got, want) {
		t.Errorf("order %v, want %v", got, want)
	}
	if got := dispatched([]string{}); len(got) != 0 {
		t.Errorf("no ids at all, and dispatched %v", got)
	}
	w.check(w.p.Run(t.Context(), nil, func(job.Result) error { return nil }))
	w.is("p0", job.StatusCompleted, "")
	w.check(w.p.Pause(t.Context(), "agent", "why not", false))
	w.proposeMany("agent", 7)
	if got := dispatched(nil); len(got) != 0 {
		t.Errorf("paused, and dispatched %v", got)
	}
	w.check(w.p.Resume(t.Context(), "agent"))
	if got := dispatched(nil); len(got) != 5 {
		t.Errorf("dispatched %v", got)
	}
	w.verify()
}

func (w *world) proposeMany(source string, n int) {
	for i := range n {
		w.proposeAs(source, noop(fmt.Sprintf("%s-%d", source, i), ""))
	}
}

// A job that is cancelled between its lease and the line that says it runs is nothing that a tick may stumble over.
func TestCancelledBeforeItsStartIsWritten(t *testing.T) {
	w := newWorld(t)
	w.propose(exec("a", "", "sleep", "5"))
	var list []*attempt
	rules, err := w.p.Rules(t.Context())
	w.check(err)
	w.check(w.p.transact(t.Context(), func(b *batch) error {
		rows, err := b.tx.Claim(1)
		if err == nil {
			list, _, err = b.lease(rules, rows)
		}
		return err
	}))
	if len(list) != 1 {
		t.Fatalf("%d attempts", len(list))
	}
	w.check(w.p.Cancel(t.Context(), Selection{IDs: []string{"a", "a"}}, "", ignoreJob))
	list[0].result = job.Result{Status: job.StatusCompleted, Attempt: 1}
	w.check(w.p.transact(t.Context(), func(b *batch) error {
		if err := b.begun(list); err != nil {
			return err
		}
		over, err := b.record(rules, list[0], ledger.Ref{}, nil)
		if over {
			t.Error("its end was recorded")
		}
		return err
	}))
	w.is("a", job.StatusCancelled, "CANCELLED")
}

func TestRetryOfManyPassesOverTheUnfit(t *testing.T) {
	w := newWorld(t)
	for _, id := range []string{"revised", "plain"} {
		w.propose(exec(id, `"max_retries": 0,`, "false"))
	}
	w.tick()
	_, err := w.p.Revise(t.Context(), "revised", Draft{Name: "-", Data: []byte(noop("x", ""))})
	w.check(err)
	var retried []string
	w.check(w.p.Retry(t.Context(), Selection{Status: "failed"}, func(l JobLine) error {
		retried = append(retried, l.ID)
		return nil
	}))
	if !slices.Equal(retried, []string{"plain"}) {
		t.Errorf("retried %v", retried)
	}
	w.is("plain", job.StatusPending, "")
}

// A job can lose what it depends on and the job whose end it shares in the same moment.
func TestOrphanSharesTheEndOfAnOrphan(t *testing.T) {
	w := newWorld(t)
	w.propose(noop("first", `"idempotency_key": "k", "depends_on": ["dep"],`))
	w.propose(noop("second", `"idempotency_key": "k", "depends_on": ["dep"],`))
	w.propose(exec("dep", `"max_retries": 0,`, "false"))
	w.tick()
	w.is("first", job.StatusFailed, "Dependency failed: dep")
	if row := w.row("second"); row.Status != job.StatusFailed {
		t.Errorf("second is %s", row.Status)
	}
	w.verify()
}

// A job may not come to depend on another source's by being there first. What may depend on it, may in either order.
func TestCrossSourceInEitherOrder(t *testing.T) {
	w := newWorld(t)
	w.write(w.ws.Config(), strings.Replace(testConfig, `"gates": {`, `"gates": {"cross_source_dependencies": [{"from": "friend", "to": "operator"}],`, 1))
	w.p = w.open()
	for _, source := range []string{"stranger", "friend", "operator"} {
		w.proposeAs(source, noop(source+"-early", `"depends_on": ["dep"],`))
	}
	w.proposeAs("stranger", noop("stranger-orphan", `"depends_on": ["fails"],`))
	w.tick()
	w.is("stranger-early", job.StatusPending, "")
	w.propose(noop("dep", ""))
	w.propose(exec("fails", `"max_retries": 0,`, "false"))
	w.tick()
	w.is("stranger-early", job.StatusQuarantined, "")
	w.is("stranger-orphan", job.StatusQuarantined, "")
	w.is("friend-early", job.StatusCompleted, "")
	w.is("operator-early", job.StatusCompleted, "")
	if row := w.row("stranger-early"); row.ErrorCode != "CROSS_SOURCE" {
		t.Error(row.ErrorCode)
	}
	if l := w.proposeAs("stranger", noop("late", `"depends_on": ["dep"],`)); !slices.Contains(codes(l), "CROSS_SOURCE") {
		t.Errorf("%+v", l)
	}
	w.verify()
}
