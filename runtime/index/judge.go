package index

import (
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// judge applies what gates and operator say of a job.
func (tx *Tx) judge(row *Row, from job.Status, ev *ledger.Event, at time.Time) ([]func(*entry) error, error) {
	switch ev.Event {
	case job.GatesReported:
		var m ledger.Gated
		if err := decode(ev, &m); err != nil {
			return nil, err
		}
		row.Report = artifact(ev, m.Located)
		row.Rules, row.Verdict, row.NextAction = m.Rules, job.GateStatus(m.Verdict), job.NextAction(m.NextAction)
	case job.JobApproved:
		return tx.approve(row, ev, at)
	case job.JobBlocked:
		var m ledger.Blocked
		if err := decode(ev, &m); err != nil {
			return nil, err
		}
		row.NextAction, row.ErrorCode = job.NextAction(m.NextAction), m.Code
		// The approval is void: whatever brings the job back has to be one.
		row.AcceptedAt, row.Basis = time.Time{}, ""
		row.stopWaiting()
		row.release()
		if err := tx.needAudit(row, from, at); err != nil {
			return nil, err
		}
		return []func(*entry) error{tx.dropKey}, nil
	case job.OperatorApproved:
		row.DecidedBy = ev.Actor
	case job.OperatorRejected:
		row.DecidedBy = ev.Actor
		row.Error, row.ErrorCode = "REJECTED", "REJECTED"
		row.CompletedAt = at
		row.stopWaiting()
		row.release()
		return []func(*entry) error{tx.dropKey}, nil
	case job.JobRevised:
		var m ledger.Revised
		if err := decode(ev, &m); err != nil {
			return nil, err
		}
		row.RevisedBy = m.Revision
	}
	return nil, nil
}

func (tx *Tx) approve(row *Row, ev *ledger.Event, at time.Time) ([]func(*entry) error, error) {
	var m ledger.Approved
	if err := decode(ev, &m); err != nil {
		return nil, err
	}
	due, err := optionalTime(ev, m.DueAt)
	if err != nil {
		return nil, err
	}
	window, err := optionalTime(ev, m.Slot)
	if err != nil {
		return nil, err
	}
	row.Zone = zoneApproved
	row.AcceptedAt, row.DueAt, row.WakeAt = at, due, time.Time{}
	row.Basis, row.Rules, row.Rerun, row.Ready = m.Basis, m.Rules, m.Rerun, m.Ready
	if row.DecidedBy == "" {
		row.DecidedBy = ev.Actor
	}
	row.Error, row.ErrorCode = "", ""
	row.JoinedTo, row.LaneWaits = "", false
	after := []func(*entry) error{tx.takeKey, tx.countWindow(window, ev.Seq)}
	if m.MaxRetries != nil {
		row.MaxRetries = *m.MaxRetries
		after = append(after, tx.writeRetries)
	}
	return after, nil
}

// writeRetries writes what an approval has changed of a job beside its state, which is nearly never.
func (tx *Tx) writeRetries(e *entry) error {
	if err := tx.flushRows(); err != nil {
		return err
	}
	return tx.fail(tx.c.run("UPDATE jobs SET max_retries = ? WHERE seq = ?", e.row.MaxRetries, e.row.Seq))
}

// stopWaiting takes the job out of every queue.
func (r *Row) stopWaiting() {
	r.Ready, r.WakeAt, r.LaneWaits, r.JoinedTo = false, time.Time{}, false, ""
}

// release ends the lease.
func (r *Row) release() {
	r.Host, r.LeaseUntil, r.Runner = "", time.Time{}, ledger.Runner{}
}
