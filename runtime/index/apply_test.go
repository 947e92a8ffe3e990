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
	if row.Zone != "inbox" || row.Ready || row.MissionID != "m" || row.Line != 3 || !row.CreatedAt.Equal(epoch) ||
		row.Intake.Offset != 17 {
		t.Errorf("received: %+v", row)
	}
	f.h.now = epoch.Add(time.Second)
	f.eventWith(job.GatesReported, "a", ledger.Gated{Located: ledger.Located{Offset: 5, Bytes: 6}, Rules: "r", Verdict: "WARN",
		NextAction: "ALLOW"}, "report")
	f.approve("a", true)
	row = f.job("a")
	if row.Zone != "approved" || !row.Ready || row.Report.Offset != 5 || row.Verdict != job.Warn || row.Basis != "gates" ||
		!row.HoldsKey || !row.AcceptedAt.Equal(f.h.now) || !row.DueAt.Equal(f.h.now.Add(5*time.Minute)) ||
		!row.Rerun || !row.UpdatedAt.Equal(f.h.now) {
		t.Errorf("approved: %+v", row)
	}
	f.dispatch("a", 1)
	row = f.job("a")
	if row.Status != job.StatusPending || row.Ready || row.Host != "local" || row.Attempt != 1 ||
		row.Runner.PID != 42 || row.LeaseUntil.IsZero() {
		t.Errorf("dispatched: %+v", row)
	}
	f.start("a", 1)
	row = f.job("a")
	if row.Status != job.StatusRunning || row.ExecutedBy != "local" || row.StartedAt.IsZero() || row.Host != "local" {
		t.Errorf("started: %+v", row)
	}
	f.complete("a")
	row = f.job("a")
	if row.Status != job.StatusCompleted || row.Zone != "outbox" || row.Host != "" || !row.LeaseUntil.IsZero() ||
		row.Runner != (ledger.Runner{}) || row.Result.Bytes != 2 || row.ExecutedBy != "local" || !row.HoldsKey {
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
	if row.Status != job.StatusPending || row.Ready || row.Host != "" || row.RetryCount != 1 || !row.WakeAt.Equal(wake) ||
		row.Error == "" || !row.LastRetryAt.Equal(epoch) || row.Zone != "approved" {
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
	if row := f.job("a"); row.RetryCount != 0 || row.Error != "" || row.Result != (ledger.Ref{}) ||
		row.Attempt != 2 || row.Zone != "approved" {
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
	if row := f.job("a"); row.Status != job.StatusCancelled || row.Error != "REJECTED" || row.DecidedBy != "uid:1000" ||
		row.Zone != "outbox" {
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
