package index

import (
	"fmt"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// execute applies what happens to a job between lease and end.
func (tx *Tx) execute(row *Row, from job.Status, ev *ledger.Event, at time.Time) error {
	switch ev.Event {
	case job.JobDispatched, job.JobLeased:
		if err := row.lease(ev); err != nil {
			return err
		}
		if ev.Event == job.JobDispatched {
			tx.tally(row).dispatched = ev.Seq
		}
		return nil
	case job.JobStarted:
		var m ledger.Started
		if err := decode(ev, &m); err != nil {
			return err
		}
		started, err := optionalTime(ev, m.StartedAt)
		if err != nil {
			return err
		}
		row.Attempt, row.StartedAt, row.CompletedAt = m.Attempt, started, time.Time{}
		row.ExecutedBy = row.Host
		row.stopWaiting()
		return nil
	case job.JobAttemptFailed:
		m, err := row.ended(ev, at)
		if err != nil {
			return err
		}
		return tx.keep(ev, m.Kept, at)
	case job.JobCompleted, job.JobFailed:
		m, err := row.ended(ev, at)
		if err != nil {
			return err
		}
		if ev.Event == job.JobCompleted {
			if err := tx.keep(ev, m.Kept, at); err != nil {
				return err
			}
		}
		joined := row.JoinedTo
		row.stopWaiting()
		row.release()
		row.JoinedTo = joined
		if m.DeduplicatedOf != "" {
			row.JoinedTo = m.DeduplicatedOf
		}
		return nil
	case job.OutcomeUnknown:
		var m ledger.Unknown
		if err := decode(ev, &m); err != nil {
			return err
		}
		row.Error, row.ErrorCode = "OUTCOME_UNKNOWN: "+m.Reason, "OUTCOME_UNKNOWN"
		row.NextAction = job.RequireOperatorAck
		row.stopWaiting()
		row.release()
		return tx.keep(ev, m.Kept, at)
	case job.LeaseExpired:
		if from == job.StatusPending && row.Leased() {
			row.Attempt-- // it never started, and does not count
		}
		row.stopWaiting()
		row.release()
		row.Ready = true
		return nil
	default:
		return eventError(ev, fmt.Errorf("the index does not know this event"))
	}
}

func (r *Row) lease(ev *ledger.Event) error {
	var m ledger.Dispatched
	if err := decode(ev, &m); err != nil {
		return err
	}
	until, err := optionalTime(ev, m.LeaseUntil)
	if err != nil {
		return err
	}
	if m.Host == "" {
		return eventError(ev, errNoHost)
	}
	r.stopWaiting()
	r.Host, r.LeaseUntil, r.Attempt, r.Runner = m.Host, until, m.Attempt, ledger.Runner{}
	if m.Runner != nil {
		r.Runner = *m.Runner
	}
	if ev.Event == job.JobDispatched {
		r.WaitedMS = m.WaitedMS
	}
	return nil
}

// ended takes over what is known at the end of an attempt.
func (r *Row) ended(ev *ledger.Event, at time.Time) (ledger.Ended, error) {
	var m ledger.Ended
	if err := decode(ev, &m); err != nil {
		return m, err
	}
	completed, err := optionalTime(ev, m.CompletedAt)
	if err != nil {
		return m, err
	}
	if completed.IsZero() {
		completed = at
	}
	r.CompletedAt, r.ExitCode, r.Error, r.ErrorCode = completed, m.ExitCode, m.Error, m.Code
	if m.Attempt > 0 {
		r.Attempt = m.Attempt
	}
	if ev.ArtifactSHA256 != "" {
		r.Result = artifact(ev, m.Located)
	}
	return m, nil
}
