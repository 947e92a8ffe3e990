package pipeline

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
)

// What is leased ahead begins in the order of claims, but for the turns that sources take among jobs of one priority: also where
// each of them is the last to be added, again and again.
func TestTurnQueue(t *testing.T) {
	seq := int64(0)
	attempts := func(source string, priority job.Priority, due, n int) (list []*attempt) {
		for range n {
			seq++
			a := &attempt{}
			a.row.Seq, a.row.Source, a.row.Priority, a.row.DueAt = seq, source, priority, time.Unix(int64(due), 0)
			list = append(list, a)
		}
		return list
	}
	var q turnQueue
	take := func(n int) (sources []string) {
		for range n {
			sources = append(sources, q.take().row.Source)
		}
		return sources
	}
	want := func(n int, want ...string) {
		t.Helper()
		if got := take(n); !slices.Equal(got, want) {
			t.Errorf("taken %v, want %v", got, want)
		}
	}
	q.add(attempts("flood", job.PriorityNormal, 10, 100))
	want(3, "flood", "flood", "flood")
	q.add(attempts("new", job.PriorityNormal, 20, 3))
	want(5, "new", "flood", "new", "flood", "new")
	q.add(attempts("high", job.PriorityHigh, 15, 1)) // due later than those of flood, and not of their priority
	q.add(attempts("critical", job.PriorityCritical, 30, 1))
	want(2, "critical", "flood")
	for range 10 { // one slot: whoever is added last must not wait for all that are added behind it
		q.add(attempts("flood", job.PriorityNormal, 10, 1))
		q.add(attempts("new", job.PriorityNormal, 20, 1))
		if got := take(2); !slices.Contains(got, "new") {
			t.Fatalf("taken %v, and new has had no turn", got)
		}
	}
	for len(q.list) > 1 {
		q.take()
	}
	want(1, "high")
	if q.last != nil || q.now != nil {
		t.Errorf("an empty queue remembers %v and %v", q.last, q.now)
	}
}

// Where hundreds of short jobs of one source are leased ahead, so that nothing more is to be leased, a job of another source is leased
// all the same, and is next.
func TestNewcomerIsLeased(t *testing.T) {
	w := newWorld(t)
	w.with(`"max_jobs_per_minute": 10, "max_concurrent_jobs": 5`, `"max_jobs_per_minute": 0, "max_concurrent_jobs": 0`)
	for i := range 40 {
		w.drop("flood", fmt.Sprintf("f%d.json", i), noop(fmt.Sprintf("f%d", i), ""))
	}
	w.gate()
	r, err := w.p.Rules(t.Context())
	w.check(err)
	e := w.p.newEngine(r, w.p.queueHead(r), &TickLine{}, nil)
	lease := func(n int) {
		t.Helper()
		w.check(w.p.transact(t.Context(), func(b *batch) error {
			list, _, err := e.source.lease(b, n)
			e.runner.queue.add(list)
			return err
		}))
	}
	want := func(want int) {
		t.Helper()
		if n, err := e.newcomer(t.Context()); err != nil || n != want {
			t.Errorf("newcomers: %d, %v; want %d", n, err, want)
		}
	}
	want(0)
	lease(30)
	want(0) // of the same source
	w.propose(noop("mine", ""))
	want(1)
	lease(1)
	want(0)
	if first, second := e.runner.queue.take(), e.runner.queue.take(); first.row.ID != "mine" && second.row.ID != "mine" {
		t.Errorf("%s and %s come before it", first.row.ID, second.row.ID)
	}
}
