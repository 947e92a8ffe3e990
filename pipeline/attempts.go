package pipeline

import (
	"context"
	"fmt"
	"time"

	"github.com/sheratan/sheratan/hosts/agent"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/index"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// attemptFile is where an attempt leaves its stdout, stderr or artifacts while it is not known to be the last one.
func (p *Pipeline) attemptFile(id string, attempt int, at time.Time, what string) string {
	return p.ws.ResultFile(id, at, attemptSuffix(attempt, what))
}

func attemptSuffix(attempt int, what string) string { return fmt.Sprintf(".%d.%s", attempt, what) }

// lastAttempt reports whether a job that was leased as j says is over with this result. It decides the names of files only:
// where it is wrong, the files of the last attempt keep the number of the attempt, and the result says so.
func lastAttempt(j job.Job, res job.Result) bool {
	switch {
	case res.Status == job.StatusCompleted:
		return true
	case res.ErrorCode == agent.CodeCancelled:
		return false
	}
	retryable := res.Retryable && (res.ErrorCode != agent.CodeExit || j.RetriesExit(res.ExitCode))
	return !retryable || j.RetryCount >= j.MaxRetries
}

// Attempt is one attempt of a job: its result, or where nobody knows that, why.
type Attempt struct {
	Seq int64 `json:"seq"` // of the event that tells its end
	job.Result
}

// Attempts lists the attempts of a job that are over, in order.
func (p *Pipeline) Attempts(ctx context.Context, id string) ([]Attempt, error) {
	if _, err := p.row(ctx, id); err != nil {
		return nil, err
	}
	var ends []ledger.Event
	err := p.view(ctx, func(r *index.Reader) error {
		ends = nil
		return r.Events(index.EventFilter{Job: id}, func(ev ledger.Event) error {
			switch ev.Event {
			case job.JobAttemptFailed, job.JobCompleted, job.OutcomeUnknown, job.LeaseExpired:
				ends = append(ends, ev)
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	list := []Attempt{}
	for _, ev := range ends {
		a, ok, err := p.attemptOf(ev)
		if err != nil && !p.missed(err) {
			return nil, err
		}
		if ok {
			list = append(list, a)
		}
	}
	return list, nil
}

// attemptOf makes an attempt of the event that tells its end. It is none where the job had the result of another one, or was
// given back before it began, or where the event before has told the end.
func (p *Pipeline) attemptOf(ev ledger.Event) (a Attempt, ok bool, err error) {
	a.Seq = ev.Seq
	if ev.Event == job.OutcomeUnknown || ev.Event == job.LeaseExpired {
		var m ledger.Unknown
		if err := ev.DecodeMeta(&m); err != nil {
			return a, false, err
		}
		a.Result = job.Result{Schema: job.SchemaResult, JobID: ev.JobID, Attempt: m.Attempt, ExitCode: -1, Status: job.StatusFailed,
			CompletedAt: ev.Timestamp, Error: m.Reason, ErrorCode: string(ev.Event)}
		return a, m.Reason != "returned" && m.Reason != reasonHost && !endedByUs(m.Reason), nil
	}
	ref, ok, err := ledger.RefOf(&ev)
	if err != nil || !ok {
		return a, false, err
	}
	if err := p.readDocument(ref, &a.Result); err != nil {
		return a, false, fmt.Errorf("%s: result: %w", ev.JobID, err)
	}
	return a, a.Attempt > 0, nil
}
