package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/index"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// Selection names jobs: by id, or all of a source, mission or status. What names a mission need not be one of its jobs.
type Selection struct {
	IDs                     []string
	Source, Mission, Status string
	Member                  string // of this mission, as one of its jobs
}

// resolve lists the jobs that are selected. Named ones must exist; of the others only those in one of the states that the
// command can do something with are taken, a batch of those that arrived after the one with the number after.
func (b *batch) resolve(s Selection, after int64, states ...job.Status) ([]indexRow, error) {
	var rows []indexRow
	for i, id := range s.IDs {
		if slices.Contains(s.IDs[:i], id) {
			continue
		}
		row, ok, err := b.tx.Job(id)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, &UnknownJobError{id}
		}
		rows = append(rows, row)
	}
	if len(s.IDs) > 0 {
		return rows, nil
	}
	var shown *index.Held
	if s.Status != "" {
		states = []job.Status{job.Status(s.Status)}
		held, err := b.tx.Held()
		if err != nil {
			return nil, err
		}
		shown = &held
	}
	return b.tx.List(index.JobFilter{Shown: shown, Status: states, Source: s.Source, Mission: s.Mission, Member: s.Member, After: &after, Limit: batchJobs})
}

// empty makes Selection comparable to its zero value without comparing the slice.
func (s Selection) empty() bool {
	return len(s.IDs) == 0 && s.Source == "" && s.Mission == "" && s.Status == "" && s.Member == ""
}

// Cancel ends jobs that are not over. What runs is killed by the process that runs it, within a second.
func (p *Pipeline) Cancel(ctx context.Context, s Selection, reason string, emit func(JobLine) error) error {
	reason, _ = redactText(reason)
	return p.change(ctx, s, emit, func(b *batch, row indexRow) error {
		if row.Status.Final() {
			return &StateError{ID: row.ID, Status: string(row.Status), Want: "there is nothing to cancel", Way: "sheratan why " + row.ID}
		}
		b.jobEvent(p.opts.Actor, job.JobCancelled, row.ID, row.TraceID, "outbox", ledger.Cancelled{Reason: shorten(reason)}, nil)
		return b.failed
	}, job.StatusPending, job.StatusThrottled, job.StatusRunning, job.StatusQuarantined)
}

// Retry takes failed and cancelled jobs up again, with their retries counted from the start. A rejected one stays
// rejected.
func (p *Pipeline) Retry(ctx context.Context, s Selection, emit func(JobLine) error) error {
	states := []job.Status{job.StatusFailed}
	if s.Member != "" {
		states = append(states, job.StatusCancelled) // a mission goes on from where it was stopped
	}
	return p.change(ctx, s, emit, func(b *batch, row indexRow) error {
		if row.Status != job.StatusFailed && row.Status != job.StatusCancelled {
			return &StateError{ID: row.ID, Status: string(row.Status), Want: "only failed and cancelled jobs are retried", Way: "sheratan why " + row.ID}
		}
		if row.Error == errRejected || row.AcceptedAt.IsZero() {
			return &StateError{ID: row.ID, Status: "rejected", Want: "it was never allowed", Way: "sheratan revise " + row.ID}
		}
		if row.RevisedBy != "" {
			return &StateError{ID: row.ID, Status: string(row.Status), Want: "it was revised by " + row.RevisedBy, Way: "sheratan why " + row.RevisedBy}
		}
		if holder, ok, err := b.tx.KeyHolder(row.Source, row.Key); err != nil {
			return err
		} else if ok && holder.ID != row.ID && holder.PayloadSHA256 != row.PayloadSHA256 {
			return &StateError{ID: row.ID, Status: string(row.Status), Want: "its idempotency key has gone to " + holder.ID + ", which does something else",
				Way: "sheratan revise " + row.ID}
		}
		b.jobEvent(p.opts.Actor, job.JobRetryScheduled, row.ID, row.TraceID, "approved",
			ledger.RetryScheduled{WakeAt: job.FormatTime(b.now), Operator: true}, nil)
		return b.failed
	}, states...)
}

const errRejected = "REJECTED"

// change applies one event to each selected job, in batches, and puts their files in place. Of jobs that were not named, those
// that the command does not fit are passed over.
func (p *Pipeline) change(ctx context.Context, s Selection, emit func(JobLine) error, fn func(*batch, indexRow) error, states ...job.Status) error {
	if s.empty() {
		return &InputError{File: "selection", Message: "no job is named", Way: "name ids, or --source, --mission or --status"}
	}
	for after, more := int64(-1), true; more; {
		var ids []string
		from := after
		err := p.transact(ctx, func(b *batch) error {
			ids, after = nil, from
			rows, err := b.resolve(s, after, states...)
			if err != nil {
				return err
			}
			more = len(s.IDs) == 0 && len(rows) == batchJobs
			for _, row := range rows {
				after = row.Seq
				var unfit *StateError
				if err := fn(b, row); errors.As(err, &unfit) && len(s.IDs) == 0 {
					p.note("%v", unfit)
					continue
				} else if err != nil {
					return err
				}
				ids = append(ids, row.ID)
				joined, err := b.endAllJoined(row.ID)
				if err != nil {
					return err
				}
				ids = append(ids, joined...)
			}
			return nil
		})
		if err != nil {
			return err
		}
		p.placeAll(ids)
		p.projected()
		for _, id := range ids {
			line, err := p.Job(ctx, id)
			if err != nil {
				return err
			}
			if err := emit(line); err != nil {
				return err
			}
		}
	}
	return nil
}

// dropResult takes away the result file of a job that was taken up again: what it says is in the documents, and the next one
// gets a file of its own. Until then the job is in the queue, and nowhere else.
func (p *Pipeline) dropResult(row indexRow) error {
	if row.LastRetryAt.IsZero() {
		return nil
	}
	return p.view(context.Background(), func(r *index.Reader) error {
		for _, end := range []job.EventName{job.JobFailed, job.JobCancelled} {
			filter := index.EventFilter{Job: row.ID, Event: string(end), Reverse: true, Limit: 1}
			err := r.Events(filter, func(ev ledger.Event) error {
				at, err := endedAt(ev)
				if err != nil {
					return err
				}
				return remove(p.ws.FindResult(row.ID, at, ".json"))
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// endedAt is the time that names the folder of a result: that of the end where the event has it, else that of the event.
func endedAt(ev ledger.Event) (time.Time, error) {
	var m struct {
		CompletedAt string `json:"completed_at"`
	}
	if err := json.Unmarshal(ev.Meta, &m); err != nil {
		return time.Time{}, err
	}
	if m.CompletedAt == "" {
		m.CompletedAt = ev.Timestamp
	}
	return job.ParseTime(m.CompletedAt)
}

// Pause stops dispatching the jobs of a source, or of all with "". With kill, what runs is ended too: it goes back into the queue
// where a rerun of it is safe, and is blocked as OUTCOME_UNKNOWN where it is not.
func (p *Pipeline) Pause(ctx context.Context, source, reason string, kill bool) error {
	reason, _ = redactText(reason)
	return p.transact(ctx, func(b *batch) error {
		b.workspaceEvent(p.opts.Actor, job.Paused, ledger.PausedMeta{Source: source, Reason: shorten(reason), Kill: kill}, nil)
		return nil
	})
}

// Resume takes a pause back.
func (p *Pipeline) Resume(ctx context.Context, source string) error {
	return p.transact(ctx, func(b *batch) error {
		list, err := b.tx.Paused()
		if err != nil {
			return err
		}
		for _, pause := range list {
			if pause.Source == source {
				b.workspaceEvent(p.opts.Actor, job.Resumed, ledger.PausedMeta{Source: source}, nil)
				return nil
			}
		}
		return &InputError{File: "resume", Message: "nothing is paused under that name", Way: "sheratan status"}
	})
}
