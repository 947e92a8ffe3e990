package index

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/vfs"
)

//go:embed schema.sql
var schemaSQL string

const (
	// SchemaVersion is the user_version of the databases that this package makes and takes.
	SchemaVersion = 7
	// applicationID marks the file as an index of ours: "SHRT".
	applicationID = 0x53485254

	busyTimeout = 10 * time.Second
	// cacheKiB holds what a batch of 1,000 jobs touches, so that nothing is written before it is committed.
	cacheKiB = 32 << 10
	// checkpointPages is the length of the WAL, in pages of 4 KiB, at which a commit checkpoints by itself, for those who
	// never call Checkpoint.
	checkpointPages = 16 << 10
)

// conn is one connection with its prepared statements. It is used by one goroutine at a time.
type conn struct {
	*sqlite3.Conn
	path  string
	stmts map[string]*stmt
}

// openConn opens the database at path. flags are OPEN_READWRITE, and OPEN_CREATE to make it where there is none.
func openConn(path string, flags sqlite3.OpenFlag) (*conn, error) {
	raw, err := sqlite3.OpenFlags(path, flags)
	if flags&sqlite3.OPEN_CREATE != 0 && errors.Is(err, fs.ErrNotExist) {
		if _, dirErr := os.Stat(filepath.Dir(path)); dirErr == nil {
			return nil, &fileError{path: path, err: ErrMoved} // deleted between being made and being looked at
		}
	}
	if err != nil {
		return nil, describe(path, err)
	}
	c := &conn{Conn: raw, path: path, stmts: map[string]*stmt{}}
	err = c.setUp()
	if err == nil && path != "" {
		// Database and WAL were opened by name, one after the other. They must be of the same index.
		var moved bool
		if moved, err = c.moved(); moved {
			err = ErrMoved
		}
	}
	if err != nil {
		return nil, errors.Join(c.describe(err), c.close())
	}
	return c, nil
}

// file returns what is known of the file that is open, wherever it is by now.
func (c *conn) file() (fs.FileInfo, error) {
	f, err := c.FileControl("main", sqlite3.FCNTL_FILE_POINTER)
	for err == nil {
		if file, ok := f.(interface{ Stat() (fs.FileInfo, error) }); ok {
			return file.Stat()
		}
		wrapped, ok := f.(vfs.FileUnwrap)
		if !ok {
			return nil, fmt.Errorf("%s: cannot tell which file it is", c.path)
		}
		f = wrapped.Unwrap()
	}
	return nil, c.describe(err)
}

// moved reports whether the file that is open is not the one at the path any more.
func (c *conn) moved() (bool, error) {
	open, err := c.file()
	if err != nil {
		return false, err
	}
	there, err := os.Stat(c.path)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	return err == nil && !os.SameFile(open, there), err
}

// describe names the database in an error of SQLite; an interrupt becomes what interrupted.
func (c *conn) describe(err error) error {
	if errors.Is(err, sqlite3.INTERRUPT) {
		if cause := c.GetInterrupt().Err(); cause != nil {
			return &fileError{path: c.path, err: cause}
		}
	}
	return describe(c.path, err)
}

func (c *conn) setUp() error {
	if err := c.BusyTimeout(busyTimeout); err != nil {
		return err
	}
	// A short command leaves the WAL to a tick: writing it back and deleting it would cost more than the command does. The
	// file without a name of openScratch has none.
	if c.path != "" {
		if _, err := c.FileControl("main", sqlite3.FCNTL_PERSIST_WAL, true); err != nil {
			return err
		}
	}
	if _, err := c.Config(sqlite3.DBCONFIG_NO_CKPT_ON_CLOSE, true); err != nil {
		return err
	}
	version, err := c.versionNow()
	if err == nil && version == 0 {
		if err = c.create(); err == nil {
			version, err = c.versionNow()
		}
	}
	if err != nil {
		return err
	}
	if version != SchemaVersion {
		return &SchemaError{Path: c.path, Version: version}
	}
	// NORMAL syncs at checkpoints only. After a power loss the last transactions may be missing, which the ledger makes good;
	// with OFF a checkpoint could reach the disk in part and leave a database that is broken without showing it.
	err = c.Exec(fmt.Sprintf("PRAGMA synchronous = NORMAL; PRAGMA cache_size = -%d", cacheKiB))
	if err != nil {
		return err
	}
	return c.WALAutoCheckpoint(checkpointPages)
}

// versionNow is version outside of a transaction. It takes one, or else could see half of what create does elsewhere.
func (c *conn) versionNow() (int, error) {
	if err := c.Exec("BEGIN"); err != nil {
		return 0, err
	}
	version, err := c.version()
	return version, errors.Join(err, c.Exec("ROLLBACK"))
}

// version reads the version of the schema, 0 where there is none. It reads the first page, and the index of the WAL: what is not
// a database or has no room for its pages fails here. That every page makes sense is for Check to find out.
func (c *conn) version() (int, error) {
	id, err := c.pragma("application_id")
	if err != nil {
		return 0, err
	}
	version, err := c.pragma("user_version")
	if err != nil {
		return 0, err
	}
	if id != applicationID && (id != 0 || version != 0) {
		return 0, errForeign
	}
	return version, nil
}

func (c *conn) pragma(name string) (n int, err error) {
	s, _, err := c.Conn.Prepare("PRAGMA " + name)
	if err != nil {
		return 0, err
	}
	if s.Step() {
		n = s.ColumnInt(0)
	}
	return n, errors.Join(s.Err(), s.Close())
}

// create fills an empty database with the schema. Somebody else may be doing the same.
func (c *conn) create() (err error) {
	if err := c.Exec("PRAGMA journal_mode = WAL"); err != nil {
		return err
	}
	if err := c.Exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Exec("ROLLBACK"))
		}
	}()
	if version, err := c.version(); err != nil || version != 0 {
		return errors.Join(err, c.Exec("COMMIT"))
	}
	if n, err := c.pragma("page_count"); err != nil {
		return err
	} else if n > 1 {
		return errForeign // tables of somebody else
	}
	if err := c.Exec(schemaSQL); err != nil {
		return err
	}
	return c.Exec(fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT", applicationID, SchemaVersion))
}

// prepare returns the statement for sql, compiled once.
func (c *conn) prepare(sql string) (*stmt, error) {
	if s := c.stmts[sql]; s != nil {
		return s, nil
	}
	raw, tail, err := c.Conn.PrepareFlags(sql, sqlite3.PREPARE_PERSISTENT)
	if err != nil {
		return nil, c.describe(fmt.Errorf("%s: %w", firstLine(sql), err))
	}
	if strings.TrimSpace(tail) != "" {
		raw.Close()
		return nil, fmt.Errorf("%s: more than one statement", firstLine(sql))
	}
	s := &stmt{Stmt: raw, bound: make([]bound, raw.BindCount()), raw: make([]any, raw.ColumnCount())}
	c.stmts[sql] = s
	return s, nil
}

func firstLine(sql string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(sql), "\n")
	return line
}

// run executes a statement that gives no rows.
func (c *conn) run(sql string, values ...any) error {
	s, err := c.prepare(sql)
	if err != nil {
		return err
	}
	return c.describe(s.run(values...))
}

// each calls fn for each row of a query.
func (c *conn) each(sql string, fn func(*stmt) error, values ...any) error {
	s, err := c.prepare(sql)
	if err != nil {
		return err
	}
	return c.describe(s.each(func() error { return fn(s) }, values...))
}

// one calls fn for the first row of a query, and reports whether there is one.
func (c *conn) one(sql string, fn func(*stmt) error, values ...any) (bool, error) {
	s, err := c.prepare(sql)
	if err != nil {
		return false, err
	}
	found, err := s.one(func() error { return fn(s) }, values...)
	return found, c.describe(err)
}

// rows returns the jobs that a query for all columns of jobs gives.
func (c *conn) rows(sql string, values ...any) ([]Row, error) {
	var rows []Row
	err := c.each(sql, func(s *stmt) error {
		rows = append(rows, Row{})
		return s.scan(&rows[len(rows)-1])
	}, values...)
	return rows, err
}

func (c *conn) close() error {
	for _, s := range c.stmts {
		s.Close()
	}
	c.stmts = nil
	return c.Conn.Close()
}
