package index

import "github.com/sheratan/sheratan/pipeline/job"

// unended finds the jobs that are over although no event ended them since they were last taken up.
const unended = `SELECT id, status FROM jobs AS j WHERE status IN ('completed', 'failed', 'cancelled') AND NOT EXISTS (
    SELECT 1 FROM ledger_events AS e WHERE e.job = j.seq AND e.event IN ('JOB_COMPLETED', 'JOB_FAILED', 'JOB_CANCELLED', 'OPERATOR_REJECTED')
      AND e.seq > (SELECT coalesce(max(r.seq), -1) FROM ledger_events AS r WHERE r.job = j.seq AND r.event = 'JOB_RETRY_SCHEDULED'))
  ORDER BY seq LIMIT ?`

// Unended is a job that is over without an event that says so.
type Unended struct {
	ID     string
	Status job.Status
}

// Unended returns up to limit jobs whose state is final and whose end is not in the ledger.
func (r *Reader) Unended(limit int) (list []Unended, err error) {
	if err := r.sync(); err != nil {
		return nil, err
	}
	err = r.c.each(unended, func(s *stmt) error {
		list = append(list, Unended{s.ColumnText(0), job.Status(s.ColumnText(1))})
		return nil
	}, limit)
	return list, err
}
