package index

import (
	"fmt"
	"time"
)

// retryWindow is the length of the windows in which max_retries_per_hour counts. One begins with the first retry that no
// window has.
const retryWindow = time.Hour

// countRetry counts a repeated attempt of a bucket.
func (tx *Tx) countRetry(bucket string, at time.Time) error {
	err := tx.c.run(`INSERT INTO retries (bucket, current_count, window_start) VALUES (?1, 1, ?2)
  ON CONFLICT DO UPDATE SET
    current_count = CASE WHEN window_start > ?3 THEN current_count + 1 ELSE 1 END,
    window_start = CASE WHEN window_start > ?3 THEN window_start ELSE ?2 END`, bucket, at, at.Add(-retryWindow))
	if err != nil {
		return fmt.Errorf("retries of %s: %w", bucket, err)
	}
	return nil
}

// RetriesUsed returns how many attempts of a bucket were repeated in the window that now lies in.
func (r *Reader) RetriesUsed(bucket string, now time.Time) (used int, err error) {
	_, err = r.c.one("SELECT current_count FROM retries WHERE bucket = ? AND window_start > ?", func(s *stmt) error {
		used = s.ColumnInt(0)
		return nil
	}, bucket, now.Add(-retryWindow))
	return used, err
}

// InFlight returns how many jobs are dispatched or running.
func (r *Reader) InFlight() (n int, err error) {
	if err := r.syncCounts(); err != nil {
		return 0, err
	}
	_, err = r.c.one("SELECT coalesce(sum(in_flight), 0) FROM counts WHERE in_flight > 0", func(s *stmt) error {
		n = s.ColumnInt(0)
		return nil
	})
	return n, err
}
