package index

import "time"

// wakeable finds the jobs that only an event keeps from being ready. As all queries below it names its index, which has the same
// condition word for word: without statistics SQLite may prefer one that takes it through all pending jobs.
const wakeable = "INDEXED BY jobs_wake WHERE ready = 0 AND deps_left = 0 AND host = '' AND joined_to = '' AND zone = 'approved' " +
	"AND status = 'pending'"

// Due returns up to limit jobs that wait for nothing any more, but perhaps for a rate window: their dependencies are completed,
// and the time of their retry has come. The earliest are first. An event has to make them ready, or throttle them.
func (r *Reader) Due(now time.Time, limit int) ([]Row, error) {
	if err := r.sync(); err != nil {
		return nil, err
	}
	return r.c.rows(selectRows+wakeable+" AND wake_at <= ? ORDER BY wake_at, seq LIMIT ?", now, limit)
}

// NextWake returns the time at which the first job will be due, and whether there is one. The zero time is now.
func (r *Reader) NextWake() (at time.Time, found bool, err error) {
	if err := r.sync(); err != nil {
		return at, false, err
	}
	found, err = r.c.one("SELECT wake_at FROM jobs "+wakeable+" ORDER BY wake_at LIMIT 1", func(s *stmt) error {
		at = fromMicros(s.ColumnInt64(0))
		return nil
	})
	if err != nil {
		return at, false, err
	}
	opens, throttled, err := r.WindowOpens()
	if throttled && (!found || opens.Before(at)) {
		at, found = opens, true
	}
	return at, found, err
}

// DepFailed returns up to limit approved jobs that wait for one that failed or was cancelled: DepFailed of the row.
func (r *Reader) DepFailed(limit int) ([]Row, error) {
	if err := r.sync(); err != nil {
		return nil, err
	}
	return r.c.rows(selectRows+`INDEXED BY jobs_dep_failed
  WHERE dep_failed <> '' AND host = '' AND zone = 'approved' AND status IN ('pending', 'throttled') ORDER BY seq LIMIT ?`, limit)
}

// Joined returns up to limit jobs that share the end of id and have not ended.
func (r *Reader) Joined(id string, limit int) ([]Row, error) {
	if err := r.sync(); err != nil {
		return nil, err
	}
	return r.c.rows(selectRows+`INDEXED BY jobs_joined
  WHERE joined_to = ? AND joined_to <> '' AND status IN ('pending', 'throttled') ORDER BY seq LIMIT ?`, id, limit)
}

// JoinedToEnded returns up to limit jobs that share the end of one that is over, and have not ended: a crash lost the end of the
// batch that ended it. It looks at every job that shares the end of another.
func (r *Reader) JoinedToEnded(limit int) ([]Row, error) {
	if err := r.sync(); err != nil {
		return nil, err
	}
	return r.c.rows(selectRows+`INDEXED BY jobs_joined
  WHERE joined_to <> '' AND status IN ('pending', 'throttled') AND EXISTS (SELECT 1 FROM jobs AS holder
    WHERE holder.id = jobs.joined_to AND holder.status IN ('completed', 'failed', 'cancelled')) ORDER BY seq LIMIT ?`, limit)
}

// Leased returns the jobs that a host holds, "" being any host, in the order in which their leases end.
func (r *Reader) Leased(host string) ([]Row, error) {
	if err := r.sync(); err != nil {
		return nil, err
	}
	if host == "" {
		return r.c.rows(selectRows + "INDEXED BY jobs_lease WHERE host <> '' ORDER BY lease_until, seq")
	}
	return r.c.rows(selectRows+"INDEXED BY jobs_lease WHERE host <> '' AND host = ? ORDER BY lease_until, seq", host)
}

// ExpiredLeases returns the jobs whose lease has ended at now, in the order in which they did.
func (r *Reader) ExpiredLeases(now time.Time) ([]Row, error) {
	if err := r.sync(); err != nil {
		return nil, err
	}
	return r.c.rows(selectRows+"INDEXED BY jobs_lease WHERE host <> '' AND lease_until <= ? ORDER BY lease_until, seq", now)
}

// Inbox returns up to limit jobs that were received and not gated, in the order of arrival: a batch can end after
// PROPOSAL_RECEIVED, and a retry of a job that was never approved begins there.
func (r *Reader) Inbox(limit int) ([]Row, error) {
	if err := r.sync(); err != nil {
		return nil, err
	}
	return r.c.rows(selectRows+"INDEXED BY jobs_inbox WHERE zone = 'inbox' ORDER BY seq LIMIT ?", limit)
}

// Awaiting returns up to limit blocked jobs whose next action is this one, or any where it is "", that arrived after the
// job numbered after (-1 for the beginning), in the order of arrival.
func (r *Reader) Awaiting(nextAction string, after int64, limit int) ([]Row, error) {
	if err := r.sync(); err != nil {
		return nil, err
	}
	if nextAction == "" {
		return r.c.rows(selectRows+"WHERE status = 'quarantined' AND seq > ? ORDER BY seq LIMIT ?", after, limit)
	}
	return r.c.rows(selectRows+"INDEXED BY jobs_blocked WHERE zone = 'blocked' AND next_action = ? AND seq > ? ORDER BY seq LIMIT ?",
		nextAction, after, limit)
}
