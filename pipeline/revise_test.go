package pipeline

import (
	"slices"
	"strings"
	"testing"

	"github.com/sheratan/sheratan/pipeline/job"
)

func (w *world) revise(id, text string) GateLine {
	w.t.Helper()
	line, err := w.p.Revise(w.t.Context(), id, Draft{Name: "-", Data: []byte(text)})
	w.check(err)
	return line
}

// A job that depends on a blocked one goes on with its revision; so does one that is proposed after it.
func TestDependentsWaitForTheRevision(t *testing.T) {
	w := newWorld(t)
	w.propose(exec("base", "", "no-such-program"))
	w.propose(noop("next", `"depends_on": ["base"],`))
	w.tick()
	w.is("next", job.StatusPending, "")

	blocked := w.revise("base", exec("base-2", "", "no-such-program"))
	if blocked.Status != "quarantined" {
		t.Fatalf("%+v", blocked)
	}
	w.tick()
	w.is("base", job.StatusCancelled, "revised by base-2")
	w.is("next", job.StatusPending, "")
	why, err := w.p.Why(t.Context(), "next")
	w.check(err)
	if want := []string{"job base-2, the revision of base (quarantined)"}; !slices.Equal(why.WaitsFor, want) {
		t.Errorf("next waits for %q, want %q", why.WaitsFor, want)
	}
	why, err = w.p.Why(t.Context(), "base")
	w.check(err)
	if !slices.ContainsFunc(why.Steps, func(s Step) bool {
		return s.Event == job.JobRevised && strings.Contains(s.Text, "revised by base-2, for which those wait now that depend on this one (1)")
	}) {
		t.Errorf("steps of base: %+v", why.Steps)
	}

	w.propose(noop("late", `"depends_on": ["base"],`))
	w.revise("base-2", exec("base-3", "", "true"))
	w.tick()
	for _, id := range []string{"base-3", "next", "late"} {
		w.is(id, job.StatusCompleted, "")
	}
	w.verify() // which compares the index with a rebuild
}

// A revision that waits for those who wait for it is a cycle.
func TestRevisionInACircle(t *testing.T) {
	w := newWorld(t)
	w.propose(exec("base", "", "no-such-program"))
	w.propose(noop("next", `"depends_on": ["base"],`))
	line := w.revise("base", noop("base-2", `"depends_on": ["next"],`))
	if !slices.Contains(codes(line), "DEPENDENCY_CYCLE") {
		t.Errorf("%+v", line)
	}
	line = w.revise("base-2", noop("base-3", ""))
	if line.Status != "pending" {
		t.Errorf("%+v", line)
	}
	w.tick()
	w.is("next", job.StatusCompleted, "")
	w.verify()
}

// A failed job may be revised before the next step of the engine; who depends on it follows, and a retry takes up who failed.
func TestRevisionOfAFailedJob(t *testing.T) {
	w := newWorld(t)
	w.propose(exec("base", `"max_retries": 0,`, "false"))
	w.propose(noop("next", `"depends_on": ["base"],`))
	w.tick()
	w.is("next", job.StatusFailed, "Dependency failed: base")
	w.revise("base", exec("base-2", "", "true"))
	w.check(w.p.Retry(t.Context(), Selection{IDs: []string{"next"}}, ignoreJob))
	w.tick()
	w.is("next", job.StatusCompleted, "")
	w.verify()
}
