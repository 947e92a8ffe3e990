package index

import (
	"strings"

	"github.com/sheratan/sheratan/pipeline/job"
)

// Held says which jobs wait only because max_concurrent_jobs of their bucket are in flight. No event tells that of each job: it is
// so for all that are ready, and changes for all of them with each attempt that begins or ends.
type Held struct {
	Full   []string        // the buckets
	paused map[string]bool // sources of which nothing begins anyway; "" is all
}

// Held asks the counts, so that its cost does not depend on how many jobs there are.
func (r *Reader) Held() (Held, error) {
	if err := r.syncCounts(); err != nil {
		return Held{}, err
	}
	h := Held{paused: map[string]bool{}}
	flying := map[string]int{}
	var buckets []string
	err := r.c.each("SELECT bucket, sum(in_flight) FROM counts WHERE in_flight > 0 GROUP BY bucket ORDER BY bucket", func(s *stmt) error {
		buckets = append(buckets, s.ColumnText(0))
		flying[s.ColumnText(0)] = s.ColumnInt(1)
		return nil
	})
	if err != nil {
		return h, err
	}
	for _, bucket := range buckets {
		limit, err := r.RateWindow(bucket)
		if err != nil {
			return h, err
		}
		if limit.Concurrent > 0 && flying[bucket] >= limit.Concurrent {
			h.Full = append(h.Full, bucket)
		}
	}
	if len(h.Full) == 0 {
		return h, nil
	}
	pauses, err := r.Paused()
	for _, p := range pauses {
		h.paused[p.Source] = true
	}
	return h, err
}

func (h Held) holds(bucket, source string) bool {
	if h.paused[""] || h.paused[source] {
		return false
	}
	for _, b := range h.Full {
		if b == bucket {
			return true
		}
	}
	return false
}

// Shown is the status of a job as it is shown.
func (h Held) Shown(row *Row) job.Status {
	if row.Status == job.StatusPending && row.Ready && h.holds(row.Bucket, row.Source) {
		return job.StatusThrottled
	}
	return row.Status
}

// Count moves the jobs that are held to those that are throttled.
func (h Held) Count(c Count) Count {
	if c.Ready > 0 && h.holds(c.Bucket, c.Source) {
		c.Status[job.StatusPending] -= c.Ready
		c.Status[job.StatusThrottled] += c.Ready
	}
	return c
}

// condition selects the jobs that are held; there are none where it is "".
func (h Held) condition() (sql string, values []any) {
	if len(h.Full) == 0 || h.paused[""] {
		return "", nil
	}
	sql = "ready = 1 AND bucket IN (?" + strings.Repeat(", ?", len(h.Full)-1) + ")"
	for _, b := range h.Full {
		values = append(values, b)
	}
	for source := range h.paused {
		sql += " AND source <> ?"
		values = append(values, source)
	}
	return sql, values
}
