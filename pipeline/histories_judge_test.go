package pipeline

import (
	"context"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/index"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// reader reads a ledger from its first line, knows what was proposed, and complains about what must not be.
type reader struct {
	*life
	seq    int64
	state  map[string]*seen
	order  []string
	paused map[string]bool
	counts map[string]int // of rate windows of the bucket *
}

// seen is what a reader has seen of a job.
type seen struct {
	arrived             int
	accepted            bool
	ready, flying, done bool // may be dispatched; was, and has not ended; completed
	ended               bool // for the moment: a retry by a person takes it up again
	unknown             bool // nobody knows what its last attempt did
	due                 string
	failures            int // attempts that failed since it was last taken up
}

// judge reads the whole ledger, and then looks for what is left.
func (h *life) judge() {
	h.t.Helper()
	r := &reader{life: h, state: map[string]*seen{}, paused: map[string]bool{}, counts: map[string]int{}}
	h.check(h.p.Events(context.Background(), index.EventFilter{}, func(_ []byte, ev ledger.Event) error {
		r.read(ev)
		return nil
	}))
	for window, n := range r.counts {
		if n > agentRate {
			h.t.Errorf("%d jobs of the bucket * in the window of %s", n, window)
		}
		at, err := job.ParseTime(window)
		h.check(err)
		for other := range r.counts {
			if o, _ := job.ParseTime(other); o.After(at) && o.Before(at.Add(index.WindowLength)) {
				h.t.Errorf("the windows of %s and %s overlap", window, other)
			}
		}
	}
	for _, id := range h.ids {
		r.settled(id)
	}
}

func (r *reader) complain(format string, args ...any) {
	r.t.Helper()
	r.t.Errorf("event %d: "+format, append([]any{r.seq}, args...)...)
}

func (r *reader) read(ev ledger.Event) {
	r.seq = ev.Seq
	if ev.JobID == "" {
		r.readWorkspace(ev)
		return
	}
	s := r.state[ev.JobID]
	if s == nil {
		if ev.Event != job.ProposalReceived {
			r.complain("%s of %s, which was never received", ev.Event, ev.JobID)
		}
		s = &seen{arrived: len(r.order)}
		r.state[ev.JobID] = s
		r.order = append(r.order, ev.JobID)
	}
	r.readJob(ev, s)
}

func (r *reader) readWorkspace(ev ledger.Event) {
	var m ledger.PausedMeta
	switch ev.Event {
	case job.Paused:
		r.check(ev.DecodeMeta(&m))
		r.paused[m.Source] = true
	case job.Resumed:
		r.check(ev.DecodeMeta(&m))
		delete(r.paused, m.Source)
		if m.Source == "" {
			clear(r.paused)
		}
	}
}

func (r *reader) readJob(ev ledger.Event, s *seen) {
	id := ev.JobID
	switch ev.Event {
	case job.JobApproved:
		var m ledger.Approved
		r.check(ev.DecodeMeta(&m))
		s.accepted, s.ready, s.due, s.unknown = true, m.Ready, m.DueAt, false
		r.window(id, m.Slot)
	case job.JobReady:
		var m ledger.Ready
		r.check(ev.DecodeMeta(&m))
		s.ready = true
		r.window(id, m.Slot)
	case job.JobThrottled:
		var m ledger.Throttled
		r.check(ev.DecodeMeta(&m))
		r.window(id, m.Slot)
		s.ready = false
	case job.JobDispatched:
		r.dispatched(id, s)
		s.ready, s.flying = false, true
	case job.JobStarted:
		r.started(id, s)
	case job.JobAttemptFailed:
		if s.failures++; s.failures > r.specs[id].retries+1 {
			r.complain("attempt %d of %s failed, which may be repeated %d times", s.failures, id, r.specs[id].retries)
		}
	case job.JobRetryScheduled:
		var m ledger.RetryScheduled
		r.check(ev.DecodeMeta(&m))
		if m.Operator { // who says so knows of the last attempt whatever there is to know
			s.failures, s.unknown = 0, false
		}
		s.flying, s.ended = false, false
	case job.LeaseExpired:
		s.flying, s.ready = false, true
	case job.OutcomeUnknown:
		if r.specs[id].program != "echo" {
			r.complain("the outcome of %s, which may run again, was left open", id)
		}
		s.flying, s.unknown = false, true
	case job.JobCompleted, job.JobFailed, job.JobCancelled, job.OperatorRejected:
		s.ready, s.flying, s.ended = false, false, true
		s.done = ev.Event == job.JobCompleted
	case job.JobBlocked, job.JobDeduplicated:
		s.ready, s.flying = false, false
	}
}

// window counts a job of the bucket * in a rate window.
func (r *reader) window(id, window string) {
	if window != "" && r.specs[id].source == "agent" {
		r.counts[window]++
	}
}

// dispatched checks that it was the turn of a job, and that nothing speaks against it.
func (r *reader) dispatched(id string, s *seen) {
	spec := r.specs[id]
	if !s.ready {
		r.complain("%s was dispatched and not ready", id)
	}
	if r.paused[""] || r.paused[spec.source] {
		r.complain("%s was dispatched, and %s is paused", id, spec.source)
	}
	together := 0
	for other, o := range r.state {
		its := r.specs[other]
		if other == id {
			continue
		}
		if o.flying && its.source == "agent" {
			together++
		}
		if (o.flying || o.ready) && spec.lane != "" && its.lane == spec.lane && its.source == spec.source {
			r.complain("%s was dispatched beside %s, which has the same concurrency key", id, other)
		}
		if (o.flying || o.done && o.failures == 0 && r.ran(other)) && spec.key != "" && its.key == spec.key && its.source == spec.source {
			r.complain("%s was dispatched although %s has the same idempotency key", id, other)
		}
	}
	if spec.source == "agent" && together >= agentConcurrent {
		r.complain("%s was dispatched beside %d others of its source", id, together)
	}
	for other, o := range r.state {
		if its := r.specs[other]; o.ready && other != id && its.source == spec.source && before(its, o, spec, s) {
			r.complain("%s was dispatched before %s, whose turn it was", id, other)
		}
	}
}

// ran reports whether a job was ever started, and did not share the end of another.
func (r *reader) ran(id string) bool { return r.row(id).JoinedTo == "" }

// before reports whether a comes before b in the queue.
func before(a spec, x *seen, b spec, y *seen) bool {
	if a.class != b.class {
		return a.class < b.class
	}
	if x.due != y.due {
		return x.due < y.due
	}
	return x.arrived < y.arrived
}

func (r *reader) started(id string, s *seen) {
	if !s.flying {
		r.complain("%s was started and not dispatched", id)
	}
	if s.unknown {
		r.complain("%s was started although nobody knows what its last attempt did", id)
	}
	for _, dep := range r.specs[id].deps {
		if d := r.state[dep]; d == nil || !d.done {
			r.complain("%s was started before %s had completed", id, dep)
		}
	}
}

// settled complains about a job that could still go on.
func (r *reader) settled(id string) {
	row, spec := r.row(id), r.specs[id]
	if row.Status.Final() || row.Status == job.StatusQuarantined {
		return
	}
	if row.Status == job.StatusPending {
		for _, dep := range spec.deps {
			if d := r.state[dep]; d == nil || !d.ended {
				return // it waits for a job that nobody proposed, or that waits itself
			}
		}
		if row.JoinedTo != "" && !r.row(row.JoinedTo).Status.Final() {
			return
		}
	}
	r.t.Errorf("%s is still %s, ready: %v", id, row.Status, row.Ready)
}
