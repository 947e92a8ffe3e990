package index

import (
	"context"
	"errors"
	"fmt"

	"github.com/sheratan/sheratan/runtime/ledger"
)

// Tailer reads the end of the ledger, for one who holds the lock of the workspace; *ledger.Log is one.
type Tailer interface {
	Tail(ledger.Position, func(*ledger.Event, []byte, ledger.Position) error) (ledger.Position, *ledger.TornTail, error)
}

// Scanner reads the ledger, for anybody; *ledger.Log is one.
type Scanner interface {
	Scan(from int64, fn func(*ledger.Event, []byte) error) error
}

// tables lists what follows from the events, in the order in which it is dumped. Each is sorted by its primary key.
var tables = []struct{ name, columns, key string }{
	{"jobs", allColumns, "seq"},
	{"deps", "job, depends_on, follows, done", "job, depends_on"},
	{"keys", "source, key, holder", "source, key"},
	{"hosts", "id, status, capabilities, max_concurrent, updated_at", "id"}, // not last_heartbeat, which is no event
	{"rate_limits", "source, max_jobs_per_minute, max_concurrent_jobs, configured, current_count, window_start", "source"},
	{"lanes", "source, concurrency_key, holding, waiting", "source, concurrency_key"},
	{"retries", "bucket, current_count, window_start", "bucket"},
	{"turns", "bucket, source, served", "bucket, source"},
	{"paused", "source, reason, kill, since", "source"},
	{"counts", "bucket, source, inbox, ready, in_flight, dispatched, pending, throttled, running, completed, failed, quarantined, cancelled",
		"bucket, source"},
	{"families", "family, id, jobs", "family, id"},
	{"kept", "seq, job_id, ended_at, bytes", "seq"},
	{"missions", "id, seq, source, title, submitted_at, doc_path, doc_offset, doc_bytes, doc_sha256, tasks, follow_ups, goal, goal_reason, max_concurrent, budget_jobs, " +
		"budget_retries, budget_ms, cancelled, stop, base_jobs, base_retries, base_ms, started, retries, run_ms, ready, in_flight, waiting, " +
		"fresh, pending, throttled, running, completed, failed, quarantined, cancelled_jobs", "id"},
	{"audits", "job, attempts, due, asked_until, request, auditor, decision, report_path, report_offset, report_bytes, report_sha256", "job"},
	{"mission_tasks", "mission, place, task, job, proposal_sha256", "mission, place"},
	{eventTable, eventColumns, "seq"},
	{"position", "position", "one"},
}

// progressEvery is how many events are applied between two calls of a progress function.
const progressEvery = 4096

// CatchUp applies what the ledger has and the index has not, and sets the position, which it returns. progress is called
// now and then with the number of events applied; it may be nil. A torn tail is the caller's to move aside, and to record.
func (tx *Tx) CatchUp(log Tailer, docs DocReader, progress func(int64)) (ledger.Position, *ledger.TornTail, error) {
	from, err := tx.Position()
	if err != nil {
		return from, nil, err
	}
	at := from
	_, torn, err := log.Tail(from, func(ev *ledger.Event, _ []byte, next ledger.Position) error {
		at = next
		if progress != nil && (next.Size-from.Size)%progressEvery == 0 {
			progress(next.Size - from.Size)
		}
		return tx.Apply(ev, docs)
	})
	if err != nil {
		return from, nil, err
	}
	if progress != nil {
		progress(at.Size - from.Size)
	}
	return at, torn, tx.SetPosition(at)
}

// Rebuild empties the index and fills it again from the ledger. The database stays the same file: a new one in its place
// would have the WAL of the old one replayed into it.
func (tx *Tx) Rebuild(log Tailer, docs DocReader, progress func(int64)) (ledger.Position, *ledger.TornTail, error) {
	for _, table := range tables {
		if err := tx.c.run("DELETE FROM " + table.name); err != nil {
			return ledger.Position{}, nil, err
		}
	}
	tx.forget()
	tx.dirty, tx.tallies, tx.position, tx.applied = nil, map[population]*tally{}, "", true
	tx.members = map[string]*memberTally{}
	return tx.CatchUp(log, docs, progress)
}

// CheckProgress is told now and then how far CheckRebuild has come. What is nil is not called.
type CheckProgress struct {
	Applied  func(events int64)
	Compared func(rows int64)
}

// CheckRebuild builds a second index from the ledger, as far as this one knows it, and returns up to limit rows in which
// this one differs from it. It needs no lock. While it works, the second index takes as much room in the system's temporary
// folder as the first one has.
func (db *DB) CheckRebuild(ctx context.Context, log Scanner, docs DocReader, limit int, progress CheckProgress) (diffs []Difference,
	err error) {
	second, err := openScratch()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(describe(db.path, err), second.Close()) }()
	err = db.View(ctx, func(got *Reader) error {
		if err := second.View(ctx, func(want *Reader) (err error) {
			diffs, err = compareSchemas(want, got)
			return err
		}); err != nil || len(diffs) > 0 {
			return err
		}
		position, err := got.Position()
		if err != nil {
			return err
		}
		if err := second.dropQuestions(ctx); err != nil {
			return err
		}
		tx, err := second.Begin(ctx)
		if err != nil {
			return err
		}
		if tx.events, err = newEventComparer(got, limit); err != nil {
			return errors.Join(err, tx.Rollback())
		}
		err = tx.rescan(log, docs, position, progress.Applied)
		if err := errors.Join(err, tx.events.end()); err != nil {
			return errors.Join(err, tx.Rollback())
		}
		if err := tx.Commit(); err != nil {
			return err
		}
		return second.View(ctx, func(want *Reader) (err error) {
			diffs, err = compareTables(want, got, tx.events.diffs, limit, progress.Compared)
			return err
		})
	})
	return diffs, err
}

// rescan fills an empty index with the events before end.
func (tx *Tx) rescan(log Scanner, docs DocReader, end ledger.Position, progress func(int64)) error {
	var at ledger.Position
	err := log.Scan(0, func(ev *ledger.Event, line []byte) error {
		if at.Size == end.Size {
			return ledger.ErrStop
		}
		at = at.Next(line)
		if progress != nil && at.Size%progressEvery == 0 {
			progress(at.Size)
		}
		return tx.Apply(ev, docs)
	})
	if err != nil {
		return err
	}
	if at.Size < end.Size {
		return fmt.Errorf("the index knows %d events, and the ledger has %d", end.Size, at.Size)
	}
	if at.Root() == end.Root() {
		at = end // a scan does not tell where segments begin
	}
	return tx.SetPosition(at)
}

// dropQuestions drops the indexes of an index in which nobody will look for anything: Apply finds jobs by id and by number. To keep
// them up to date would cost as much as the rows do.
func (db *DB) dropQuestions(ctx context.Context) error {
	var names []string
	if err := db.View(ctx, func(r *Reader) error {
		return r.c.each("SELECT name FROM sqlite_schema WHERE type = 'index' AND sql <> '' AND name <> 'deps_follows'", func(s *stmt) error {
			names = append(names, s.ColumnText(0))
			return nil
		})
	}); err != nil {
		return err
	}
	c, err := db.take()
	if err != nil {
		return err
	}
	defer db.give(c)
	for _, name := range names {
		if err := c.Exec("DROP INDEX " + name); err != nil {
			return c.describe(err)
		}
	}
	return nil
}

// openScratch opens an index that is nobody else's, in a file without a name that is gone when it is closed.
func openScratch() (*DB, error) { return Open("") }
