package index

import (
	"fmt"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/ledger"
)

const patchRow = `UPDATE jobs SET kind = ?2, priority = ?3, class = ?4, timeout_seconds = ?5, max_retries = ?6, retry_backoff = ?7,
  on_dependency_failure = ?8, payload_sha256 = ?9, concurrency_key = ?10, intake_path = ?11, intake_offset = ?12, intake_bytes = ?13,
  intake_sha256 = ?14, deps_left = ?15, dep_failed = ?16, updated_at = ?17 WHERE seq = ?1`

// patch applies JOB_PATCHED. The job is blocked: it is in no queue, holds no key and no lane, and what it asks for can change.
// Whose it is, its id and its key cannot.
func (tx *Tx) patch(e *entry, ev *ledger.Event, at time.Time, docs DocReader) error {
	var m ledger.Patched
	if err := decode(ev, &m); err != nil {
		return err
	}
	row := e.row
	switch {
	case m.Priority < int(job.PriorityCritical) || m.Priority > int(job.PriorityLow):
		return eventError(ev, fmt.Errorf("meta: priority %d", m.Priority))
	case m.Source != row.Source || m.Key != row.Key:
		return eventError(ev, fmt.Errorf("meta: source or key are another one's"))
	case m.Before != row.Intake.SHA256:
		return eventError(ev, fmt.Errorf("meta: the job is not the one that was patched"))
	}
	row.Intake = artifact(ev, m.Located)
	var deps []string
	if m.DependsOn > 0 {
		var err error
		if deps, err = readDeps(row.Intake, docs); err != nil {
			return eventError(ev, err)
		}
	}
	if err := tx.flushRows(); err != nil {
		return err
	}
	if err := tx.c.run("DELETE FROM deps WHERE job = ?", row.Seq); err != nil {
		return tx.fail(err)
	}
	row.DepsLeft, row.DepFailed = 0, ""
	if err := tx.addDeps(&row, deps); err != nil {
		return tx.fail(err)
	}
	priority := job.Priority(m.Priority)
	err := tx.c.run(patchRow, row.Seq, m.Kind, m.Priority, priority.Class(), m.TimeoutSeconds, m.MaxRetries, m.Backoff,
		string(job.OnFailure(m.OnDepFailure).OrDefault()), m.PayloadSHA256, m.ConcurrencyKey, row.Intake.Path, row.Intake.Offset, row.Intake.Bytes,
		row.Intake.SHA256, row.DepsLeft, row.DepFailed, at)
	tx.forget()
	return tx.fail(err)
}
