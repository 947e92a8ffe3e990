package pipeline

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
)

// eventually waits until cond holds.
func (w *world) eventually(what string, cond func() bool) {
	w.t.Helper()
	for end := time.Now().Add(20 * time.Second); !cond(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("%s: not in 20 seconds", what)
		}
	}
}

func (w *world) comesTo(id string, status job.Status) {
	w.t.Helper()
	w.eventually(id+" "+string(status), func() bool {
		row, ok, err := w.p.find(w.t.Context(), id)
		w.check(err)
		return ok && row.Status == status
	})
}

// A loop takes up new rules while it is at work, and its job goes on. While rules are broken nothing begins, as config check
// promises; that is complained of once, and status says it.
func TestLoopTakesUpRules(t *testing.T) {
	w := newWorld(t)
	w.propose(exec("long", "", "sleep", "60"))
	p := w.open()
	ctx, stop := context.WithCancelCause(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- p.Tick(ctx, TickOptions{Loop: true, Interval: 50 * time.Millisecond}, func(TickLine) error { return nil })
	}()
	ended := false
	end := func() {
		if !ended {
			ended = true
			stop(ErrInterrupted)
			w.check(<-done)
		}
	}
	defer end()
	w.comesTo("long", job.StatusRunning)

	w.write(w.ws.Config(), "{")
	for range 3 {
		w.forward(2 * rulesEvery)
		time.Sleep(2 * lookEvery)
	}
	w.drop("operator", "old.json", noop("old", ""))
	for range 3 {
		w.forward(2 * rulesEvery)
		time.Sleep(2 * lookEvery)
	}
	if _, ok, err := w.p.find(t.Context(), "old"); ok || err != nil {
		t.Errorf("a proposal was taken in under rules that are broken: %v", err)
	}
	if s, err := w.p.Status(t.Context()); err != nil || !strings.Contains(s.Rules, "sheratan.json") {
		t.Errorf("status says %q of the rules, %v", s.Rules, err)
	}

	w.write(w.ws.Config(), strings.Replace(testConfig, `"exec": [`, `"exec": [{"program": "ls", "args": [], "decision": "allow"},`, 1))
	w.forward(2 * rulesEvery)
	time.Sleep(2 * lookEvery)
	w.drop("operator", "new.json", exec("new", "", "ls"))
	w.comesTo("new", job.StatusCompleted)
	w.comesTo("old", job.StatusCompleted)
	if s, err := w.p.Status(t.Context()); err != nil || s.Rules != "" {
		t.Errorf("status says %q of rules that were mended, %v", s.Rules, err)
	}
	if row := w.row("long"); row.Status != job.StatusRunning || row.Attempt != 1 {
		t.Errorf("the job that was running is %s, attempt %d", row.Status, row.Attempt)
	}
	end()
	if len(w.warned) != 1 || !strings.Contains(w.warned[0], "nothing is begun until") {
		t.Errorf("warnings: %q", w.warned)
	}
}

// What was leased under the old rules and has not begun is leased again, and so gated again.
func TestLeasedUnderOldRules(t *testing.T) {
	w := newWorld(t)
	w.propose(exec("a", "", "true"))
	r, err := w.p.Rules(t.Context())
	w.check(err)
	e := w.p.newEngine(r, w.p.queueHead(r), &TickLine{}, nil)
	w.check(w.p.transact(t.Context(), func(b *batch) error {
		list, _, err := e.source.lease(b, 1)
		e.runner.queue.add(list)
		return err
	}))
	w.write(w.ws.Config(), strings.Replace(testConfig, `"program": "true", "args": [], "decision": "allow"`, `"program": "true", "args": [], "decision": "ask"`, 1))
	w.check(w.p.reloadRules(t.Context()))
	r, err = w.p.Rules(t.Context())
	w.check(err)
	old := e.runner.using
	e.adopt(r, w.p.queueHead(r))
	if old.users != 0 || e.runner.using.users != 1 {
		t.Errorf("uses: old %d, new %d", old.users, e.runner.using.users)
	}
	w.check(e.run(t.Context(), func(bool) (bool, time.Time, error) { return false, time.Time{}, nil }))
	w.is("a", job.StatusQuarantined, "")
	w.verify()
}
