package index

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/sheratan/sheratan/runtime/ledger"
)

// Limits of a bucket that neither has an entry in the configuration nor can fall back to *. 0 is unlimited.
const (
	DefaultJobsPerMinute  = 10
	DefaultConcurrentJobs = 5
)

// defaultBucket is shared by the sources without an entry of their own.
const defaultBucket = "*"

// Limit is what a bucket may do, and how much of it it did.
type Limit struct {
	Bucket        string
	JobsPerMinute int // 0 is unlimited
	Concurrent    int // 0 is unlimited
	Count         int // jobs counted in the window
	Window        time.Time
}

type sourceLimits struct {
	JobsPerMinute *int `json:"max_jobs_per_minute"`
	Concurrent    *int `json:"max_concurrent_jobs"`
}

// setLimits takes the limits of the sources out of the effective configuration: its member config.sources.
func (tx *Tx) setLimits(ev *ledger.Event, docs DocReader) error {
	var m ledger.Configured
	if err := decode(ev, &m); err != nil {
		return err
	}
	doc, err := docs.Read(artifact(ev, m.Located))
	if err != nil {
		return eventError(ev, err)
	}
	var effective struct {
		Config struct {
			Sources map[string]sourceLimits `json:"sources"`
		} `json:"config"`
	}
	if err := json.Unmarshal(doc, &effective); err != nil {
		return eventError(ev, fmt.Errorf("configuration %s: %w", ev.ArtifactSHA256, err))
	}
	config := effective.Config
	rest := config.Sources[defaultBucket]
	if err := tx.c.run("UPDATE rate_limits SET configured = 0, max_jobs_per_minute = ?, max_concurrent_jobs = ?",
		orElse(rest.JobsPerMinute, DefaultJobsPerMinute), orElse(rest.Concurrent, DefaultConcurrentJobs)); err != nil {
		return err
	}
	names := make([]string, 0, len(config.Sources))
	for name := range config.Sources {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		l := config.Sources[name]
		err := tx.c.run(`INSERT INTO rate_limits (source, max_jobs_per_minute, max_concurrent_jobs, configured, current_count, window_start)
  VALUES (?1, ?2, ?3, 1, 0, 0)
  ON CONFLICT DO UPDATE SET max_jobs_per_minute = ?2, max_concurrent_jobs = ?3, configured = 1`, name,
			orElse(l.JobsPerMinute, DefaultJobsPerMinute), orElse(l.Concurrent, DefaultConcurrentJobs))
		if err != nil {
			return fmt.Errorf("limits of %s: %w", name, err)
		}
	}
	return nil
}

func orElse(p *int, otherwise int) int {
	if p == nil {
		return otherwise
	}
	return *p
}

// countWindow counts a job in a rate window of its bucket, by the event with that number; zero is none.
func (tx *Tx) countWindow(window time.Time, seq int64) func(*entry) error {
	return func(e *entry) error {
		if window.IsZero() {
			return nil
		}
		bucket := e.row.Bucket
		err := tx.c.run("INSERT INTO turns (bucket, source, served) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET served = ?3",
			bucket, e.row.Source, seq)
		if err != nil {
			return fmt.Errorf("turn of %s: %w", e.row.Source, err)
		}
		const update = `UPDATE rate_limits SET current_count = CASE window_start WHEN ?2 THEN current_count + 1 ELSE 1 END,
  window_start = ?2 WHERE source = ?1`
		if err := tx.c.run(update, bucket, window); err != nil {
			return fmt.Errorf("rate of %s: %w", bucket, err)
		}
		if tx.c.Changes() > 0 {
			return nil
		}
		l, err := tx.RateWindow(bucket)
		if err != nil {
			return err
		}
		return tx.c.run(`INSERT INTO rate_limits (source, max_jobs_per_minute, max_concurrent_jobs, configured, current_count,
  window_start) VALUES (?, ?, ?, 0, 1, ?)`, bucket, l.JobsPerMinute, l.Concurrent, window)
	}
}

// RateWindow returns the limits of a bucket, and the last window that jobs of it were counted in.
func (r *Reader) RateWindow(bucket string) (Limit, error) {
	limit := Limit{Bucket: bucket, JobsPerMinute: DefaultJobsPerMinute, Concurrent: DefaultConcurrentJobs}
	for _, name := range []string{bucket, defaultBucket} {
		found, err := r.c.one(`SELECT max_jobs_per_minute, max_concurrent_jobs, current_count, window_start FROM rate_limits
  WHERE source = ?`, func(s *stmt) error {
			limit.JobsPerMinute, limit.Concurrent = s.ColumnInt(0), s.ColumnInt(1)
			if name == bucket {
				limit.Count, limit.Window = s.ColumnInt(2), fromMicros(s.ColumnInt64(3))
			}
			return nil
		}, name)
		if err != nil || found {
			return limit, err
		}
	}
	return limit, nil
}

// Limits returns the limits of all buckets that were configured or counted, in the order of their names.
func (r *Reader) Limits() ([]Limit, error) {
	var limits []Limit
	err := r.c.each(`SELECT source, max_jobs_per_minute, max_concurrent_jobs, current_count, window_start FROM rate_limits
  ORDER BY source`, func(s *stmt) error {
		limits = append(limits, Limit{Bucket: s.ColumnText(0), JobsPerMinute: s.ColumnInt(1), Concurrent: s.ColumnInt(2),
			Count: s.ColumnInt(3), Window: fromMicros(s.ColumnInt64(4))})
		return nil
	})
	return limits, err
}
