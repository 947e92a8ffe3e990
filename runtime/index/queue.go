package index

import (
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// queue applies what moves a job among those that wait.
func (tx *Tx) queue(row *Row, from job.Status, ev *ledger.Event, at time.Time) ([]func(*entry) error, error) {
	switch ev.Event {
	case job.JobDeduplicated:
		var m ledger.Deduplicated
		if err := decode(ev, &m); err != nil {
			return nil, err
		}
		if m.Resubmitted || row.Status != job.StatusPending && row.Status != job.StatusThrottled {
			return nil, nil
		}
		row.stopWaiting()
		row.release()
		row.Zone, row.JoinedTo = zoneApproved, m.Of
		return []func(*entry) error{tx.dropKey}, nil
	case job.JobReady:
		var m ledger.Ready
		if err := decode(ev, &m); err != nil {
			return nil, err
		}
		window, err := optionalTime(ev, m.Slot)
		if err != nil {
			return nil, err
		}
		row.stopWaiting()
		row.Ready = true
		return []func(*entry) error{tx.takeKey, tx.countWindow(window, ev.Seq)}, nil
	case job.JobThrottled:
		var m ledger.Throttled
		if err := decode(ev, &m); err != nil {
			return nil, err
		}
		until, err := optionalTime(ev, m.Until)
		if err != nil {
			return nil, err
		}
		window, err := optionalTime(ev, m.Slot) // of one that waits for the others in its lane; or it is counted when it is given one
		if err != nil {
			return nil, err
		}
		row.release()
		row.Ready, row.WakeAt, row.LaneWaits = false, until, m.Lane && row.Lane != ""
		return []func(*entry) error{tx.countWindow(window, ev.Seq)}, nil
	case job.KeyExpired:
		return []func(*entry) error{tx.dropKey}, nil
	case job.JobRetryScheduled:
		return tx.retry(row, from, ev, at)
	case job.JobCancelled:
		var m ledger.Cancelled
		if err := decode(ev, &m); err != nil {
			return nil, err
		}
		row.Error, row.ErrorCode = m.Reason, "CANCELLED"
		if m.Reason == "" {
			row.Error = "CANCELLED"
		}
		row.CompletedAt = at
		row.stopWaiting()
		row.release()
		return []func(*entry) error{tx.dropKey}, nil
	}
	return nil, nil
}

// retry makes a job wait for its next attempt. One that was never approved, or blocked since, goes back to before the gates:
// a retry is not an approval.
func (tx *Tx) retry(row *Row, from job.Status, ev *ledger.Event, at time.Time) ([]func(*entry) error, error) {
	var m ledger.RetryScheduled
	if err := decode(ev, &m); err != nil {
		return nil, err
	}
	wake, err := optionalTime(ev, m.WakeAt)
	if err != nil {
		return nil, err
	}
	before := row.RetryCount
	row.stopWaiting()
	row.release()
	row.WakeAt, row.RetryCount, row.LastRetryAt = wake, m.Retry, at
	row.CompletedAt = time.Time{}
	row.Zone = zoneApproved
	if row.AcceptedAt.IsZero() {
		row.Zone = zoneInbox
	}
	if m.Operator {
		row.RetryCount = 0
		row.Error, row.ErrorCode, row.ExitCode, row.Result = "", "", 0, ledger.Ref{}
	}
	var after []func(*entry) error
	if from != job.StatusRunning && row.Zone == zoneApproved {
		after = append(after, tx.takeKey)
	}
	if !m.Operator && m.Retry > before {
		after = append(after, func(e *entry) error { return tx.countRetry(e.row.Bucket, at) })
	}
	return after, nil
}
