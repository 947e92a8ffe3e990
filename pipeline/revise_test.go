package pipeline

import (
	"fmt"
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

// Wherever a kill cuts the batch of a revision short, there is either no revision, and the old version can be revised again; or it
// is finished by the next tick. Nobody waits for a job that there is not.
func TestRevisionCutShort(t *testing.T) {
	for _, status := range []job.Status{job.StatusQuarantined, job.StatusFailed} {
		for keep := range int64(6) {
			t.Run(fmt.Sprint(status, " ", keep), func(t *testing.T) {
				w := newWorld(t)
				base := exec("base", `"max_retries": 0,`, "false")
				if status == job.StatusQuarantined {
					base = exec("base", "", "no-such-program")
				}
				w.propose(base)
				w.propose(noop("next", `"depends_on": ["base"], "on_dependency_failure": "wait",`))
				w.tick()
				before, err := w.p.LedgerSize()
				w.check(err)
				w.revise("base", exec("base-2", "", "true"))
				after, err := w.p.LedgerSize()
				w.check(err)
				if after-before < 4 {
					t.Errorf("the revision has only %d events", after-before)
				}
				w.cut(min(before+keep, after))
				w.tick()
				if keep == 0 {
					if row := w.row("base"); row.Status != status || row.RevisedBy != "" {
						t.Errorf("base is %s, and revised by %q", row.Status, row.RevisedBy)
					}
					w.revise("base", exec("base-2", "", "true"))
					w.tick()
				}
				for _, id := range []string{"base-2", "next"} {
					w.is(id, job.StatusCompleted, "")
				}
				if status == job.StatusQuarantined {
					w.is("base", job.StatusCancelled, "revised by base-2")
				}
				w.warned = nil // of the index that is gone
				w.verify()
			})
		}
	}
}

// A revision that was cut short does not come into the queue beside its old version, which somebody let go on meanwhile or has
// revised again.
func TestRevisionCutShortAndTooLate(t *testing.T) {
	for _, how := range []string{"approved", "revised"} {
		t.Run(how, func(t *testing.T) {
			w := newWorld(t)
			w.with(`"program": "echo", "args": ["..."], "decision": "allow"`, `"program": "echo", "args": ["..."], "decision": "ask"`)
			w.propose(exec("base", "", "echo", "a"))
			before, err := w.p.LedgerSize()
			w.check(err)
			w.revise("base", exec("base-2", "", "true"))
			w.cut(before + 1)
			w.is("base-2", job.StatusPending, "")
			if how == "approved" {
				list, err := w.p.Pending(t.Context(), []string{"base"})
				w.check(err)
				w.check(w.p.Approve(t.Context(), list, Decision{Reason: "test"}, ignoreLine))
			} else {
				w.revise("base", exec("base-3", "", "true"))
			}
			w.tick()
			w.is("base-2", job.StatusCancelled, "base, which it was to revise, has moved on")
			if how == "approved" {
				w.is("base", job.StatusCompleted, "")
			} else {
				w.is("base", job.StatusCancelled, "revised by base-3")
				w.is("base-3", job.StatusCompleted, "")
			}
			w.warned = nil
			w.verify()
		})
	}
}
