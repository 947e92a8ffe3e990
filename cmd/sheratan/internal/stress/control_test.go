package stress_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// complains fails the test unless inspect finds fault, with the word in it.
func (s *site) complains(e expectation, word string) {
	s.t.Helper()
	list := s.inspect(e)
	if !slices.ContainsFunc(list, func(c string) bool { return strings.Contains(c, word) }) {
		s.t.Errorf("inspect finds %q; it should find %q", list, word)
	}
}

// interrupted makes a workspace in which the runner of a job that is not safe to run again was killed, just after the job had
// its effect.
func interrupted(t *testing.T) (*site, expectation) {
	t.Helper()
	s := newSite(t, 2)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s.must("submit", "--id", "once", "--retries", "0", "--", self, "mark", s.marks, "once", "60000", "0")
	tick := s.start("", "tick")
	s.until("marked", 20*time.Second, func() bool { return s.marked()["once"] == 1 })
	tick.kill()
	return s, expectation{jobs: map[string]want{"once": {fate: unsafe, mark: "once"}}}
}

// TestStartMarker is the protection of jobs that may run once: what a killed runner had begun is not begun again.
func TestStartMarker(t *testing.T) {
	t.Parallel()
	s, e := interrupted(t)
	s.quiet()
	if list := s.inspect(e); len(list) > 0 {
		t.Errorf("%q", list)
	}
	if out := s.must("jobs", "once", "--json"); !lines[jobLine](t, out)[0].unknown() {
		t.Errorf("after its runner was killed: %s", out)
	}
}

// TestStartMarkerControl takes that protection out, and sees the job run twice.
func TestStartMarkerControl(t *testing.T) {
	t.Parallel()
	for range 10 {
		if runsTwice(t) {
			return
		}
	}
	t.Error("the runner was never killed before the start of the job was in the ledger")
}

// runsTwice removes the start marker of an interrupted job. It is false where the start was in the ledger as well, which
// protects the job too.
func runsTwice(t *testing.T) bool {
	t.Helper()
	s, e := interrupted(t)
	if s.status("once") == "running" {
		return false
	}
	left, err := filepath.Glob(s.path(".sheratan", "jobs", "started", "once.*"))
	if err != nil || len(left) != 1 {
		t.Fatalf("start markers: %v, %v", left, err)
	}
	if err := os.Remove(left[0]); err != nil {
		t.Fatal(err)
	}
	tick := s.start("", "tick")
	s.until("marked twice", 20*time.Second, func() bool { return s.marked()["once"] == 2 })
	s.must("cancel", "once")
	tick.wait()
	s.complains(e, "with 2 marks")
	return true
}

// TestInspectControl breaks a good workspace in the ways that inspect is there to find.
func TestInspectControl(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2)
	s.must("submit", "--id", "a", "--kind", "noop")
	s.must("submit", "--id", "b", "--", "no-such-program")
	s.put("two.ready.jsonl", `{"payload":{"kind":"noop","params":{}}}`+"\n"+`{"payload":{"kind":"noop","params":{}}}`+"\n")
	s.quiet()
	good := expectation{jobs: map[string]want{"a": {}, "b": {fate: blocked}}, files: map[string]int{"two.ready.jsonl": 2}, alive: true}
	if list := s.inspect(good); len(list) > 0 {
		t.Fatalf("nothing is wrong yet: %q", list)
	}
	s.complains(expectation{jobs: map[string]want{"lost": {}}}, "lost")
	s.complains(expectation{files: map[string]int{"two.ready.jsonl": 3}}, "made 2 jobs")
	s.complains(expectation{jobs: map[string]want{"b": {}}}, "is quarantined")
	result, err := filepath.Glob(s.path("outbox", "results", "*", "*", "*", "*", "a.json"))
	if err != nil || len(result) != 1 {
		t.Fatalf("result of a: %v, %v", result, err)
	}
	text, err := os.ReadFile(result[0])
	if err != nil {
		t.Fatal(err)
	}
	write := func(path string) {
		t.Helper()
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(s.path("queue", "approved", "a.json"))
	s.complains(good, "lies in [")
	os.Remove(s.path("queue", "approved", "a.json"))
	os.Remove(result[0])
	s.complains(good, "lies in []")
	write(result[0])
	write(s.path(".sheratan", "claimed", "x"))
	s.complains(good, "claims: 1")
	os.Remove(s.path(".sheratan", "claimed", "x"))
	if list := s.inspect(good); len(list) > 0 {
		t.Fatalf("everything is as it was: %q", list)
	}
	s.cutLedger()
	for _, args := range [][]string{{"ledger", "verify"}, {"tick"}, {"jobs"}} {
		if code, stdout, stderr := s.run(args...); code != 12 || !strings.Contains(stdout+stderr, "LEDGER_SHORTER") {
			t.Errorf("%v of a ledger that was cut: exit %d: %s%s", args, code, stdout, stderr)
		}
	}
}

// cutLedger takes the last line away from the ledger, as if it had not been synced.
func (s *site) cutLedger() {
	s.t.Helper()
	segments, err := filepath.Glob(s.path("outbox", "ledger", "*", "*", "*.jsonl"))
	if err != nil || len(segments) == 0 {
		s.t.Fatal(segments, err)
	}
	last := segments[len(segments)-1]
	text, err := os.ReadFile(last)
	if err == nil {
		end := strings.LastIndex(strings.TrimSuffix(string(text), "\n"), "\n") + 1
		err = os.Truncate(last, int64(end))
	}
	if err != nil {
		s.t.Fatal(fmt.Errorf("%s: %w", last, err))
	}
}

// TestPowerLoss: after a reboot the files of the last jobs are put in place again, whether or not anything tells that they are
// missing.
func TestPowerLoss(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2)
	s.must("submit", "--id", "done", "--kind", "noop")
	s.must("submit", "--id", "blocked", "--", "no-such-program")
	s.must("submit", "--id", "waits", "--kind", "noop", "--after", "blocked")
	s.quiet()
	good := expectation{jobs: map[string]want{"done": {}, "blocked": {fate: blocked}}, alive: true}
	for _, dir := range [][]string{{"outbox", "results"}, {"queue", "approved"}, {"queue", "blocked"}} {
		if err := os.RemoveAll(s.path(dir...)); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(s.path(dir...), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s.complains(good, "lies in []")
	if err := os.WriteFile(s.path(".sheratan", "boot"), []byte("the boot before"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.quiet()
	if list := s.inspect(good); len(list) > 0 {
		t.Errorf("%q", list)
	}
}
