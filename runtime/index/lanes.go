package index

import "fmt"

// A lane is what the jobs of one source with one concurrency key have in common: one of them at a time has it, from being
// ready to the end of its attempt, and the others wait. Whether a job may have it is decided when the event is made that
// makes it ready; here it is only counted.

// hasLane reports whether the job keeps others with its concurrency key waiting.
func (r *Row) hasLane() bool { return r.Lane != "" && (r.Ready || r.inFlight()) }

// moveInLane counts what a change of a job means for the others in its lane.
func (tx *Tx) moveInLane(was, is *Row) error {
	holding, waiting := one(is.hasLane())-one(was.hasLane()), one(is.LaneWaits)-one(was.LaneWaits)
	if holding == 0 && waiting == 0 {
		return nil
	}
	known, err := tx.c.one("SELECT 1 FROM lanes WHERE source = ? AND concurrency_key = ?", func(*stmt) error { return nil }, is.Source, is.Lane)
	if err != nil {
		return err
	}
	// One that nobody has and nobody waits for is no lane.
	for _, sql := range [...]string{
		"DELETE FROM lanes WHERE source = ?1 AND concurrency_key = ?2 AND holding + ?3 = 0 AND waiting + ?4 = 0",
		"UPDATE lanes SET holding = holding + ?3, waiting = waiting + ?4 WHERE source = ?1 AND concurrency_key = ?2",
	} {
		if !known {
			sql = "INSERT INTO lanes (source, concurrency_key, holding, waiting) VALUES (?1, ?2, ?3, ?4)"
		}
		if err := tx.c.run(sql, is.Source, is.Lane, holding, waiting); err != nil {
			return fmt.Errorf("concurrency key %s of %s: %w", is.Lane, is.Source, err)
		}
		if !known || tx.c.Changes() > 0 {
			return nil
		}
	}
	return nil
}

func one(is bool) int {
	if is {
		return 1
	}
	return 0
}

// LaneTaken reports whether a job with the concurrency key has to wait for another one: one that has it, or one that waits
// already.
func (r *Reader) LaneTaken(source, key string) (bool, error) {
	return r.c.one("SELECT 1 FROM lanes WHERE source = ? AND concurrency_key = ?", func(*stmt) error { return nil }, source, key)
}

// NextInLane returns the jobs whose turn it is in the lanes that nobody has, up to limit.
func (r *Reader) NextInLane(limit int) ([]Row, error) {
	if err := r.sync(); err != nil {
		return nil, err
	}
	type lane struct{ source, key string }
	var free []lane
	err := r.c.each("SELECT source, concurrency_key FROM lanes INDEXED BY lanes_free WHERE holding = 0 ORDER BY source, concurrency_key LIMIT ?",
		func(s *stmt) error {
			free = append(free, lane{s.ColumnText(0), s.ColumnText(1)})
			return nil
		}, limit)
	if err != nil {
		return nil, err
	}
	var rows []Row
	for _, l := range free {
		next, err := r.c.rows(selectRows+`INDEXED BY jobs_lane
  WHERE lane_waits = 1 AND source = ? AND concurrency_key = ? ORDER BY class, due_at, seq LIMIT 1`, l.source, l.key)
		if err != nil {
			return nil, err
		}
		rows = append(rows, next...)
	}
	return rows, nil
}
