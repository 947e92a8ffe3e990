package index

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/ledger"
)

func TestUsualLife(t *testing.T) {
	f := newFixture(t)
	f.propose("a", func(m *ledger.Received) { m.MissionID, m.Line = "m", 3 })
	row := f.job("a")
	if row.Zone != "inbox" || row.Ready || row.MissionID != "m" || row.Line != 3 || !row.CreatedAt.Equal(epoch) || row.Intake.Offset != 17 {
		t.Errorf("received: %+v", row)
	}
	f.h.now = epoch.Add(time.Second)
	f.eventWith(job.GatesReported, "a", ledger.Gated{Located: ledger.Located{Offset: 5, Bytes: 6}, Rules: "r", Verdict: "WARN",
		NextAction: "ALLOW"}, "report")
	f.approve("a", true)
	row = f.job("a")
	if row.Zone != "approved" || !row.Ready || row.Report.Offset != 5 || row.Verdict != job.Warn || row.Basis != "gates" || !row.HoldsKey ||
		!row.AcceptedAt.Equal(f.h.now) || !row.DueAt.Equal(f.h.now.Add(5*time.Minute)) || !row.Rerun || !row.UpdatedAt.Equal(f.h.now) {
		t.Errorf("approved: %+v", row)
	}
	f.dispatch("a", 1)
	row = f.job("a")
	if row.Status != job.StatusPending || row.Ready || row.Host != "local" || row.Attempt != 1 || row.Runner.PID != 42 || row.LeaseUntil.IsZero() {
		t.Errorf("dispatched: %+v", row)
	}
	f.start("a", 1)
	row = f.job("a")
	if row.Status != job.StatusRunning || row.ExecutedBy != "local" || row.StartedAt.IsZero() || row.Host != "local" {
		t.Errorf("started: %+v", row)
	}
	f.complete("a")
	row = f.job("a")
	if row.Status != job.StatusCompleted || row.Zone != "outbox" || row.Host != "" || !row.LeaseUntil.IsZero() || row.Runner != (ledger.Runner{}) ||
		row.Result.Bytes != 2 || row.ExecutedBy != "local" || !row.HoldsKey {
		t.Errorf("completed: %+v", row)
	}
}

func TestRetries(t *testing.T) {
	f := newFixture(t)
	f.propose("a", nil)
	f.approve("a", true)
	f.dispatch("a", 1)
	f.start("a", 1)
	f.event(job.JobAttemptFailed, "a", ledger.Ended{Attempt: 1, ExitCode: 7, Code: "EXIT", Error: "exit status 7"})
	if row := f.job("a"); row.Status != job.StatusRunning || row.ExitCode != 7 || row.Error != "exit status 7" {
		t.Errorf("attempt failed: %+v", row)
	}
	wake := epoch.Add(2 * time.Second)
	f.event(job.JobRetryScheduled, "a", ledger.RetryScheduled{Retry: 1, WakeAt: job.FormatTime(wake)})
	row := f.job("a")
	if row.Status != job.StatusPending || row.Ready || row.Host != "" || row.RetryCount != 1 || !row.WakeAt.Equal(wake) || row.Error == "" ||
		!row.LastRetryAt.Equal(epoch) || row.Zone != "approved" {
		t.Errorf("retry scheduled: %+v", row)
	}
	f.read(func(r *Reader) {
		if rows, err := r.Due(wake.Add(-time.Microsecond), 10); err != nil || len(rows) != 0 {
			t.Errorf("due too early: %v, %v", idsOf(rows), err)
		}
		if rows, err := r.Due(wake, 10); err != nil || !slices.Equal(idsOf(rows), []string{"a"}) {
			t.Errorf("due: %v, %v", idsOf(rows), err)
		}
		if at, found, err := r.NextWake(); err != nil || !found || !at.Equal(wake) {
			t.Errorf("next wake: %v, %t, %v", at, found, err)
		}
	})
	f.event(job.JobReady, "a", ledger.Ready{})
	if row := f.job("a"); !row.Ready || !row.WakeAt.IsZero() {
		t.Errorf("ready: %+v", row)
	}
	f.dispatch("a", 2)
	f.start("a", 2)
	f.event(job.JobFailed, "a", ledger.Ended{Attempt: 2, ExitCode: 1, Code: "EXIT", Error: "Max retries exceeded: exit status 1"})
	if row := f.job("a"); row.Status != job.StatusFailed || row.Attempt != 2 || !row.HoldsKey {
		t.Errorf("failed: %+v", row)
	}
	f.event(job.JobRetryScheduled, "a", ledger.RetryScheduled{WakeAt: job.FormatTime(epoch), Operator: true})
	if row := f.job("a"); row.RetryCount != 0 || row.Error != "" || row.Result != (ledger.Ref{}) || row.Attempt != 2 || row.Zone != "approved" {
		t.Errorf("retried by the operator: %+v", row)
	}
}

// A job that was cancelled while it was blocked must not run because somebody retries it.
func TestRetryIsNotAnApproval(t *testing.T) {
	f := newFixture(t)
	f.propose("a", nil)
	f.approve("a", true)
	f.event(job.JobBlocked, "a", ledger.Blocked{NextAction: "QUARANTINE", Code: "X"})
	f.event(job.JobCancelled, "a", ledger.Cancelled{})
	f.event(job.JobRetryScheduled, "a", ledger.RetryScheduled{WakeAt: job.FormatTime(epoch), Operator: true})
	f.event(job.JobReady, "a", ledger.Ready{})
	if row := f.job("a"); row.Zone != "inbox" || row.Ready {
		t.Errorf("zone %s, ready %t", row.Zone, row.Ready)
	}
	if ids := f.claim(10); len(ids) != 0 {
		t.Errorf("claimed: %v", ids)
	}
	f.read(func(r *Reader) {
		if rows, err := r.Inbox(10); err != nil || !slices.Equal(idsOf(rows), []string{"a"}) {
			t.Errorf("inbox: %v, %v", idsOf(rows), err)
		}
		if rows, err := r.Due(epoch.Add(time.Hour), 10); err != nil || len(rows) != 0 {
			t.Errorf("due: %v, %v", idsOf(rows), err)
		}
	})
	f.approve("a", true)
	if ids := f.claim(10); !slices.Equal(ids, []string{"a"}) {
		t.Errorf("after an approval: %v", ids)
	}
}

func TestLeases(t *testing.T) {
	f := newFixture(t)
	for _, id := range []string{"a", "b"} {
		f.propose(id, nil)
		f.approve(id, true)
	}
	f.dispatch("a", 1)
	f.event(job.JobDispatched, "b", ledger.Dispatched{Host: "far", Attempt: 1, LeaseUntil: job.FormatTime(epoch.Add(time.Hour))})
	f.event(job.JobLeased, "b", leaseOf("far", 1, epoch))
	f.start("b", 1)
	f.read(func(r *Reader) {
		for host, want := range map[string][]string{"local": {"a"}, "far": {"b"}, "": {"a", "b"}, "none": {}} {
			if rows, err := r.Leased(host); err != nil || !slices.Equal(idsOf(rows), want) {
				t.Errorf("leased to %q: %v, %v", host, idsOf(rows), err)
			}
		}
		if rows, err := r.ExpiredLeases(epoch.Add(59 * time.Second)); err != nil || len(rows) != 0 {
			t.Errorf("expired too early: %v, %v", idsOf(rows), err)
		}
		if rows, err := r.ExpiredLeases(epoch.Add(time.Minute)); err != nil || !slices.Equal(idsOf(rows), []string{"a", "b"}) {
			t.Errorf("expired: %v, %v", idsOf(rows), err)
		}
	})
	f.event(job.LeaseExpired, "a", ledger.Unknown{Attempt: 1, Reason: "returned"})
	f.event(job.LeaseExpired, "b", ledger.Unknown{Attempt: 1, Reason: "reboot"})
	if row := f.job("a"); !row.Ready || row.Attempt != 0 || row.Host != "" {
		t.Errorf("never started: %+v", row)
	}
	if row := f.job("b"); !row.Ready || row.Attempt != 1 || row.Status != job.StatusPending {
		t.Errorf("started: %+v", row)
	}
	// A late word about readiness must not make a leased job claimable.
	f.dispatch("a", 1)
	f.event(job.JobReady, "a", ledger.Ready{})
	if ids := f.claim(10); !slices.Equal(ids, []string{"b"}) {
		t.Errorf("claimed: %v", ids)
	}
}

func TestOutcomeUnknown(t *testing.T) {
	f := newFixture(t)
	f.propose("a", func(m *ledger.Received) { m.Key = "k" })
	f.approve("a", true)
	f.dispatch("a", 1)
	f.start("a", 1)
	f.event(job.OutcomeUnknown, "a", ledger.Unknown{Attempt: 1, Reason: "reboot"})
	row := f.job("a")
	if row.Status != job.StatusQuarantined || row.Zone != "blocked" || row.Host != "" || row.ErrorCode != "OUTCOME_UNKNOWN" {
		t.Errorf("%+v", row)
	}
	if !row.HoldsKey {
		t.Error("what may have happened can happen again under the same key")
	}
	f.read(func(r *Reader) {
		if rows, err := r.Awaiting(string(job.RequireOperatorAck), -1, 10); err != nil || !slices.Equal(idsOf(rows), []string{"a"}) {
			t.Errorf("awaiting: %v, %v", idsOf(rows), err)
		}
	})
}

func TestReject(t *testing.T) {
	f := newFixture(t)
	f.propose("a", nil)
	f.event(job.JobBlocked, "a", ledger.Blocked{NextAction: "REQUIRE_OPERATOR_ACK", Code: "X"})
	f.event(job.OperatorRejected, "a", ledger.Decided{Document: anyDigest, Report: anyDigest})
	if row := f.job("a"); row.Status != job.StatusCancelled || row.Error != "REJECTED" || row.DecidedBy != "uid:1000" || row.Zone != "outbox" {
		t.Errorf("%+v", row)
	}
}

func TestBrokenEvents(t *testing.T) {
	f := newFixture(t)
	f.propose("a", nil)
	f.approve("a", true)
	for _, c := range []struct {
		name job.EventName
		id   string
		meta any
	}{
		{job.JobDispatched, "a", ledger.Dispatched{Attempt: 1, LeaseUntil: job.FormatTime(epoch)}}, // no host
		{job.JobDispatched, "a", map[string]any{"host": "h", "lease_until": "tomorrow"}},
		{job.JobDispatched, "a", map[string]any{"host": 1}},
		{job.JobApproved, "a", map[string]any{"ready": true, "from_the_future": 1}},
		{job.ProposalReceived, "../b", received("agent")},
		{job.ProposalReceived, "b", map[string]any{"priority": 9}},
		{"JOB_INVENTED", "a", nil},
	} {
		err := f.refuse(c.name, c.id, c.meta)
		var event *EventError
		var transition *TransitionError
		if !errors.As(err, &event) && !(c.name == "JOB_INVENTED" && errors.As(err, &transition)) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

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
	if l := window("agent"); l.Count != 1 || !l.Window.Equal(second) {
		t.Errorf("throttled: %+v", l)
	}
	if row := f.job("c"); row.Status != job.StatusThrottled || !row.WakeAt.Equal(second) || row.Zone != "approved" {
		t.Errorf("throttled: %+v", row)
	}
	f.event(job.JobReady, "c", ledger.Ready{})
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
		if h.ID != "h" || h.Status != "offline" || h.MaxConcurrent != 5 || !slices.Equal(h.Capabilities, []string{"gpu", "net"}) || h.CurrentJobs != 1 ||
			!h.LastHeartbeat.Equal(epoch) {
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
