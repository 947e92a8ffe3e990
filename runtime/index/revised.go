package index

import (
	"fmt"
	"slices"
)

// Who depends on a job that is revised waits for the revision instead: it does the same, and carries the same key. deps names
// the job that is waited for, so that a revision moves rows of it, and what is received later is led there.

const (
	// A job may depend on both already. The revision may be there, with a status of its own, only where histories are made up.
	moveDeps = `INSERT OR IGNORE INTO deps (job, depends_on, done)
  SELECT job, ?2, EXISTS (SELECT 1 FROM jobs WHERE id = ?2 AND status = 'completed') FROM deps WHERE depends_on = ?1`
	dropDeps  = "DELETE FROM deps WHERE depends_on = ?"
	revisedBy = "SELECT revised_by FROM jobs WHERE id = ?"
)

// follow lets those who depend on a job wait for its revision. It takes time in proportion to their number, once.
func (tx *Tx) follow(revision string) func(*entry) error {
	return func(e *entry) error {
		old := e.row.ID
		if revision == "" || revision == old {
			return nil
		}
		waiting, err := tx.dependedOn(old)
		if err != nil || !waiting {
			return err
		}
		if err := tx.flushRows(); err != nil {
			return err
		}
		err = tx.c.run(moveDeps, old, revision)
		if err == nil {
			err = tx.c.run(dropDeps, old)
		}
		for _, sql := range []string{countDeps, findBroken} {
			if err == nil {
				err = tx.c.run(sql, revision)
			}
		}
		if err != nil {
			return fmt.Errorf("job %s: those who depend on it: %w", old, err)
		}
		tx.forget()
		return nil
	}
}

// latest returns the last revision of each of the jobs, those that were not revised as they are; in order, each once.
// revisedBy returns the revision of a job, "" where there is none.
func latest(ids []string, revisedBy func(string) (string, error)) ([]string, error) {
	out := make([]string, 0, len(ids))
	for _, id := range ids {
		seen := []string{id}
		for {
			next, err := revisedBy(id)
			if err != nil {
				return nil, err
			}
			if next == "" || slices.Contains(seen, next) {
				break
			}
			seen, id = append(seen, next), next
		}
		out = append(out, id)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// CountDependents returns how many jobs depend on one.
func (r *Reader) CountDependents(id string) (n int, err error) {
	if err := r.sync(); err != nil {
		return 0, err
	}
	_, err = r.c.one("SELECT count(*) FROM deps WHERE depends_on = ?", func(s *stmt) error {
		n = s.ColumnInt(0)
		return nil
	}, id)
	return n, err
}
