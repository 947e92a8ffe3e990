package index

import "github.com/sheratan/sheratan/pipeline/job"

// WaitingByPriority counts the pending and throttled jobs by their priority, up to limit of each state, and reports whether
// there are more: somebody who looks every second is not worth counting a million.
func (r *Reader) WaitingByPriority(limit int) (n [4]int, more bool, err error) {
	if err := r.sync(); err != nil {
		return n, false, err
	}
	for _, status := range []job.Status{job.StatusPending, job.StatusThrottled} {
		seen := 0
		err := r.c.each("SELECT priority, count(*) FROM (SELECT priority FROM jobs WHERE status = ? LIMIT ?) GROUP BY priority", func(s *stmt) error {
			c := s.ColumnInt(1)
			n[s.ColumnInt(0)] += c
			seen += c
			return nil
		}, string(status), limit)
		if err != nil {
			return n, false, err
		}
		more = more || seen == limit
	}
	return n, more, nil
}
