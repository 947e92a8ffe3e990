package pipeline

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
)

// with starts the world over with some text of its config replaced.
func (w *world) with(old, text string) {
	w.t.Helper()
	changed := strings.Replace(testConfig, old, text, 1)
	if changed == testConfig {
		w.t.Fatalf("the config has no %q", old)
	}
	w.write(w.ws.Config(), changed)
	w.p = w.open()
}

// exhaust ticks until no job waits for a retry, and returns how many attempts the job had.
func (w *world) exhaust(id string) int {
	w.t.Helper()
	for range 12 {
		w.tick()
		if w.row(id).Status.Final() {
			break
		}
		w.forward(time.Hour)
	}
	return w.row(id).Attempt
}

func TestRetryOn(t *testing.T) {
	for _, c := range []struct {
		more     string
		attempts int
		text     string
	}{
		{`"max_retries": 2,`, 3, "Max retries exceeded: exit status 1"},
		{`"max_retries": 2, "retry_on": [1],`, 3, "Max retries exceeded: exit status 1"},
		{`"max_retries": 2, "retry_on": [2, 75],`, 1, "exit status 1"},
		{`"max_retries": 2, "no_retry_on": [1],`, 1, "exit status 1"},
		{`"max_retries": 2, "no_retry_on": [2],`, 3, "Max retries exceeded: exit status 1"},
		{`"max_retries": 2, "retry_on": [1], "no_retry_on": [1],`, 1, "exit status 1"},
	} {
		t.Run(c.more, func(t *testing.T) {
			w := newWorld(t)
			w.propose(exec("a", c.more, "false"))
			if n := w.exhaust("a"); n != c.attempts {
				t.Errorf("%d attempts, want %d", n, c.attempts)
			}
			w.is("a", job.StatusFailed, c.text)
			w.verify()
		})
	}
}

// What has no exit code is tried again whatever codes are named.
func TestRetryOnIsAboutExitCodes(t *testing.T) {
	w := newWorld(t)
	w.propose(exec("a", `"max_retries": 1, "timeout_seconds": 1, "retry_on": [75],`, "sleep", "20"))
	if n := w.exhaust("a"); n != 2 {
		t.Errorf("%d attempts, want 2", n)
	}
}

func TestRetryWait(t *testing.T) {
	w := newWorld(t)
	w.with(`"operators"`, `"limits": {"retry_wait_seconds": 5}, "operators"`)
	r, err := w.p.Rules(t.Context())
	w.check(err)
	for _, c := range []struct {
		backoff job.Backoff
		k       int
		want    time.Duration
	}{
		{job.BackoffExponential, 0, time.Second}, {job.BackoffExponential, 2, 4 * time.Second}, {job.BackoffExponential, 3, 5 * time.Second},
		{job.BackoffLinear, 0, time.Second}, {job.BackoffLinear, 3, 4 * time.Second}, {job.BackoffLinear, 1 << 40, 5 * time.Second},
	} {
		j := job.Job{RetryBackoff: c.backoff}
		got, err := w.p.retryWait(r, j, c.k)
		if err != nil || got != c.want {
			t.Errorf("%s %d: %s, want %s (%v)", c.backoff, c.k, got, c.want, err)
		}
		j.RetryJitter = job.JitterFull
		seen := map[time.Duration]bool{}
		for range 50 {
			got, err := w.p.retryWait(r, j, c.k)
			if err != nil || got < 0 || got > c.want {
				t.Errorf("%s %d with jitter: %s, at most %s (%v)", c.backoff, c.k, got, c.want, err)
			}
			seen[got] = true
		}
		if len(seen) < 40 {
			t.Errorf("%s %d with jitter: %d different waits in 50", c.backoff, c.k, len(seen))
		}
	}
}

func TestRetryBudget(t *testing.T) {
	w := newWorld(t)
	w.with(`"max_priority": "high"}`, `"max_priority": "high", "max_retries_per_hour": 3}`)
	fail := func(source, id string) {
		w.proposeAs(source, exec(id, `"max_retries": 2,`, "false"))
		for range 4 {
			w.tick()
			w.forward(10 * time.Second)
		}
	}
	fail("agent", "a")
	w.is("a", job.StatusFailed, "Max retries exceeded: exit status 1")
	fail("friend", "b") // of the same bucket
	w.is("b", job.StatusFailed, "Retry budget of source * is used up: exit status 1")
	if n := w.row("b").Attempt; n != 2 {
		t.Errorf("b: %d attempts, want 2", n)
	}
	fail("operator", "c") // of another bucket, which has no limit
	w.is("c", job.StatusFailed, "Max retries exceeded: exit status 1")

	// An operator's retry does not count, and the next hour has a budget of its own.
	w.check(w.p.Retry(t.Context(), Selection{IDs: []string{"b"}}, ignoreJob))
	w.tick()
	w.is("b", job.StatusFailed, "Retry budget of source * is used up: exit status 1")
	w.forward(time.Hour)
	fail("agent", "d")
	w.is("d", job.StatusFailed, "Max retries exceeded: exit status 1")
	w.verify()
}

func TestInFlightLimit(t *testing.T) {
	w := newWorld(t)
	w.with(`"operators"`, `"limits": {"in_flight": 3}, "operators"`)
	for i := range 3 {
		w.propose(noop(fmt.Sprintf("o%d", i), ""))
		w.proposeAs("agent", noop(fmt.Sprintf("a%d", i), ""))
	}
	dispatch := func(ids ...string) (n int) {
		w.check(w.p.Dispatch(t.Context(), ids, func(l DispatchLine) error {
			if l.Host != "" {
				n++
			}
			return nil
		}))
		return n
	}
	if n := dispatch("o2", "a2"); n != 2 {
		t.Errorf("%d of the named jobs were dispatched, want 2", n)
	}
	if n := dispatch(); n != 1 {
		t.Errorf("%d more were dispatched, want 1", n)
	}
	if n := dispatch(); n != 0 {
		t.Errorf("%d were dispatched beyond the limit", n)
	}
	w.check(w.p.Run(t.Context(), nil, func(job.Result) error { return nil }))
	w.tick()
	for i := range 3 {
		w.is(fmt.Sprintf("o%d", i), job.StatusCompleted, "")
		w.is(fmt.Sprintf("a%d", i), job.StatusCompleted, "")
	}
	w.verify()
}

// A job that does not say itself how often it is repeated is started once, unless its rule or kind says that a rerun is safe.
func TestRetriesLeftOut(t *testing.T) {
	const limit = 10
	for _, c := range []struct {
		name, rule, more string
		attempts, shown  int
	}{
		{"not safe", `{"program": "false", "args": [], "decision": "allow"}`, ``, 1, 0},
		{"not safe, with a choice of exit codes", `{"program": "false", "args": [], "decision": "allow"}`, `"retry_on": [1],`, 1, 0},
		{"not safe, and the proposal's own", `{"program": "false", "args": [], "decision": "allow"}`, `"max_retries": 2,`, 3, 2},
		{"safe", `{"program": "false", "args": [], "decision": "allow", "rerun": "safe"}`, ``, 4, 3},
		{"safe, and the rule's", `{"program": "false", "args": [], "decision": "allow", "rerun": "safe", "max_retries": 1}`, ``, 2, 1},
		{"safe, and none by the rule", `{"program": "false", "args": [], "decision": "allow", "rerun": "safe", "max_retries": 0}`, ``, 1, 0},
		{"the proposal's own wins", `{"program": "false", "args": [], "decision": "allow", "rerun": "safe", "max_retries": 0}`, `"max_retries": 1,`, 2, 1},
		{"more than the limit", `{"program": "false", "args": [], "decision": "allow", "rerun": "safe", "max_retries": 99}`, ``, limit + 1, limit},
		{"the least of two rules", `{"program": "false", "args": [], "decision": "allow", "rerun": "safe"}, {"program": "false", "args": ["..."],
			"decision": "allow", "rerun": "safe", "max_retries": 2}`, ``, 3, 2},
		{"two rules, of which one is not safe", `{"program": "false", "args": [], "decision": "allow", "rerun": "safe"}, {"program": "false",
			"args": ["..."], "decision": "allow"}`, ``, 1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.with(`{"program": "false", "args": [], "decision": "allow", "rerun": "safe"}`, c.rule+" ")
			w.propose(exec("a", c.more, "false"))
			n := w.exhaust("a")
			if n != c.attempts {
				t.Errorf("%d attempts, want %d", n, c.attempts)
			}
			text := "exit status 1"
			if n > 1 {
				text = "Max retries exceeded: exit status 1"
			}
			w.is("a", job.StatusFailed, text)
			if j, err := w.p.Job(t.Context(), "a"); err != nil || j.MaxRetries != c.shown {
				t.Errorf("%v: max_retries is shown as %d, want %d", err, j.MaxRetries, c.shown)
			}
			w.verify()
		})
	}
}

// What a waiting job has when it is approved counts, not what it had when it came.
func TestRetriesOfAnApproval(t *testing.T) {
	w := newWorld(t)
	const rule = `"false", "args": [], "decision": "allow", "rerun": "safe"`
	w.with(rule, `"false", "args": [], "decision": "ask"`)
	w.propose(exec("a", "", "false"))
	w.tick()
	w.is("a", job.StatusQuarantined, "")
	w.with(rule, rule+`, "max_retries": 2`)
	_, err := w.p.Gate(t.Context(), GateOptions{Blocked: true}, ignoreLine)
	w.check(err)
	if n := w.exhaust("a"); n != 3 {
		t.Errorf("%d attempts, want 3", n)
	}
	w.verify()
}

// A file kind that may be run again is repeated where that can mend the failure, and one that may not is not.
func TestRetriesOfKinds(t *testing.T) {
	w := newWorld(t)
	w.propose(`{"id": "read", "payload": {"kind": "file_read", "params": {"path": "nothing"}}}`)
	if n := w.exhaust("read"); n != job.DefaultMaxRetries+1 {
		t.Errorf("file_read: %d attempts, want %d", n, job.DefaultMaxRetries+1)
	}
}
