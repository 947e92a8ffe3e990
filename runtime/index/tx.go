package index

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sheratan/sheratan/runtime/ledger"
)

// Tx is a write transaction. What its queries return reflects the events that were applied in it. It keeps the rows that it
// touches in memory and writes each of them once, before a query that could miss it and at Commit: six events of a job
// cost two writes, not six.
type Tx struct {
	*Reader
	db    *DB
	cache *rowCache
	dirty []*entry // to be written, in the order in which they were changed first
	over  []*entry // that were written as over: no event is likely to follow

	tallies map[population]*tally
	members map[string]*memberTally // by mission

	events *eventComparer // that is told the events which would be recorded; nil records them

	applied    bool
	positioned bool
	position   string
	done       bool

	stamp string // the timestamp parsed last, and its time
	at    time.Time
}

// entry is a row in memory.
type entry struct {
	row   Row
	fresh bool // not in the database yet
	dirty bool
}

// rowCache holds rows by id. It stays with the DB after a commit, and is good for the next transaction if the index is at
// the position at which it was left: what the index holds is a function of the position.
type rowCache struct {
	position string
	rows     map[string]*entry
	seqs     map[int64]*entry // the same by number
}

func (c *rowCache) keep(e *entry) { c.rows[e.row.ID], c.seqs[e.row.Seq] = e, e }

// drop forgets a row, where it is the one that is kept.
func (c *rowCache) drop(e *entry) {
	if c.rows[e.row.ID] == e {
		delete(c.rows, e.row.ID)
		delete(c.seqs, e.row.Seq)
	}
}

// cacheRows bounds a rowCache; a row takes about a kilobyte.
const cacheRows = 8192

// Begin starts a write transaction, waiting for another one to end. The caller holds the lock of the workspace, and ends
// the transaction with Commit or Rollback.
func (db *DB) Begin(ctx context.Context) (*Tx, error) {
	c, err := db.take()
	if err != nil {
		return nil, err
	}
	c.SetInterrupt(ctx)
	if err := c.Exec("BEGIN IMMEDIATE"); err != nil {
		err = c.describe(err)
		db.give(c)
		return nil, err
	}
	tx := &Tx{Reader: &Reader{c: c}, db: db, tallies: map[population]*tally{}, members: map[string]*memberTally{}}
	tx.tx = tx
	if tx.position, err = tx.positionText(); err != nil {
		return nil, errors.Join(err, tx.Rollback())
	}
	db.mu.Lock()
	tx.cache, db.cache = db.cache, nil
	db.mu.Unlock()
	if tx.cache == nil || tx.cache.position != tx.position {
		tx.cache = newRowCache()
	}
	return tx, nil
}

func newRowCache() *rowCache { return &rowCache{rows: map[string]*entry{}, seqs: map[int64]*entry{}} }

// SetPosition records how much of the ledger has been applied.
func (tx *Tx) SetPosition(p ledger.Position) error {
	text, err := p.MarshalText()
	if err != nil {
		return err
	}
	tx.position, tx.positioned = string(text), true
	if p.Size == 0 {
		tx.position = "" // as in an index that was just made
		return tx.c.run("DELETE FROM position")
	}
	return tx.c.run("INSERT INTO position (one, position) VALUES (1, ?) ON CONFLICT DO UPDATE SET position = excluded.position",
		tx.position)
}

// Commit makes the transaction visible. It refuses one in which events were applied and no position was set, which would apply
// them a second time.
func (tx *Tx) Commit() error {
	if tx.done {
		return errors.New("index: transaction has ended already")
	}
	if tx.applied && !tx.positioned {
		return errors.Join(fmt.Errorf("%s: events without a position", tx.db.path), tx.Rollback())
	}
	if err := tx.Flush(); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	// From here on it is either done or not; an interrupt would leave the caller in doubt.
	tx.c.SetInterrupt(context.Background())
	if err := tx.c.Exec("COMMIT"); err != nil {
		return errors.Join(tx.fail(err), tx.Rollback())
	}
	tx.cache.position = tx.position
	for _, e := range tx.over {
		tx.cache.drop(e)
	}
	tx.end(tx.cache)
	return nil
}

// Rollback ends the transaction without a trace. After Commit it does nothing.
func (tx *Tx) Rollback() error {
	if tx.done {
		return nil
	}
	tx.c.SetInterrupt(context.Background())
	var err error
	if !tx.c.GetAutocommit() { // SQLite ends a transaction itself where it ran out of disk or memory
		err = tx.c.Exec("ROLLBACK")
	}
	tx.end(nil)
	return tx.fail(err)
}

func (tx *Tx) end(cache *rowCache) {
	tx.done = true
	tx.db.mu.Lock()
	tx.db.cache = cache
	tx.db.mu.Unlock()
	tx.db.give(tx.c)
}

// fail is for errors of statements that the methods of conn did not run.
func (tx *Tx) fail(err error) error { return tx.c.describe(err) }

// load returns the job, or nil where there is none.
func (tx *Tx) load(id string) (*entry, error) {
	if e := tx.cache.rows[id]; e != nil {
		return e, nil
	}
	e := &entry{}
	found, err := tx.c.one(selectByID, func(s *stmt) error { return s.scan(&e.row) }, id)
	if err != nil || !found {
		return nil, err
	}
	tx.cache.keep(e)
	return e, nil
}

// look is load for a question from outside. Between two events nobody has an entry in hand, so that here is where the memory
// can be kept from growing.
func (tx *Tx) look(id string) (*entry, error) {
	if len(tx.cache.rows) > cacheRows {
		if err := tx.flushRows(); err != nil {
			return nil, err
		}
	}
	return tx.load(id)
}

// change puts the new state of a job in place of the old one.
func (tx *Tx) change(e *entry, row *Row) {
	tx.count(&e.row, -1)
	tx.count(row, +1)
	e.row = *row
	tx.touch(e)
}

func (tx *Tx) touch(e *entry) {
	if !e.dirty {
		e.dirty = true
		tx.dirty = append(tx.dirty, e)
	}
}

// Flush writes what is kept in memory into the transaction. Called before the ledger is appended to, it makes sure that the
// database takes the events: a CHECK that failed at Commit would fail for everybody who tried to catch up.
func (tx *Tx) Flush() error { return errors.Join(tx.flushRows(), tx.flushCounts()) }

// flushRows writes the rows that are kept in memory.
func (tx *Tx) flushRows() error {
	for i, e := range tx.dirty {
		if err := tx.write(e); err != nil {
			tx.dirty = tx.dirty[i:]
			return tx.fail(fmt.Errorf("job %s: %w", e.row.ID, err))
		}
		if e.row.Status.Final() {
			tx.over = append(tx.over, e)
		}
	}
	tx.dirty = tx.dirty[:0]
	if len(tx.cache.rows) > cacheRows {
		tx.cache = newRowCache()
	}
	return nil
}

func (tx *Tx) write(e *entry) error {
	sql := updateRow
	if e.fresh {
		sql = insertRow
	}
	s, err := tx.c.prepare(sql)
	if err != nil {
		return err
	}
	s.n, s.err = 0, nil
	if e.fresh {
		e.row.visit(binder{s})
	} else {
		e.row.visitMoving(binder{s})
		s.bindInt(e.row.Seq)
	}
	if s.err != nil {
		return s.err
	}
	if err := s.Exec(); err != nil {
		return err
	}
	e.fresh, e.dirty = false, false
	return nil
}

// forget drops the rows in memory, after a statement changed them in the database. Nothing may be waiting to be written.
func (tx *Tx) forget() { tx.cache = newRowCache() }
