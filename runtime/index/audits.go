package index

import (
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// Audit is what the index knows of second opinions on a job.
type Audit struct {
	JobID      string
	Attempts   int       // that failed
	Due        time.Time // when to ask for one; zero is not, or not any more
	AskedUntil time.Time // until when somebody is asking; zero is nobody
	Request    string    // digest of the last request
	Auditor    string    // actor of the last report, "" where there is none
	Decision   string    // of it
	Report     ledger.Ref
}

// needAudit notes that a job was blocked, and whether a second opinion could let it go on.
func (tx *Tx) needAudit(row *Row, from job.Status, at time.Time) error {
	if row.NextAction != job.RequireLLM2 {
		if from != job.StatusQuarantined {
			return nil // it has not been blocked before
		}
		return tx.noAudit(row.ID)
	}
	return tx.c.run(`INSERT INTO audits (job, attempts, due, asked_until, request, auditor, decision, report_path, report_offset, report_bytes,
  report_sha256) VALUES (?1, 0, ?2, 0, '', '', '', '', 0, 0, '')
  ON CONFLICT (job) DO UPDATE SET attempts = 0, due = ?2, asked_until = 0`, row.ID, at)
}

// noAudit notes that nobody has to be asked about a job.
func (tx *Tx) noAudit(id string) error {
	return tx.c.run("UPDATE audits SET due = 0, asked_until = 0 WHERE job = ?", id)
}

// audit applies that somebody asks for a second opinion, and what came of it.
func (tx *Tx) audit(row *Row, ev *ledger.Event, at time.Time) error {
	switch ev.Event {
	case job.AuditRequested:
		var m ledger.AuditAsked
		if err := decode(ev, &m); err != nil {
			return err
		}
		until, err := optionalTime(ev, m.Until)
		if err != nil {
			return err
		}
		return tx.c.run(`INSERT INTO audits (job, attempts, due, asked_until, request, auditor, decision, report_path, report_offset, report_bytes,
  report_sha256) VALUES (?1, ?2, ?3, ?4, ?5, '', '', '', 0, 0, '')
  ON CONFLICT (job) DO UPDATE SET attempts = ?2, due = ?3, asked_until = ?4, request = ?5`, row.ID, max(m.Attempt-1, 0), at, until, ev.ArtifactSHA256)
	case job.AuditReported:
		var m ledger.Audited
		if err := decode(ev, &m); err != nil {
			return err
		}
		row.DecidedBy, row.NextAction = ev.Actor, job.NextAction(m.NextAction)
		due := time.Time{}
		if row.NextAction == job.Allow {
			due = at // until it is approved: that may have been lost in a crash
		}
		return tx.c.run(`UPDATE audits SET due = ?2, asked_until = 0, auditor = ?3, decision = ?4, report_path = ?5, report_offset = ?6, report_bytes = ?7,
  report_sha256 = ?8 WHERE job = ?1`, row.ID, due, ev.Actor, m.Decision, ev.ArtifactPath, m.Offset, m.Bytes, ev.ArtifactSHA256)
	default:
		var m ledger.AuditMissed
		if err := decode(ev, &m); err != nil {
			return err
		}
		next, err := optionalTime(ev, m.NextAt)
		if err != nil {
			return err
		}
		return tx.c.run("UPDATE audits SET attempts = ?2, due = ?3, asked_until = 0 WHERE job = ?1", row.ID, m.Attempt, next)
	}
}

const selectAudits = `SELECT job, attempts, due, asked_until, request, auditor, decision, report_path, report_offset, report_bytes, report_sha256
  FROM audits `

func (r *Reader) audits(where string, values ...any) (list []Audit, err error) {
	err = r.c.each(selectAudits+where, func(s *stmt) error {
		list = append(list, Audit{JobID: s.ColumnText(0), Attempts: s.ColumnInt(1), Due: fromMicros(s.ColumnInt64(2)), AskedUntil: fromMicros(s.ColumnInt64(3)),
			Request: s.ColumnText(4), Auditor: s.ColumnText(5), Decision: s.ColumnText(6),
			Report: ledger.Ref{Path: s.ColumnText(7), Offset: s.ColumnInt64(8), Bytes: s.ColumnInt64(9), SHA256: s.ColumnText(10)}})
		return nil
	}, values...)
	return list, err
}

// Audit returns what is known of second opinions on a job, and whether one was ever needed.
func (r *Reader) Audit(id string) (Audit, bool, error) {
	list, err := r.audits("WHERE job = ?", id)
	if err != nil || len(list) == 0 {
		return Audit{}, false, err
	}
	return list[0], true, nil
}

// DueAudits returns up to limit jobs about which somebody has to be asked now, the longest due first. Those about which
// somebody is being asked are not among them before the time for that is over.
func (r *Reader) DueAudits(now time.Time, limit int) ([]Audit, error) {
	return r.audits("WHERE due > 0 AND max(due, asked_until) <= ? ORDER BY max(due, asked_until) LIMIT ?", now, limit)
}
