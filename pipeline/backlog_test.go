package pipeline

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// A full queue is the matter of its source alone.
func TestQueueDepthIsOfEachSource(t *testing.T) {
	w := newWorld(t)
	w.write(w.ws.Config(), strings.Replace(testConfig, `"gates": {`, `"limits": {"queue_depth": 3}, "gates": {`, 1))
	w.p = w.open()
	for _, source := range []string{"a", "b", "c"} {
		for i := range 3 {
			w.drop(source, fmt.Sprintf("%d.json", i), noop(fmt.Sprintf("%s%d", source, i), ""))
		}
	}
	w.drop("c", "3.json", noop("c3", ""))
	taken := func() []string {
		var ids []string
		sum, err := w.p.Gate(t.Context(), GateOptions{}, func(l GateLine) error { ids = append(ids, l.JobID); return nil })
		w.check(err)
		slices.Sort(ids)
		return append(ids, fmt.Sprint("deferred: ", sum.Deferred > 0))
	}
	first := taken()
	if len(first) != 10 || first[9] != "deferred: true" {
		t.Errorf("taken: %v", first)
	}
	var deferred []string
	w.check(w.p.Events(t.Context(), EventFilter{Event: string(job.IntakeDeferred)}, func(line []byte, _ ledger.Event) error {
		deferred = append(deferred, string(line))
		return nil
	}))
	if len(deferred) != 1 || !strings.Contains(deferred[0], `"source":"c"`) {
		t.Errorf("deferred: %q", deferred)
	}
	w.tick()
	if again := taken(); len(again) != 1 || again[0] != "deferred: false" {
		t.Errorf("after a tick: %v", again)
	}
	w.verify()
}

// Of a long life the beginning and the end are told.
func TestWhyOfALongLife(t *testing.T) {
	w := newWorld(t)
	w.drop("operator", "many.ready.jsonl", strings.Repeat(noop("a", "")+"\n", 300))
	w.gate()
	w.tick()
	why, err := w.p.Why(t.Context(), "a")
	w.check(err)
	events := w.events("a")
	if len(events) <= whySteps || len(why.Steps) != whySteps {
		t.Fatalf("%d steps of %d events", len(why.Steps), len(events))
	}
	for i, s := range why.Steps {
		want := events[i]
		if i >= whySteps/2 {
			want = events[len(events)-whySteps+i]
		}
		if s.Seq != want.Seq {
			t.Fatalf("step %d is event %d, want %d", i, s.Seq, want.Seq)
		}
	}
}
