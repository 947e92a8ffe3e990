package index

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3"
)

func TestOpenMakesAndReopens(t *testing.T) {
	f := newFixture(t)
	f.propose("a", nil)
	before := f.digest()
	again, err := Open(f.db.Path())
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	err = again.View(context.Background(), func(r *Reader) error {
		if digest, err := r.Digest(); err != nil || digest != before {
			t.Errorf("another handle sees %s (%v), want %s", digest, err, before)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Check(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestOpenIsFast(t *testing.T) {
	f := newFixture(t)
	f.propose("a", nil)
	best := time.Hour
	for range 20 {
		start := time.Now()
		db, err := Open(f.db.Path())
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		best = min(best, time.Since(start))
	}
	t.Logf("open and close: %v", best)
	if best > 50*time.Millisecond {
		t.Errorf("opening takes %v", best)
	}
}

func TestOpenByManyAtOnce(t *testing.T) {
	path := newFixture(t).db.Path()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			open := Open
			if i%2 == 0 {
				open = OpenExisting
			}
			db, err := open(path)
			if err != nil {
				t.Error(err)
				return
			}
			if err := db.Check(context.Background()); err != nil {
				t.Error(err)
			}
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	run := func(name, sql string) string {
		path := filepath.Join(dir, name)
		c, err := sqlite3.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.Exec(sql); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := func(name string) string {
		path := filepath.Join(dir, name)
		db, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Checkpoint(); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		return path
	}
	newer := good("newer.db")
	run("newer.db", "PRAGMA user_version = 99")
	cut := good("cut.db")
	if err := os.Truncate(cut, 5000); err != nil {
		t.Fatal(err)
	}
	var schema *SchemaError
	if _, err := Open(newer); !errors.As(err, &schema) || schema.Version != 99 || !strings.Contains(err.Error(), newer) {
		t.Errorf("newer schema: %v", err)
	}
	for name, path := range map[string]string{
		"text":        write("text.db", []byte(strings.Repeat("this is not a database\n", 400))),
		"zeros":       write("zeros.db", make([]byte, 8192)),
		"foreign":     run("foreign.db", "CREATE TABLE t (x)"),
		"other app":   run("app.db", "PRAGMA application_id = 1; PRAGMA user_version = 1"),
		"cut in half": cut,
	} {
		db, err := Open(path)
		var garbage *GarbageError
		if !errors.As(err, &garbage) {
			t.Errorf("%s: %v, want a GarbageError", name, err)
		}
		if db != nil {
			db.Close()
		}
	}
	if db, err := Open(write("empty.db", nil)); err != nil {
		t.Errorf("empty file: %v", err)
	} else {
		db.Close()
	}
	if _, err := Open(filepath.Join(dir, "missing", "index.db")); err == nil {
		t.Error("a database in a folder that is not there was opened")
	} else if garbage := (*GarbageError)(nil); errors.As(err, &garbage) {
		t.Errorf("missing folder: %v must not be a GarbageError", err)
	}
}

func TestCheckFindsDamage(t *testing.T) {
	f := newFixture(t)
	for _, id := range []string{"a", "b", "c"} {
		f.propose(id, nil)
	}
	if err := f.db.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "index.db")
	if err := os.WriteFile(path, damaged(t, f.db), 0o644); err != nil {
		t.Fatal(err)
	}
	db, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var garbage *GarbageError
	if err := db.Check(context.Background()); !errors.As(err, &garbage) {
		t.Errorf("got %v, want a GarbageError", err)
	}
}

// damaged is the text of a database with the root page of a table destroyed that opening does not look at. It is closed to
// writers, and its WAL is empty.
func damaged(t *testing.T, db *DB) []byte {
	t.Helper()
	var root, size int64
	err := db.View(context.Background(), func(r *Reader) error {
		_, err := r.c.one("SELECT rootpage, (SELECT page_size FROM pragma_page_size) FROM sqlite_schema WHERE name = 'turns'", func(s *stmt) error {
			root, size = s.ColumnInt64(0), s.ColumnInt64(1)
			return nil
		})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(db.Path())
	if err != nil {
		t.Fatal(err)
	}
	for i := range size {
		text[(root-1)*size+i] = 0x5a
	}
	return text
}

func TestMoveAside(t *testing.T) {
	f := newFixture(t)
	f.propose("a", nil)
	stale, err := f.db.Stale()
	if err != nil || stale {
		t.Fatalf("before: stale %t, %v", stale, err)
	}
	path := f.db.Path()
	aside, err := MoveAside(path, "moved")
	if err != nil {
		t.Fatal(err)
	}
	if stale, err := f.db.Stale(); err != nil || !stale {
		t.Errorf("moved: stale %t, %v", stale, err)
	}
	for _, ext := range []string{"", "-wal", "-shm"} {
		if _, err := os.Lstat(path + ext); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there: %v", path+ext, err)
		}
		if _, err := os.Lstat(aside + ext); err != nil {
			t.Errorf("%v", err)
		}
	}
	fresh, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer fresh.Close()
	if stale, err := f.db.Stale(); err != nil || !stale {
		t.Errorf("replaced: stale %t, %v", stale, err)
	}
	if stale, err := fresh.Stale(); err != nil || stale {
		t.Errorf("the new one: stale %t, %v", stale, err)
	}
	if _, err := MoveAside(filepath.Join(t.TempDir(), "nothing"), "x"); err != nil {
		t.Errorf("nothing to move: %v", err)
	}
}

// A crash in the middle of MoveAside leaves the WAL of the old database beside the path of the new one.
func TestNewDatabaseIgnoresStaleWAL(t *testing.T) {
	path := filepath.Join(t.TempDir(), "index.db")
	old, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, h: newHistory(), db: old}
	f.propose("a", nil)
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path + "-wal")
	if err != nil || info.Size() == 0 {
		t.Fatalf("the WAL must hold the job for this test: %v", err)
	}
	if err := os.Rename(path, path+".moved"); err != nil {
		t.Fatal(err)
	}
	fresh, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer fresh.Close()
	err = fresh.View(context.Background(), func(r *Reader) error {
		exists, err := r.Exists("a")
		if exists {
			t.Error("the WAL of the old database was replayed into the new one")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := fresh.Check(context.Background()); err != nil {
		t.Error(err)
	}
}

// Somebody deletes the database, and only that, while it is open.
func TestDeletedUnderneath(t *testing.T) {
	f := newFixture(t)
	f.propose("a", nil)
	path := f.db.Path()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if stale, err := f.db.Stale(); err != nil || !stale {
		t.Fatalf("stale %t, %v", stale, err)
	}
	if _, err := OpenExisting(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("OpenExisting: %v", err)
	}
	fresh, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	second := &fixture{t: t, h: newHistory(), db: fresh}
	second.propose("b", nil)
	// The old one shows what it showed, and leaves no trace in the new one.
	f.job("a")
	f.read(func(r *Reader) {
		if exists, err := r.Exists("b"); err != nil || exists {
			t.Errorf("b: %t, %v", exists, err)
		}
		// This View has the only connection; another one must not reach the new database.
		err := f.db.View(context.Background(), func(*Reader) error { return nil })
		if !errors.Is(err, ErrMoved) {
			t.Errorf("a second connection: %v", err)
		}
	})
	f.propose("c", nil)
	if err := f.db.Checkpoint(); err != nil {
		t.Error(err)
	}
	second.job("b")
	second.propose("d", nil)
	if err := fresh.Check(context.Background()); err != nil {
		t.Error(err)
	}
	if err := fresh.Close(); err != nil {
		t.Error(err)
	}
	if fresh, err = Open(path); err != nil {
		t.Fatal(err)
	}
	second.db = fresh
	second.job("d")
	if err := fresh.Close(); err != nil {
		t.Error(err)
	}
}
