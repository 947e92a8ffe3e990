package index

import (
	"fmt"

	"github.com/sheratan/sheratan/pipeline/job"
)

// What a status means to those who depend on the job.
type settlement int

const (
	unsettled settlement = iota
	fulfilled            // for good: no event leads out of completed
	broken               // until somebody retries it
)

func settles(s job.Status) settlement {
	switch s {
	case job.StatusCompleted:
		return fulfilled
	case job.StatusFailed, job.StatusCancelled:
		return broken
	default:
		return unsettled
	}
}

// addDeps records what a new job depends on, the last revision of each, and fills in what follows from that.
func (tx *Tx) addDeps(row *Row, deps []string) error {
	deps, err := latest(deps, func(id string) (string, error) {
		on, err := tx.load(id)
		if err != nil || on == nil {
			return "", err
		}
		return on.row.RevisedBy, nil
	})
	if err != nil {
		return err
	}
	for _, id := range deps {
		on, err := tx.load(id)
		if err != nil {
			return err
		}
		var state settlement
		if on != nil {
			state = settles(on.row.Status)
		}
		if state != fulfilled {
			row.DepsLeft++
		}
		if state == broken && row.DepFailed == "" {
			row.DepFailed = id
		}
		err = tx.c.run("INSERT INTO deps (job, depends_on, done) VALUES (?, ?, ?)", row.Seq, id, state == fulfilled)
		if err != nil {
			return fmt.Errorf("job %s: dependency on %s: %w", row.ID, id, err)
		}
	}
	return nil
}

const (
	fulfilDeps = "UPDATE deps SET done = 1 WHERE depends_on = ?"
	// countDeps and findBroken say what deps_left and dep_failed are, for those who depend on a job whose status changed.
	countDeps = `UPDATE jobs SET deps_left = (SELECT count(*) FROM deps WHERE job = jobs.seq AND done = 0)
  WHERE seq IN (SELECT job FROM deps WHERE depends_on = ?)`
	findBroken = `UPDATE jobs SET dep_failed = coalesce((SELECT min(d.depends_on) FROM deps AS d CROSS JOIN jobs AS j
      WHERE d.job = jobs.seq AND j.id = d.depends_on AND j.status IN ('failed', 'cancelled')), '')
  WHERE seq IN (SELECT job FROM deps WHERE depends_on = ?)`
)

// settle tells those who depend on a job that its status changed. It takes time in proportion to their number, once, some
// microseconds each.
func (tx *Tx) settle(row *Row) error {
	waiting, err := tx.dependedOn(row.ID)
	if err != nil || !waiting {
		return err
	}
	if err := tx.flushRows(); err != nil {
		return err
	}
	statements := []string{findBroken}
	if settles(row.Status) == fulfilled { // and it was not broken before: that goes through unsettled
		statements = []string{fulfilDeps, countDeps}
	}
	for _, sql := range statements {
		if err := tx.c.run(sql, row.ID); err != nil {
			return fmt.Errorf("job %s: those who depend on it: %w", row.ID, err)
		}
	}
	tx.forget()
	return nil
}

// dependedOn reports whether any job depends on this one.
func (tx *Tx) dependedOn(id string) (bool, error) {
	return tx.c.one("SELECT 1 FROM deps WHERE depends_on = ? LIMIT 1", func(*stmt) error { return nil }, id)
}

// Dependency is one entry of depends_on, or the last revision of that job.
type Dependency struct {
	ID      string
	Exists  bool
	Status  job.Status // "" where there is no such job
	Revises string     // the job that it is a revision of
}

// DependsOn returns what a job depends on, in the order of the ids.
func (r *Reader) DependsOn(id string) ([]Dependency, error) {
	if err := r.sync(); err != nil {
		return nil, err
	}
	var deps []Dependency
	err := r.c.each(`SELECT d.depends_on, coalesce(j.status, ''), coalesce(j.revises, '') FROM deps AS d LEFT JOIN jobs AS j ON j.id = d.depends_on
  WHERE d.job = (SELECT seq FROM jobs WHERE id = ?) ORDER BY d.depends_on`, func(s *stmt) error {
		status := job.Status(s.ColumnText(1))
		deps = append(deps, Dependency{ID: s.ColumnText(0), Exists: status != "", Status: status, Revises: s.ColumnText(2)})
		return nil
	}, id)
	return deps, err
}

// Missing returns the dependencies of a job that are not known to the index: nobody proposed them yet, or ever will.
func (r *Reader) Missing(id string) ([]string, error) {
	deps, err := r.DependsOn(id)
	var missing []string
	for _, d := range deps {
		if !d.Exists {
			missing = append(missing, d.ID)
		}
	}
	return missing, err
}

// Dependents returns up to limit jobs that depend on id, in the order of arrival.
func (r *Reader) Dependents(id string, limit int) ([]Row, error) {
	if err := r.sync(); err != nil {
		return nil, err
	}
	return r.c.rows(selectRows+"WHERE seq IN (SELECT job FROM deps WHERE depends_on = ? ORDER BY job LIMIT ?) ORDER BY seq", id, limit)
}

// Cycle looks for a way from one of deps back to id: a job that is to depend on deps would wait for itself. It returns the way,
// beginning and ending with id, or nil where there is none among the first limit jobs looked at. more says that there were
// more jobs than that.
func (r *Reader) Cycle(id string, deps []string, limit int) (way []string, more bool, err error) {
	if err := r.sync(); err != nil {
		return nil, false, err
	}
	deps, err = latest(deps, func(id string) (revision string, err error) {
		_, err = r.c.one(revisedBy, func(s *stmt) error {
			revision = s.ColumnText(0)
			return nil
		}, id)
		return revision, err
	})
	if err != nil {
		return nil, false, err
	}
	from := map[string]string{} // who led to it; also the set of those seen
	var todo []string
	look := func(next, by string) bool {
		if _, seen := from[next]; !seen {
			from[next] = by
			todo = append(todo, next)
		}
		return next == id
	}
	found := false
	for _, d := range deps {
		found = look(d, "") || found
	}
	for n := 0; n < len(todo) && !found; n++ {
		if n >= limit {
			return nil, true, nil
		}
		at := todo[n]
		err := r.c.each("SELECT depends_on FROM deps WHERE job = (SELECT seq FROM jobs WHERE id = ?) ORDER BY depends_on LIMIT ?",
			func(s *stmt) error {
				found = look(s.ColumnText(0), at) || found
				return nil
			}, at, limit)
		if err != nil {
			return nil, false, err
		}
	}
	if !found {
		return nil, false, nil
	}
	way = []string{id}
	for at := from[id]; at != ""; at = from[at] {
		way = append([]string{at}, way...)
	}
	return append([]string{id}, way...), false, nil
}
