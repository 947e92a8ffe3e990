// Package index is the SQLite index of a workspace: which jobs there are, in what state, and which of them may be taken
// next. It follows from the ledger: it changes only by applying events, and one function, Tx.Apply, applies them, live,
// in recovery and in a rebuild.
//
// The write path of a batch is Begin, Apply for each event, Flush, then the ledger is appended to and synced, then SetPosition
// and Commit. An index may be behind its ledger, and catches up; it must not be ahead of it. So Commit comes last, and needs
// no sync of its own; and what the index does not take never gets into the ledger.
package index

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"

	"github.com/ncruces/go-sqlite3"
)

// DB is an open index. Its methods may be called from several goroutines; each transaction has a connection of its own.
type DB struct {
	path string
	file fs.FileInfo // of all connections

	mu    sync.Mutex
	idle  []*conn
	all   map[*conn]bool
	shut  bool
	cache *rowCache // of the last write transaction, valid while nobody else writes
}

// Open opens the database at path, and makes an empty one where there is none. The caller holds the lock of the workspace.
// It returns a *SchemaError where the file was made by another version and a *GarbageError where it is not a database.
func Open(path string) (*DB, error) {
	if _, err := os.Lstat(path); path != "" && errors.Is(err, fs.ErrNotExist) {
		// Somebody deleted the database and left these. Whoever has them open keeps them; a new database needs new ones.
		for _, ext := range []string{"-wal", "-shm"} {
			if err := os.Remove(path + ext); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
		}
	}
	return open(path, sqlite3.OPEN_READWRITE|sqlite3.OPEN_CREATE)
}

// OpenExisting is Open for a database that has to be there: the error satisfies fs.ErrNotExist where it is not. It needs no
// lock.
func OpenExisting(path string) (*DB, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	return open(path, sqlite3.OPEN_READWRITE)
}

func open(path string, flags sqlite3.OpenFlag) (*DB, error) {
	c, err := openConn(path, flags)
	if err != nil {
		return nil, err
	}
	db := &DB{path: path, idle: []*conn{c}, all: map[*conn]bool{c: true}}
	if path == "" {
		return db, nil
	}
	if db.file, err = c.file(); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return db, nil
}

// Path returns the path that the database was opened by.
func (db *DB) Path() string { return db.path }

// Close closes the database without checkpointing it. There must be no open transaction.
func (db *DB) Close() error {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.shut = true
	if len(db.idle) != len(db.all) {
		return fmt.Errorf("%s: closed during a transaction", db.path)
	}
	var errs []error
	for c := range db.all {
		errs = append(errs, c.close())
	}
	db.idle, db.all = nil, nil
	return errors.Join(errs...)
}

func (db *DB) take() (*conn, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.shut {
		return nil, fmt.Errorf("%s: %w", db.path, fs.ErrClosed)
	}
	if n := len(db.idle); n > 0 {
		c := db.idle[n-1]
		db.idle = db.idle[:n-1]
		return c, nil
	}
	c, err := openConn(db.path, sqlite3.OPEN_READWRITE)
	if err != nil {
		if _, statErr := os.Stat(db.path); db.path != "" && errors.Is(statErr, fs.ErrNotExist) {
			err = &fileError{path: db.path, err: ErrMoved}
		}
		return nil, err
	}
	// It must be the file that the other connections have, not one that has taken its place.
	file, err := c.file()
	if err == nil && !os.SameFile(file, db.file) {
		err = c.describe(ErrMoved)
	}
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	db.all[c] = true
	return c, nil
}

func (db *DB) give(c *conn) {
	c.SetInterrupt(context.Background())
	db.mu.Lock()
	defer db.mu.Unlock()
	if !c.GetAutocommit() { // a transaction could not be ended; the next one has to begin elsewhere
		delete(db.all, c)
		c.close()
		return
	}
	db.idle = append(db.idle, c)
}

// View calls fn with one consistent state of the index, that of the last commit.
func (db *DB) View(ctx context.Context, fn func(*Reader) error) (err error) {
	c, err := db.take()
	if err != nil {
		return err
	}
	defer db.give(c)
	if err := c.Exec("BEGIN"); err != nil {
		return c.describe(err)
	}
	defer func() {
		c.SetInterrupt(context.Background())
		err = errors.Join(err, c.describe(c.Exec("ROLLBACK")))
	}()
	c.SetInterrupt(ctx)
	return fn(&Reader{c: c})
}

// Stale reports whether the file at the path is no longer the one that is open: it was deleted, or another process found it
// unusable and moved it aside. It is to be asked after the lock was taken.
func (db *DB) Stale() (bool, error) {
	c, err := db.take()
	if err != nil {
		return false, err
	}
	defer db.give(c)
	return c.moved()
}

// Checkpoint writes the WAL back into the database, as far as readers in other processes allow, and truncates it where
// they allow that too.
func (db *DB) Checkpoint() error {
	c, err := db.take()
	if err != nil {
		return err
	}
	defer db.give(c)
	// A reader or writer elsewhere must not make a tick wait: what cannot be written back now can be later.
	if err := c.BusyTimeout(0); err != nil {
		return c.describe(err)
	}
	_, _, err = c.WALCheckpoint("main", sqlite3.CHECKPOINT_TRUNCATE)
	if errors.Is(err, sqlite3.BUSY) {
		_, _, err = c.WALCheckpoint("main", sqlite3.CHECKPOINT_PASSIVE)
	}
	if errors.Is(err, sqlite3.BUSY) {
		err = nil
	}
	return c.describe(errors.Join(err, c.BusyTimeout(busyTimeout)))
}

// Check reads every page and reports the first flaw as a *GarbageError. It takes as long as reading the file does.
func (db *DB) Check(ctx context.Context) error {
	return db.View(ctx, func(r *Reader) error {
		_, err := r.c.one("PRAGMA quick_check(1)", func(s *stmt) error {
			if verdict := s.ColumnText(0); verdict != "ok" {
				return &GarbageError{Path: db.path, Err: errors.New(verdict)}
			}
			return nil
		})
		return err
	})
}

// MoveAside renames the database at path, with its WAL and shared memory, to names that end in "." and suffix, and returns
// the new name of the database. The caller holds the lock of the workspace.
func MoveAside(path, suffix string) (string, error) {
	aside := path + "." + suffix
	// The database goes first: SQLite deletes a WAL that it finds beside an empty database, but would replay it into one
	// that lost its newest pages.
	for _, ext := range []string{"", "-wal", "-shm"} {
		err := os.Rename(path+ext, aside+ext)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("%s: cannot be moved aside: %w", path+ext, err)
		}
	}
	return aside, nil
}
