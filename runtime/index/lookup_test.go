package index

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"testing"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/ledger"
)

func TestLookup(t *testing.T) {
	f := newFixture(t)
	waking := func(want bool) {
		t.Helper()
		f.read(func(r *Reader) {
			if is, err := r.Waking(epoch); err != nil || is != want {
				t.Errorf("waking: %t, %v", is, err)
			}
		})
	}
	f.propose("b", func(m *ledger.Received) { m.Line = 3 })
	f.propose("a", func(m *ledger.Received) { m.Line = 2 }, "b")
	waking(false)
	f.event(job.Paused, "", ledger.PausedMeta{})
	f.approve("b", false)
	waking(true)
	f.event(job.JobCancelled, "b", ledger.Cancelled{})
	waking(false)
	f.approve("a", false)
	waking(true) // to be failed
	f.read(func(r *Reader) {
		for bounds, want := range map[[2]int64][]string{{0, 9}: {"b", "a"}, {1, 3}: {"a"}, {2, 3}: nil, {2, 6}: {"b", "a"}} {
			if ids, err := r.JobsOfEvents(bounds[0], bounds[1]); err != nil || !slices.Equal(ids, want) {
				t.Errorf("jobs of events %v: %v, %v; want %v", bounds, ids, err, want)
			}
		}
		if ev, found, err := r.Event(2); err != nil || !found || ev.Event != job.Paused {
			t.Errorf("event 2: %+v, %t, %v", ev, found, err)
		}
		if _, found, err := r.Event(99); err != nil || found {
			t.Errorf("event 99: %t, %v", found, err)
		}
		if line, err := r.LastLine("token"); err != nil || line != 3 {
			t.Errorf("last line: %d, %v", line, err)
		}
		if line, err := r.LastLine("other"); err != nil || line != 0 {
			t.Errorf("last line of nothing: %d, %v", line, err)
		}
	})
}

func TestOpenExisting(t *testing.T) {
	path := filepath.Join(t.TempDir(), "index.db")
	if _, err := OpenExisting(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
	for range 2 {
		db, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	db, err := OpenExisting(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}
