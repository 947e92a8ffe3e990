package index

import (
	"slices"
	"testing"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/ledger"
)

func TestKeys(t *testing.T) {
	f := newFixture(t)
	with := func(key, revises string) func(*ledger.Received) {
		return func(m *ledger.Received) { m.Key, m.Revises = key, revises }
	}
	holder := func(source, key, want string) {
		t.Helper()
		f.read(func(r *Reader) {
			row, found, err := r.KeyHolder(source, key)
			if err != nil || found != (want != "") || row.ID != want {
				t.Errorf("holder of %s: %q, %t, %v; want %q", key, row.ID, found, err, want)
			}
		})
		f.write(func(tx *Tx) {
			if row, _, err := tx.KeyHolder(source, key); err != nil || row.ID != want {
				t.Errorf("holder of %s in a transaction: %q, %v; want %q", key, row.ID, err, want)
			}
		})
	}
	f.propose("a", with("k", ""))
	holder("agent", "k", "")
	f.approve("a", true)
	holder("agent", "k", "a")
	holder("other", "k", "")
	f.propose("b", with("k", ""))
	f.approve("b", true) // comes too late
	holder("agent", "k", "a")
	f.event(job.JobBlocked, "a", ledger.Blocked{NextAction: "QUARANTINE"})
	holder("agent", "k", "")
	f.event(job.JobCancelled, "b", ledger.Cancelled{})
	f.approve("a", true)
	holder("agent", "k", "a")
	f.dispatch("a", 1)
	f.start("a", 1)
	f.event(job.JobFailed, "a", ledger.Ended{Attempt: 1, ExitCode: 1, Error: "x"})
	holder("agent", "k", "a")
	f.propose("stranger", with("k", ""))
	f.approve("stranger", true)
	holder("agent", "k", "a")
	f.propose("revision", with("k", "a"))
	f.approve("revision", true)
	holder("agent", "k", "revision")
	// The failed one is taken up again, and its key is gone.
	f.event(job.JobRetryScheduled, "a", ledger.RetryScheduled{WakeAt: job.FormatTime(epoch), Operator: true})
	holder("agent", "k", "revision")
	f.event(job.JobCancelled, "revision", ledger.Cancelled{})
	holder("agent", "k", "")

	// Without a key of its own a job has its id as key, and that is a key like any other.
	f.propose("own", with("own", ""))
	f.approve("own", true)
	holder("agent", "own", "own")
	f.propose("thief", with("own", ""))
	f.approve("thief", true)
	holder("agent", "own", "own")
	f.event(job.JobCancelled, "own", ledger.Cancelled{})
	holder("agent", "own", "")
	f.event(job.JobReady, "thief", ledger.Ready{})
	holder("agent", "own", "thief")
	f.event(job.JobRetryScheduled, "own", ledger.RetryScheduled{WakeAt: job.FormatTime(epoch), Operator: true})
	holder("agent", "own", "thief")
}

func TestDeduplication(t *testing.T) {
	f := newFixture(t)
	for _, id := range []string{"a", "b"} {
		f.propose(id, func(m *ledger.Received) { m.Key = "k" })
	}
	f.approve("a", true)
	f.event(job.JobDeduplicated, "b", ledger.Deduplicated{Of: "a"})
	if row := f.job("b"); row.JoinedTo != "a" || row.Ready || row.Zone != "approved" || row.HoldsKey {
		t.Errorf("%+v", row)
	}
	joined := func(want ...string) {
		t.Helper()
		f.read(func(r *Reader) {
			if rows, err := r.Joined("a", 10); err != nil || !slices.Equal(idsOf(rows), append([]string{}, want...)) {
				t.Errorf("joined: %v, %v; want %v", idsOf(rows), err, want)
			}
			if rows, err := r.Due(epoch.Add(time.Hour), 10); err != nil || len(rows) != 0 {
				t.Errorf("due: %v, %v", idsOf(rows), err)
			}
		})
	}
	joined("b")
	f.event(job.JobDeduplicated, "a", ledger.Deduplicated{Of: "a", Resubmitted: true})
	if row := f.job("a"); !row.Ready || row.JoinedTo != "" {
		t.Errorf("resubmitted: %+v", row)
	}
	f.run("a")
	f.event(job.JobCompleted, "b", ledger.Ended{DeduplicatedOf: "a"})
	joined()
	if row := f.job("b"); row.Status != job.StatusCompleted || row.JoinedTo != "a" {
		t.Errorf("%+v", row)
	}
}

func TestRateWindows(t *testing.T) {
	f := newFixture(t)
	window := func(bucket string) (l Limit) {
		t.Helper()
		f.read(func(r *Reader) {
			var err error
			if l, err = r.RateWindow(bucket); err != nil {
				t.Fatal(err)
			}
		})
		return l
	}
	if l := window("agent"); l.JobsPerMinute != DefaultJobsPerMinute || l.Concurrent != DefaultConcurrentJobs || !l.Window.IsZero() {
		t.Errorf("unconfigured: %+v", l)
	}
	f.configure(map[string][2]int{"*": {7, 3}, "agent": {2, 0}})
	if l := window("agent"); l.JobsPerMinute != 2 || l.Concurrent != 0 {
		t.Errorf("configured: %+v", l)
	}
	if l := window("unheard of"); l.JobsPerMinute != 7 || l.Concurrent != 3 {
		t.Errorf("the rest: %+v", l)
	}
	first, second := epoch.Truncate(time.Minute), epoch.Truncate(time.Minute).Add(time.Minute)
	for i, id := range []string{"a", "b", "c"} {
		f.propose(id, nil)
		if i < 2 {
			m := approved(epoch, true)
			m.Slot = job.FormatTime(first)
			f.event(job.JobApproved, id, m)
			if l := window("agent"); l.Count != i+1 || !l.Window.Equal(first) {
				t.Errorf("after %s: %+v", id, l)
			}
		}
	}
	f.approve("c", false)
	f.event(job.JobThrottled, "c", ledger.Throttled{Until: job.FormatTime(second)})
	if l := window("agent"); l.Count != 2 || !l.Window.Equal(first) {
		t.Errorf("throttled: %+v", l)
	}
	f.read(func(r *Reader) {
		if at, found, err := r.WindowOpens(); err != nil || !found || !at.Equal(second) {
			t.Errorf("the window opens at %v, %t, %v", at, found, err)
		}
		if due, err := r.Due(second, 10); err != nil || len(due) > 0 {
			t.Errorf("due: %v, %v", idsOf(due), err)
		}
	})
	f.configure(map[string][2]int{"*": {7, 3}, "agent": {3, 0}})
	f.read(func(r *Reader) {
		if at, found, err := r.NextWake(); err != nil || !found || !at.IsZero() {
			t.Errorf("the limit was raised, and the window opens at %v, %t, %v", at, found, err)
		}
	})
	if row := f.job("c"); row.Status != job.StatusThrottled || !row.WakeAt.Equal(second) || row.Zone != "approved" {
		t.Errorf("throttled: %+v", row)
	}
	f.event(job.JobReady, "c", ledger.Ready{Slot: job.FormatTime(second)})
	if l := window("agent"); l.Count != 1 || !l.Window.Equal(second) {
		t.Errorf("ready: %+v", l)
	}
	if row := f.job("c"); row.Status != job.StatusPending || !row.Ready {
		t.Errorf("ready: %+v", row)
	}
	// A source that loses its entry keeps its window and gets the limits of the rest.
	f.configure(map[string][2]int{"*": {7, 3}})
	if l := window("agent"); l.JobsPerMinute != 7 || l.Concurrent != 3 || l.Count != 1 {
		t.Errorf("entry removed: %+v", l)
	}
}

func TestHostsAndPauses(t *testing.T) {
	f := newFixture(t)
	f.eventWith(job.HostEnrolled, "", ledger.HostMeta{Host: "h", MaxConcurrent: 5}, map[string]any{"capabilities": []string{"gpu", "net"}})
	f.event(job.HostOffline, "", ledger.HostMeta{Host: "h"})
	f.propose("a", nil)
	f.approve("a", true)
	f.event(job.JobDispatched, "a", leaseOf("h", 1, epoch))
	f.write(func(tx *Tx) {
		if err := tx.SetHeartbeat("h", epoch); err != nil {
			t.Fatal(err)
		}
	})
	f.read(func(r *Reader) {
		hosts, err := r.Hosts()
		if err != nil || len(hosts) != 1 {
			t.Fatalf("%v, %v", hosts, err)
		}
		h := hosts[0]
		if h.ID != "h" || h.Status != "offline" || h.MaxConcurrent != 5 || !slices.Equal(h.Capabilities, []string{"gpu", "net"}) ||
			h.CurrentJobs != 1 || !h.LastHeartbeat.Equal(epoch) {
			t.Errorf("%+v", h)
		}
	})
	f.event(job.Paused, "", ledger.PausedMeta{Source: "agent", Reason: "lunch", Kill: true})
	f.event(job.Paused, "", ledger.PausedMeta{})
	f.event(job.Resumed, "", ledger.PausedMeta{Source: "nobody"})
	f.read(func(r *Reader) {
		pauses, err := r.Paused()
		want := []Pause{{Source: "", Since: epoch}, {Source: "agent", Reason: "lunch", Kill: true, Since: epoch}}
		if err != nil || !slices.Equal(pauses, want) {
			t.Errorf("%+v, %v", pauses, err)
		}
	})
	f.event(job.Resumed, "", ledger.PausedMeta{})
	f.read(func(r *Reader) {
		if pauses, err := r.Paused(); err != nil || len(pauses) != 0 {
			t.Errorf("%+v, %v", pauses, err)
		}
	})
}
