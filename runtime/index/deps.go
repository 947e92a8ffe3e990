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

// addDeps records what a new job depends on and fills in what follows from that. deps is sorted.
func (tx *Tx) addDeps(row *Row, deps []string) error {
	for _, id := range deps {
		follows, on, err := tx.standing(id)
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
		err = tx.c.run("INSERT INTO deps (job, depends_on, follows, done) VALUES (?, ?, ?, ?)", row.Seq, id, follows, state == fulfilled)
		if err != nil {
			return fmt.Errorf("job %s: dependency on %s: %w", row.ID, id, err)
		}
	}
	return nil
}

// revisions bounds how long a chain of revisions is followed.
const revisions = 1000

// standing returns the job that stands for id: itself, or where it was revised, the last revision of it that is known by name.
// The job is nil where it was not received yet.
func (tx *Tx) standing(id string) (string, *entry, error) {
	for n := 0; ; n++ {
		e, err := tx.load(id)
		if err != nil || e == nil || e.row.RevisedBy == "" || n == revisions {
			return id, e, err
		}
		id = e.row.RevisedBy
	}
}

const (
	fulfilDeps = "UPDATE deps SET done = 1 WHERE follows = ?"
	// countDeps and findBroken say what deps_left and dep_failed are, for those who depend on a job whose status changed.
	countDeps = `UPDATE jobs SET deps_left = (SELECT count(*) FROM deps WHERE job = jobs.seq AND done = 0)
  WHERE seq IN (SELECT job FROM deps WHERE follows = ?)`
	findBroken = `UPDATE jobs SET dep_failed = coalesce((SELECT min(d.depends_on) FROM deps AS d CROSS JOIN jobs AS j
      WHERE d.job = jobs.seq AND j.id = d.follows AND j.status IN ('failed', 'cancelled')), '')
  WHERE seq IN (SELECT job FROM deps WHERE follows = ?)`
	followDeps = `UPDATE deps SET follows = ?2, done = EXISTS (SELECT 1 FROM jobs WHERE id = ?2 AND status = 'completed')
  WHERE follows = ?1`
)

// settle tells those who depend on a job that its status changed. It takes time in proportion to their number, once, some
// microseconds each.
func (tx *Tx) settle(row *Row) error {
	waiting, err := tx.c.one(existsFollower, func(*stmt) error { return nil }, row.ID)
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

const existsFollower = "SELECT 1 FROM deps WHERE follows = ? LIMIT 1"

// follow makes those who depend on a job depend on its revision.
func (tx *Tx) follow(id, revision string) error {
	waiting, err := tx.c.one(existsFollower, func(*stmt) error { return nil }, id)
	if err != nil || !waiting || id == revision {
		return err
	}
	if err := tx.flushRows(); err != nil {
		return err
	}
	err = tx.c.run(followDeps, id, revision)
	for _, sql := range []string{countDeps, findBroken} {
		if err == nil {
			err = tx.c.run(sql, revision)
		}
	}
	if err != nil {
		return fmt.Errorf("job %s: those who depend on it, for %s: %w", id, revision, err)
	}
	tx.forget()
	return nil
}

// Dependency is one entry of depends_on.
type Dependency struct {
	ID      string
	Follows string // the job that stands for it: itself, or its last revision
	Exists  bool   // that one does
	Status  job.Status
}

// DependsOn returns what a job depends on, in the order of the ids.
func (r *Reader) DependsOn(id string) ([]Dependency, error) {
	if err := r.sync(); err != nil {
		return nil, err
	}
	var deps []Dependency
	err := r.c.each(`SELECT d.depends_on, d.follows, coalesce(j.status, '') FROM deps AS d LEFT JOIN jobs AS j ON j.id = d.follows
  WHERE d.job = (SELECT seq FROM jobs WHERE id = ?) ORDER BY d.depends_on`, func(s *stmt) error {
		status := job.Status(s.ColumnText(2))
		deps = append(deps, Dependency{ID: s.ColumnText(0), Follows: s.ColumnText(1), Exists: status != "", Status: status})
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

// Dependents returns up to limit jobs that depend on id or on what it is the last revision of, in the order of arrival.
func (r *Reader) Dependents(id string, limit int) ([]Row, error) {
	if err := r.sync(); err != nil {
		return nil, err
	}
	return r.c.rows(selectRows+"WHERE seq IN (SELECT job FROM deps WHERE follows = ? ORDER BY job LIMIT ?) ORDER BY seq", id, limit)
}

// CountDependents returns how many jobs depend on one, or on what it is the last revision of.
func (r *Reader) CountDependents(id string) (n int, err error) {
	if err := r.sync(); err != nil {
		return 0, err
	}
	_, err = r.c.one("SELECT count(DISTINCT job) FROM deps WHERE follows = ?", func(s *stmt) error {
		n = s.ColumnInt(0)
		return nil
	}, id)
	return n, err
}
