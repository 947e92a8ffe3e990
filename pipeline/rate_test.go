package pipeline

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
)

// flood lets a source propose n jobs with names that begin with its own.
func (w *world) flood(source string, n int) {
	w.t.Helper()
	var b strings.Builder
	for i := range n {
		b.WriteString(noop(fmt.Sprintf("%s-%03d", source, i), "") + "\n")
	}
	w.drop(source, "p.ready.jsonl", b.String())
	w.gate()
}

// completed counts the completed jobs by source.
func (w *world) completed() map[string]int {
	w.t.Helper()
	n := map[string]int{}
	w.check(w.p.Jobs(w.t.Context(), JobFilter{Status: []string{"completed"}}, func(l JobLine) error {
		n[l.Source]++
		return nil
	}))
	return n
}

// A source that floods the bucket that it shares takes turns with the others of it, whoever came first.
func TestSharedBucketTakesTurns(t *testing.T) {
	w := newWorld(t)
	w.flood("flood", 60)
	w.flood("calm", 3)
	w.tick()
	if got := w.completed(); got["flood"] != 10 || got["calm"] != 0 {
		t.Errorf("first window: %v", got)
	}
	w.forward(time.Minute)
	w.flood("late", 20)
	w.tick()
	// calm was never served and begins: calm, late, flood, calm, late, flood, calm, late, flood, late.
	if got := w.completed(); got["flood"] != 13 || got["calm"] != 3 || got["late"] != 4 {
		t.Errorf("second window: %v", got)
	}
	w.forward(time.Minute)
	w.tick()
	if got := w.completed(); got["flood"] != 18 || got["late"] != 9 {
		t.Errorf("third window: %v", got)
	}
	w.is("flood-017", job.StatusCompleted, "")
	w.is("flood-018", job.StatusThrottled, "") // of one source in the order of arrival
	why, err := w.p.Why(t.Context(), "flood-018")
	w.check(err)
	if len(why.WaitsFor) != 1 || !strings.Contains(why.WaitsFor[0], "in turn with the other sources of *; the next window begins at ") {
		t.Errorf("why: %q", why.WaitsFor)
	}
	w.verify()
}

// What comes while the sweep is still to come does not overtake what waits.
func TestThrottledAreNotOvertaken(t *testing.T) {
	w := newWorld(t)
	w.flood("a", 15)
	w.tick()
	w.forward(time.Minute)
	w.proposeAs("a", noop("z", ""))
	w.is("z", job.StatusThrottled, "")
	w.tick()
	w.is("z", job.StatusCompleted, "")
	var order []string
	for _, id := range []string{"a-010", "a-014", "z"} {
		for _, ev := range w.events(id) {
			if ev.Event == job.JobReady {
				order = append(order, fmt.Sprintf("%09d", ev.Seq))
			}
		}
	}
	if len(order) != 3 || !slices.IsSorted(order) {
		t.Errorf("made ready at %v", order)
	}
	w.verify()
}

// A limit that is raised, or taken away, holds for those who wait as well, in a tick and in a loop.
func TestRaisedLimitHoldsAtOnce(t *testing.T) {
	raise := func(w *world, to string) {
		w.write(w.ws.Config(), strings.Replace(testConfig, `"max_jobs_per_minute": 10`, `"max_jobs_per_minute": `+to, 1))
		w.forward(2 * rulesEvery)
	}
	w := newWorld(t)
	w.flood("a", 30)
	w.tick()
	if got := w.completed()["a"]; got != 10 {
		t.Fatalf("%d completed", got)
	}
	for _, step := range []struct {
		limit string
		want  int
	}{{"25", 25}, {"7", 25}, {"0", 30}} {
		raise(w, step.limit)
		w.p = w.open()
		w.tick()
		if got := w.completed()["a"]; got != step.want {
			t.Errorf("limit %s: %d completed, want %d", step.limit, got, step.want)
		}
	}
	w.verify()
}

func TestRaisedLimitInALoop(t *testing.T) {
	w := newWorld(t)
	w.flood("a", 12)
	w.loop(func() {
		w.comesTo("a-009", job.StatusCompleted)
		w.is("a-011", job.StatusThrottled, "")
		w.write(w.ws.Config(), strings.Replace(testConfig, `"max_jobs_per_minute": 10`, `"max_jobs_per_minute": 12`, 1))
		w.forward(2 * rulesEvery)
		w.comesTo("a-011", job.StatusCompleted)
	})
	w.verify()
}
