package index

import (
	"context"
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// model is a random history: an index, its twin, and the transaction that is open.
type model struct {
	*fixture
	rt   *rapid.T
	twin *twin
	tx   *Tx

	applied []func() // what made the twin, to make it again after a rollback
	kept    int      // how much of it is committed
	refused int
}

var (
	modelJobs    = []string{"a", "b", "c", "d", "e", "f"}
	modelSources = []string{"x", "y", "z"}
	modelKeys    = []string{"", "k", "a", "b"}
	modelLanes   = []string{"", "l", "m"}
	modelEvents  = modelEventNames()
)

func modelEventNames() []job.EventName {
	var names []job.EventName
	for _, t := range job.Transitions {
		names = append(names, t.Event)
	}
	return names
}

// favourites are events that open the way to others, and come more often than chance would have it.
var favourites = []job.EventName{job.JobApproved, job.JobDispatched, job.JobStarted, job.JobCompleted, job.JobFailed}

// drawEvent draws an event about a job: mostly one that the table allows, sometimes any.
func (m *model) drawEvent(id string) job.EventName {
	var from job.Status
	if j := m.twin.jobs[id]; j != nil {
		from = j.status
	}
	var likely []job.EventName
	for _, name := range modelEvents {
		if _, ok := job.Next(name, from); ok {
			likely = append(likely, name)
			if slices.Contains(favourites, name) {
				likely = append(likely, name, name)
			}
		}
	}
	if len(likely) == 0 || rapid.IntRange(0, 9).Draw(m.rt, "any event") == 0 {
		likely = modelEvents
	}
	return rapid.SampledFrom(likely).Draw(m.rt, "event")
}

func (m *model) pick(label string, from []string) string {
	return rapid.SampledFrom(from).Draw(m.rt, label)
}

// when draws one of few times, so that they often are the same.
func (m *model) when(label string) string {
	return job.FormatTime(epoch.Add(time.Duration(rapid.IntRange(0, 4).Draw(m.rt, label)) * time.Minute))
}

func (m *model) window() string {
	if rapid.Bool().Draw(m.rt, "counted") {
		return m.when("window")
	}
	return ""
}

// draw returns a meta object for an event, and the ids that the job depends on.
func (m *model) draw(name job.EventName) (meta any, deps []string) {
	switch name {
	case job.ProposalReceived:
		source := m.pick("source", modelSources)
		r := received(source)
		r.Bucket = map[string]string{"x": "x", "y": "*", "z": "*"}[source]
		r.Key, r.Revises = m.pick("key", modelKeys), m.pick("revises", append(modelJobs, ""))
		r.ConcurrencyKey = m.pick("lane", modelLanes)
		r.Priority = rapid.IntRange(0, 3).Draw(m.rt, "priority")
		deps = rapid.SliceOfN(rapid.SampledFrom(append(modelJobs, "nobody")), 0, 3).Draw(m.rt, "deps")
		r.DependsOn = len(deps)
		r.OnDepFailure = m.pick("on failure", []string{"", "skip", "wait"})
		return r, deps
	case job.JobApproved:
		return ledger.Approved{Basis: "gates", DueAt: m.when("due"), Ready: rapid.Bool().Draw(m.rt, "ready"), Slot: m.window()}, nil
	case job.JobBlocked:
		return ledger.Blocked{NextAction: m.pick("next action", []string{"QUARANTINE", "REQUIRE_LLM2"})}, nil
	case job.AuditRequested:
		return ledger.AuditAsked{Attempt: rapid.IntRange(1, 3).Draw(m.rt, "attempt"), Until: m.when("until")}, nil
	case job.AuditReported:
		return ledger.Audited{Decision: "ALLOW", NextAction: m.pick("next action", []string{"ALLOW", "QUARANTINE", "REQUIRE_OPERATOR_ACK"})}, nil
	case job.AuditFailed:
		missed := ledger.AuditMissed{Attempt: rapid.IntRange(1, 3).Draw(m.rt, "attempt"), Reason: "no answer"}
		if rapid.Bool().Draw(m.rt, "again") {
			missed.NextAt = m.when("next")
		}
		return missed, nil
	case job.OperatorRejected:
		return ledger.Decided{}, nil
	case job.JobDeduplicated:
		return ledger.Deduplicated{Of: m.pick("of", modelJobs), Resubmitted: rapid.Bool().Draw(m.rt, "resubmitted")}, nil
	case job.JobReady:
		return ledger.Ready{Slot: m.window()}, nil
	case job.JobThrottled:
		if rapid.Bool().Draw(m.rt, "for its lane") {
			return ledger.Throttled{Lane: true, Slot: m.window()}, nil
		}
		return ledger.Throttled{Until: m.when("until")}, nil
	case job.KeyExpired:
		return ledger.KeyLapsed{Key: "k", For: "a"}, nil
	case job.JobDispatched, job.JobLeased:
		return ledger.Dispatched{Host: m.pick("host", []string{"local", "far"}), Attempt: rapid.IntRange(1, 3).Draw(m.rt, "attempt"),
			LeaseUntil: m.when("lease")}, nil
	case job.JobStarted:
		return ledger.Started{Attempt: rapid.IntRange(1, 3).Draw(m.rt, "attempt")}, nil
	case job.JobAttemptFailed, job.JobCompleted, job.JobFailed:
		return ledger.Ended{Attempt: rapid.IntRange(0, 3).Draw(m.rt, "attempt")}, nil
	case job.JobRetryScheduled:
		return ledger.RetryScheduled{Retry: rapid.IntRange(0, 3).Draw(m.rt, "retry"), WakeAt: m.when("wake"),
			Operator: rapid.Bool().Draw(m.rt, "operator")}, nil
	case job.JobCancelled:
		return ledger.Cancelled{}, nil
	case job.OutcomeUnknown, job.LeaseExpired:
		return ledger.Unknown{Attempt: 1, Reason: "reboot"}, nil
	case job.JobRevised:
		return ledger.Revised{Revision: m.pick("revision", modelJobs)}, nil
	case job.Paused, job.Resumed:
		return ledger.PausedMeta{Source: m.pick("paused", append(modelSources, ""))}, nil
	case job.ConfigLoaded:
		limits := map[string][2]int{"*": {0, rapid.IntRange(0, 2).Draw(m.rt, "limit of *")}}
		if rapid.Bool().Draw(m.rt, "x configured") {
			limits["x"] = [2]int{0, rapid.IntRange(0, 2).Draw(m.rt, "limit of x")}
		}
		return limits, nil
	default:
		return nil, nil
	}
}

// patched draws what a patch makes of a job: other dependencies, another priority and lane.
func (m *model) patched(id string) (ledger.Patched, []string) {
	meta, deps := m.draw(job.ProposalReceived)
	p := ledger.Patched{Received: meta.(ledger.Received)}
	if j := m.twin.jobs[id]; j != nil {
		p.Source, p.Bucket, p.Key, p.Revises = j.source, j.bucket, j.key, j.revises
	}
	for _, ev := range m.h.events {
		if ev.JobID == id && (ev.Event == job.ProposalReceived || ev.Event == job.JobPatched) {
			p.Before = ev.ArtifactSHA256
		}
	}
	return p, deps
}

// steps applies some random events, or finds them refused.
func (m *model) steps(*rapid.T) {
	if m.tx == nil {
		var err error
		if m.tx, err = m.db.Begin(context.Background()); err != nil {
			m.rt.Fatal(err)
		}
	}
	for range rapid.IntRange(1, 10).Draw(m.rt, "events") {
		if rapid.IntRange(0, 9).Draw(m.rt, "about no job") == 0 {
			m.step(rapid.SampledFrom([]job.EventName{job.ConfigLoaded, job.Paused, job.Resumed}).Draw(m.rt, "event"), "")
			continue
		}
		id := m.pick("job", modelJobs)
		m.step(m.drawEvent(id), id)
	}
}

func (m *model) step(name job.EventName, id string) {
	meta, deps := m.draw(name)
	if name == job.JobPatched {
		meta, deps = m.patched(id)
	}
	var ev ledger.Event
	switch meta := meta.(type) {
	case ledger.Patched:
		ev = m.h.make(name, id, meta, intakeOf(deps))
	case ledger.Received:
		ev = m.h.make(name, id, meta, intakeOf(deps))
	case map[string][2]int:
		ev = m.h.make(name, id, ledger.Configured{}, configOf(meta))
	default:
		ev = m.h.make(name, id, meta, nil)
	}
	var from job.Status
	if j := m.twin.jobs[id]; j != nil {
		from = j.status
	}
	_, allowed := job.Next(name, from)
	allowed = allowed || id == ""
	err := m.tx.Apply(&ev, m.h)
	if !allowed {
		var refused *TransitionError
		if !errors.As(err, &refused) {
			m.rt.Fatalf("%s of %s, which is %q: %v", name, id, from, err)
		}
		m.refused++
		return
	}
	if err != nil {
		m.rt.Fatalf("%s of %s, which is %q: %v", name, id, from, err)
	}
	m.h.add(ev)
	m.applied = append(m.applied, func() { m.twin.apply(&ev, meta, deps) })
	m.twin.apply(&ev, meta, deps)
}

// ask asks in the middle of a transaction, which writes what it keeps in memory.
func (m *model) ask(*rapid.T) {
	if m.tx == nil {
		m.read(func(r *Reader) { m.compare(r) })
		return
	}
	m.compare(m.tx.Reader)
	for _, id := range modelJobs {
		if row, found, err := m.tx.Job(id); err != nil || found != (m.twin.jobs[id] != nil) {
			m.rt.Fatalf("%s: %+v, %v", id, row, err)
		}
	}
}

func (m *model) commit(*rapid.T) {
	if m.tx == nil {
		return
	}
	if err := errors.Join(m.tx.SetPosition(m.h.position()), m.tx.Commit()); err != nil {
		m.rt.Fatal(err)
	}
	m.tx, m.kept = nil, len(m.applied)
}

func (m *model) rollback(*rapid.T) {
	if m.tx == nil {
		return
	}
	if err := m.tx.Rollback(); err != nil {
		m.rt.Fatal(err)
	}
	m.tx, m.applied, m.twin = nil, m.applied[:m.kept], newTwin()
	m.h.events, m.h.at = m.h.events[:m.kept], m.h.at[:m.kept]
	for _, apply := range m.applied {
		apply()
	}
}

// Any history that the state table allows gives what the twin gives, live and rebuilt.
func TestModel(t *testing.T) {
	dir := t.TempDir()
	events, refused := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		path, err := os.MkdirTemp(dir, "")
		if err != nil {
			rt.Fatal(err)
		}
		db, err := Open(path + "/index.db")
		if err != nil {
			rt.Fatal(err)
		}
		defer os.RemoveAll(path)
		defer db.Close()
		m := &model{fixture: &fixture{t: t, h: newHistory(), db: db}, rt: rt, twin: newTwin()}
		defer func() {
			if m.tx != nil {
				m.tx.Rollback()
			}
		}()
		rt.Repeat(map[string]func(*rapid.T){"events": m.steps, "more events": m.steps, "ask": m.ask,
			"commit": m.commit, "rollback": m.rollback})
		m.commit(rt)
		m.ask(rt)
		diffs, err := db.CheckRebuild(context.Background(), m.h, m.h, 10, CheckProgress{})
		if err != nil || len(diffs) > 0 {
			rt.Fatalf("live and rebuilt differ: %v, %v", diffs, err)
		}
		events += len(m.h.events)
		refused += m.refused
	})
	t.Logf("%d events applied, %d refused", events, refused)
	if events < 1000 || refused < 100 {
		t.Error("the histories are too short to show anything")
	}
}
