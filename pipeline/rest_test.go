package pipeline

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/index"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// A machine that cannot start a job costs it neither an attempt nor a retry: it stays in the queue, the ledger and a
// warning say why, and it runs as soon as the machine can.
func TestHostFaultIsNoAttempt(t *testing.T) {
	w := newWorld(t)
	obstacle := filepath.Join(w.ws.Jobs(), "started")
	w.write(obstacle, "")
	w.propose(exec("a", `"max_retries": 0,`, "echo", "x"))
	w.propose(exec("b", "", "true"))
	w.tick()
	for _, id := range []string{"a", "b"} {
		if row := w.row(id); row.Status != job.StatusPending || row.Attempt != 0 || row.RetryCount != 0 || row.Leased() {
			t.Errorf("%s: %+v", id, row)
		}
		list, err := w.p.Attempts(t.Context(), id)
		w.check(err)
		if len(list) != 0 {
			t.Errorf("%s: attempts %+v", id, list)
		}
	}
	told := 0
	w.check(w.p.view(t.Context(), func(r *index.Reader) error {
		return r.Events(index.EventFilter{Event: string(job.LeaseExpired)}, func(ev ledger.Event) error {
			var m ledger.Unknown
			if err := ev.DecodeMeta(&m); err != nil {
				return err
			}
			if m.Reason == reasonHost && strings.Contains(m.Error, "start marker") {
				told++
			}
			return nil
		})
	}))
	if told == 0 || len(w.warned) == 0 || !strings.Contains(w.warned[0], "was not started, and is tried again") {
		t.Errorf("%d events, warnings %q", told, w.warned)
	}
	w.warned = nil
	w.check(os.Remove(obstacle))
	w.forward(time.Hour)
	w.tick()
	for _, id := range []string{"a", "b"} {
		if row := w.row(id); row.Status != job.StatusCompleted || row.Attempt != 1 {
			t.Errorf("%s afterwards: %+v", id, row)
		}
	}
	w.verify()
}

// A tick stays for a machine that has a moment of weakness, and not for one that has not recovered by the end of its
// patience.
func TestTickLingersForHost(t *testing.T) {
	w := newWorld(t)
	obstacle := filepath.Join(w.ws.Jobs(), "started")
	w.write(obstacle, "")
	w.propose(exec("a", "", "true"))
	begin := time.Now()
	w.check(w.p.Tick(t.Context(), TickOptions{Linger: time.Second}, nil))
	if took := time.Since(begin); took < time.Second/2 || w.row("a").Status != job.StatusPending {
		t.Errorf("after %v: %s", took, w.row("a").Status)
	}
	go func() {
		time.Sleep(300 * time.Millisecond)
		os.Remove(obstacle)
	}()
	w.forward(time.Hour)
	w.p.rest.started("")
	w.check(w.p.Tick(t.Context(), TickOptions{Linger: time.Minute}, nil))
	if row := w.row("a"); row.Status != job.StatusCompleted {
		t.Errorf("%+v", row)
	}
}

// The job whose own files are at fault keeps no other from starting.
func TestRestOfOneJob(t *testing.T) {
	var h rest
	now := time.Unix(1_000_000, 0)
	h.fault("a", now)
	if n := h.room(10, now); n != 0 {
		t.Errorf("at once after a fault: %d", n)
	}
	now = now.Add(hostRest)
	if n := h.room(10, now); n != 1 {
		t.Errorf("after the pause: %d", n)
	}
	h.started("b")
	if n := h.room(10, now); n != 10 {
		t.Errorf("after a start: %d", n)
	}
	if !now.Before(h.jobs["a"].until) {
		t.Error("the job that failed does not rest")
	}
	for range 100 {
		h.fault("a", now)
	}
	if h.until.After(now.Add(hostRestMax)) || h.jobs["a"].until.After(now.Add(ownRestMax)) {
		t.Errorf("pauses without end: %v, %v", h.until.Sub(now), h.jobs["a"].until.Sub(now))
	}
}
