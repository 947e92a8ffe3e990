package index

import (
	"context"
	"errors"
	"fmt"

	"github.com/sheratan/sheratan/runtime/ledger"
)

// Tailer reads the ledger; *ledger.Log is one.
type Tailer interface {
	Tail(ledger.Position, func(*ledger.Event, []byte, ledger.Position) error) (ledger.Position, *ledger.TornTail, error)
}

// tables lists what follows from the events, in the order in which it is dumped. Each is sorted by its primary key.
var tables = []struct{ name, columns, key string }{
	{"jobs", allColumns, "seq"},
	{"deps", "job, depends_on, done", "job, depends_on"},
	{"keys", "source, key, holder", "source, key"},
	{"hosts", "id, status, capabilities, max_concurrent, updated_at", "id"}, // not last_heartbeat, which is no event
	{"rate_limits", "source, max_jobs_per_minute, max_concurrent_jobs, configured, current_count, window_start", "source"},
	{"paused", "source, reason, kill, since", "source"},
	{"counts", "bucket, source, inbox, ready, in_flight, pending, throttled, running, completed, failed, quarantined, cancelled",
		"bucket, source"},
	{"ledger_events", "seq, job, v, event, timestamp, actor, job_id, trace_id, zone, id, artifact_path, artifact_sha256, prev, meta",
		"seq"},
	{"position", "position", "one"},
}

// CatchUp applies what the ledger has and the index has not, and sets the position. progress is called now and then with the
// number of events applied; it may be nil. A torn tail is the caller's to move aside, and to record.
func (tx *Tx) CatchUp(log Tailer, docs DocReader, progress func(int64)) (ledger.Position, *ledger.TornTail, error) {
	return tx.replay(log, docs, -1, progress)
}

// Rebuild empties the index and fills it again from the ledger. The database stays the same file: a new one in its place
// would have the WAL of the old one replayed into it.
func (tx *Tx) Rebuild(log Tailer, docs DocReader, progress func(int64)) (ledger.Position, *ledger.TornTail, error) {
	for _, table := range tables {
		if err := tx.c.run("DELETE FROM " + table.name); err != nil {
			return ledger.Position{}, nil, tx.fail(err)
		}
	}
	tx.forget()
	tx.dirty, tx.tallies, tx.position, tx.applied = nil, map[population]*tally{}, "", true
	return tx.replay(log, docs, -1, progress)
}

var errEnough = errors.New("enough events")

// replay applies the events behind the position, up to size of them in the ledger; -1 is all.
func (tx *Tx) replay(log Tailer, docs DocReader, size int64, progress func(int64)) (ledger.Position, *ledger.TornTail, error) {
	from, err := tx.Position()
	if err != nil {
		return from, nil, err
	}
	at := from
	if size == from.Size {
		return from, nil, nil
	}
	_, torn, err := log.Tail(from, func(ev *ledger.Event, _ []byte, next ledger.Position) error {
		if err := tx.Apply(ev, docs); err != nil {
			return err
		}
		at = next
		if progress != nil && next.Size%4096 == 0 {
			progress(next.Size - from.Size)
		}
		if next.Size == size {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return from, nil, err
	}
	if progress != nil {
		progress(at.Size - from.Size)
	}
	return at, torn, tx.SetPosition(at)
}

// CheckRebuild builds a second index from the ledger, as far as this one knows it, and returns up to limit rows in which the two
// differ. It needs no lock, and disk space for the second index in the system's temporary folder while it works.
func (db *DB) CheckRebuild(ctx context.Context, log Tailer, docs DocReader, limit int, progress func(int64)) (diffs []Difference, err error) {
	fresh, err := openScratch()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, fresh.Close()) }()
	err = db.View(ctx, func(got *Reader) error {
		position, err := got.Position()
		if err != nil {
			return err
		}
		tx, err := fresh.Begin(ctx)
		if err != nil {
			return err
		}
		end, _, err := tx.replay(log, docs, position.Size, progress)
		if err != nil {
			return errors.Join(err, tx.Rollback())
		}
		if end.Size < position.Size {
			return errors.Join(fmt.Errorf("the index knows %d events, and the ledger has %d", position.Size, end.Size), tx.Rollback())
		}
		if err := tx.Commit(); err != nil {
			return err
		}
		return fresh.View(ctx, func(want *Reader) (err error) {
			diffs, err = Compare(want, got, limit)
			return err
		})
	})
	return diffs, err
}

// openScratch opens an index that is nobody else's, in a file without a name that is gone when it is closed.
func openScratch() (*DB, error) { return Open("") }
