package pipeline

import (
	"context"
	"slices"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/index"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// Live is what somebody who watches a workspace sees: the state of it, and what is going on.
type Live struct {
	Status
	Waiting [4]int // pending and throttled jobs by priority, counted up to waitingCounted
	More    bool   // there are more of them
	Sources []SourceCount
	Running []RunningJob // those that began first
	Events  []LiveEvent  // the last ones, in order
}

// SourceCount is how many jobs of a source are in the queue.
type SourceCount struct {
	Source                             string
	Ready, Pending, Throttled, Running int
}

// RunningJob is a job that is being executed.
type RunningJob struct {
	ID, Kind, Source, Host string
	Attempt                int
	Started                time.Time
	Timeout                time.Duration
}

// LiveEvent is one event with the job that it is about.
type LiveEvent struct {
	Step
	JobID string
}

// Bounds of a look, which make it cost the same whatever there is.
const (
	waitingCounted = 5_000
	liveJobs       = 100
	liveEvents     = 50
)

// Live reads the index once.
func (p *Pipeline) Live(ctx context.Context) (Live, error) {
	var l Live
	err := p.view(ctx, func(r *index.Reader) (err error) {
		l = Live{}
		if l.Status, err = p.statusOf(r); err != nil {
			return err
		}
		if l.Waiting, l.More, err = r.WaitingByPriority(waitingCounted); err != nil {
			return err
		}
		counts, err := r.Counts()
		if err != nil {
			return err
		}
		held, err := r.Held()
		if err != nil {
			return err
		}
		for _, c := range counts {
			if c = held.Count(c); c.Queued() > 0 {
				l.Sources = append(l.Sources, SourceCount{c.Source, c.Ready, c.Status[job.StatusPending], c.Status[job.StatusThrottled],
					c.Status[job.StatusRunning]})
			}
		}
		rows, err := r.List(index.JobFilter{Status: []job.Status{job.StatusRunning}, Limit: liveJobs})
		if err != nil {
			return err
		}
		for _, row := range rows {
			l.Running = append(l.Running, RunningJob{ID: row.ID, Kind: row.Kind, Source: row.Source, Host: row.Host, Attempt: row.Attempt,
				Started: row.StartedAt, Timeout: time.Duration(row.TimeoutSeconds) * time.Second})
		}
		return r.Events(index.EventFilter{Reverse: true, Limit: liveEvents}, func(ev ledger.Event) error {
			l.Events = append(l.Events, LiveEvent{p.step(ev), ev.JobID})
			return nil
		})
	})
	if err != nil {
		return l, err
	}
	slices.SortStableFunc(l.Running, func(a, b RunningJob) int { return a.Started.Compare(b.Started) })
	slices.Reverse(l.Events)
	err = p.inboxOf(&l.Status)
	return l, err
}

// LedgerSize is how many events there are, for those who wait for the next one.
func (p *Pipeline) LedgerSize() (int64, error) { return p.log.Size() }
