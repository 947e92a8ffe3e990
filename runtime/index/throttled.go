package index

import (
	"cmp"
	"slices"
	"time"
)

// WindowLength is the length of the windows in which max_jobs_per_minute counts.
const WindowLength = time.Minute

// throttled finds the jobs that only the rate of their bucket keeps from being ready.
const throttled = "INDEXED BY jobs_throttled WHERE status = 'throttled' AND lane_waits = 0 AND deps_left = 0 AND host = '' AND " +
	"joined_to = '' AND zone = 'approved'"

var throttledHeads = newHeads(throttled)

// ThrottledBuckets returns the buckets of which jobs wait for a rate window, in order.
func (r *Reader) ThrottledBuckets() ([]string, error) {
	if err := r.sync(); err != nil {
		return nil, err
	}
	return r.each("SELECT bucket FROM jobs " + throttled + " AND bucket > ? ORDER BY bucket LIMIT 1")
}

// each asks a question that gives the next of a few names, which come from an index of very many rows, until there is none.
func (r *Reader) each(sql string, values ...any) (names []string, err error) {
	for last, found := "", true; found; {
		found, err = r.c.one(sql, func(s *stmt) error {
			last = s.ColumnText(0)
			names = append(names, last)
			return nil
		}, append(slices.Clone(values), last)...)
		if err != nil {
			return nil, err
		}
	}
	return names, nil
}

// Throttled returns up to limit jobs of a bucket that wait for a rate window, in the order in which windows are due to them:
// one of each source in turn, beginning with the source that was given one the longest ago, and of each source in the order
// of claims. Its cost depends on limit and on the number of sources that have such jobs, not on how many jobs there are.
func (r *Reader) Throttled(bucket string, limit int) ([]Row, error) {
	if err := r.sync(); err != nil {
		return nil, err
	}
	sources, err := r.each("SELECT source FROM jobs "+throttled+" AND bucket = ? AND source > ? ORDER BY source LIMIT 1", bucket)
	if err != nil {
		return nil, err
	}
	served := map[string]int64{}
	err = r.c.each("SELECT source, served FROM turns WHERE bucket = ?", func(s *stmt) error {
		served[s.ColumnText(0)] = s.ColumnInt64(1)
		return nil
	}, bucket)
	if err != nil {
		return nil, err
	}
	// Those that were never served come first, by name: nothing that is the same in a rebuild tells who came first.
	slices.SortStableFunc(sources, func(a, b string) int { return cmp.Compare(served[a], served[b]) })
	var queues []*claimQueue
	for _, source := range sources[:min(len(sources), limit)] {
		q := &claimQueue{population: population{bucket, source}, from: throttledHeads}
		if err := q.fill(r, min(1+limit/len(sources), claimPage)); err != nil {
			return nil, err
		}
		queues = append(queues, q)
	}
	var seqs []int64
	for more := true; more; {
		more = false
		for _, q := range queues {
			if len(q.heads) == 0 || len(seqs) == limit {
				continue
			}
			seqs, more = append(seqs, q.heads[0].seq), true
			if err := q.advance(r); err != nil {
				return nil, err
			}
		}
	}
	return r.bySeq(seqs)
}

// WindowOpens returns the time from which on some job that waits for a rate window may have one, and whether there is one. The
// zero time is now.
func (r *Reader) WindowOpens() (at time.Time, found bool, err error) {
	buckets, err := r.ThrottledBuckets()
	if err != nil {
		return at, false, err
	}
	for _, bucket := range buckets {
		l, err := r.RateWindow(bucket)
		if err != nil {
			return at, false, err
		}
		var opens time.Time
		if l.JobsPerMinute > 0 && l.Count >= l.JobsPerMinute {
			opens = l.Window.Add(WindowLength)
		}
		if !found || opens.Before(at) {
			at, found = opens, true
		}
	}
	return at, found, nil
}
