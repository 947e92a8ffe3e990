package pipeline

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
)

// A job that waits only until fewer of its source are in flight is shown as throttled everywhere, and no event says so.
func TestHeldByConcurrency(t *testing.T) {
	w := newWorld(t)
	w.with(`"max_concurrent_jobs": 5, "max_priority": "high"}`, `"max_concurrent_jobs": 1, "max_priority": "high"}`)
	w.proposeAs("agent", exec("first", "", "sleep", "30"))
	for i := range 3 {
		w.proposeAs("agent", noop(fmt.Sprintf("held-%d", i), ""))
	}
	w.proposeAs("agent", noop("waits", `"depends_on": ["first"],`))
	shown := func(status string) (ids []string) {
		w.check(w.p.Jobs(t.Context(), JobFilter{Status: []string{status}}, func(l JobLine) error {
			if string(l.Status) != status {
				t.Errorf("%s is listed among %s and shown as %s", l.JobID, status, l.Status)
			}
			ids = append(ids, l.JobID)
			return nil
		}))
		return ids
	}
	if ids := shown("throttled"); len(ids) > 0 {
		t.Errorf("throttled before anything runs: %v", ids)
	}
	events := len(w.events("held-1"))
	tick := w.open()
	w.check(w.whileRunning("first", func() error { return tick.Tick(t.Context(), TickOptions{}, nil) }, func() {
		if l := w.proposeAs("agent", noop("late", "")); l.Status != "throttled" {
			t.Errorf("gate says %s of a job that has to wait", l.Status)
		}
		if ids := shown("throttled"); !slices.Equal(ids, []string{"held-0", "held-1", "held-2", "late"}) {
			t.Errorf("throttled: %v", ids)
		}
		if ids := shown("pending"); !slices.Equal(ids, []string{"waits"}) {
			t.Errorf("pending: %v", ids)
		}
		s, err := w.p.Status(t.Context())
		w.check(err)
		if s.Jobs["throttled"] != 4 || s.Jobs["pending"] != 1 || s.Jobs["running"] != 1 {
			t.Errorf("status: %v", s.Jobs)
		}
		live, err := w.p.Live(t.Context())
		w.check(err)
		if len(live.Sources) != 1 || live.Sources[0].Throttled != 4 || live.Sources[0].Pending != 1 {
			t.Errorf("live: %+v", live.Sources)
		}
		why, err := w.p.Why(t.Context(), "held-1")
		w.check(err)
		if why.Status != "throttled" || !slices.Equal(why.WaitsFor, []string{"the end of another job of source agent: 1 at a time, together with the other sources of *"}) {
			t.Errorf("why: %s, %q", why.Status, why.WaitsFor)
		}
		reply, err := w.p.Reply(t.Context(), "held-1")
		w.check(err)
		if reply.Status != job.StatusThrottled || !strings.Contains(reply.Message, "fewer jobs of source agent") {
			t.Errorf("reply: %s, %s", reply.Status, reply.Message)
		}
		for _, id := range []string{"late", "held-1"} {
			says := func() bool { return strings.Contains(w.read(w.ws.Rel(w.ws.Approved(id))), `"status":"throttled"`) }
			for deadline := time.Now().Add(20 * time.Second); !says() && time.Now().Before(deadline); {
				time.Sleep(50 * time.Millisecond)
			}
			if !says() {
				t.Errorf("the file of %s does not say that it is throttled", id)
			}
		}
		// Who is paused waits for that as well.
		w.check(w.p.Pause(t.Context(), "agent", "", false))
		if ids := shown("throttled"); len(ids) > 0 {
			t.Errorf("throttled although the source is paused: %v", ids)
		}
		w.check(w.p.Resume(t.Context(), "agent"))
		w.check(w.p.Cancel(t.Context(), Selection{Status: "throttled"}, "", ignoreJob))
		if row := w.row("held-1"); row.Status != job.StatusCancelled {
			t.Errorf("held-1 is %s after throttled jobs were cancelled", row.Status)
		}
		if n := len(w.events("held-1")); n != events+1 {
			t.Errorf("%d events more, one of which is the cancellation", n-events)
		}
		w.check(w.p.Cancel(t.Context(), Selection{IDs: []string{"first"}}, "", ignoreJob))
	}))
	if !slices.Contains(w.names("late"), job.JobCancelled) || filepath.Base(w.p.placeOf(w.row("late"))) != "late.json" {
		t.Error("late is not where it belongs")
	}
	w.verify()
}
