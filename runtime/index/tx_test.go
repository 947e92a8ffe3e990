package index

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
)

func TestRollbackLeavesNothing(t *testing.T) {
	f := newFixture(t)
	f.propose("a", nil)
	before := f.digest()
	tx, err := f.db.Begin(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	ev := f.h.make(job.JobApproved, "a", approved(epoch, true), nil)
	if err := tx.Apply(&ev, f.h); err != nil {
		t.Fatal(err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if f.digest() != before {
		t.Error("something was left")
	}
	// The rows in memory must have been dropped as well.
	f.write(func(tx *Tx) {
		if row, _, err := tx.Job("a"); err != nil || row.Ready {
			t.Errorf("ready %t, %v", row.Ready, err)
		}
	})
}

func TestCommitNeedsPosition(t *testing.T) {
	f := newFixture(t)
	tx, err := f.db.Begin(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	ev := f.h.make(job.ProposalReceived, "a", received("agent"), nil)
	if err := tx.Apply(&ev, f.h); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(); err == nil {
		t.Error("events were committed without a position")
	}
	f.read(func(r *Reader) {
		if exists, err := r.Exists("a"); err != nil || exists {
			t.Errorf("exists %t, %v", exists, err)
		}
	})
}

// Two processes have one index open. What one keeps in memory must not hide what the other one wrote.
func TestMemoryIsNotStale(t *testing.T) {
	f := newFixture(t)
	f.propose("a", nil)
	f.approve("a", true) // now f.db keeps the row
	other, err := Open(f.db.Path())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	mine := f.db
	f.db = other
	f.dispatch("a", 1)
	f.db = mine
	f.write(func(tx *Tx) {
		if row, _, err := tx.Job("a"); err != nil || row.Host != "local" {
			t.Errorf("host %q, %v", row.Host, err)
		}
	})
}

func TestInterrupt(t *testing.T) {
	f := newFixture(t)
	f.propose("a", nil)
	ctx, cancel := context.WithCancel(context.Background())
	err := f.db.View(ctx, func(r *Reader) error {
		cancel()
		_, _, err := r.Job("a")
		return err
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that the context was cancelled", err)
	}
	f.job("a") // the connection works on
}

func TestCheckpointDoesNotWaitForReaders(t *testing.T) {
	f := newFixture(t)
	f.propose("a", nil)
	other, err := Open(f.db.Path())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	err = other.View(context.Background(), func(r *Reader) error {
		if _, err := r.Exists("a"); err != nil {
			return err
		}
		f.propose("b", nil)
		start := time.Now()
		if err := f.db.Checkpoint(); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took > busyTimeout/2 {
			t.Errorf("the checkpoint waited %v", took)
		}
		if exists, err := r.Exists("b"); err != nil || exists {
			t.Errorf("a view sees what was committed after it began: %t, %v", exists, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestCloseKeepsWALAndCheckpointEmptiesIt(t *testing.T) {
	f := newFixture(t)
	f.propose("a", nil)
	other, err := Open(f.db.Path())
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	size := func() int64 {
		info, err := os.Stat(f.db.Path() + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	if size() == 0 {
		t.Error("closing wrote the WAL back")
	}
	if err := f.db.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	if size() != 0 {
		t.Errorf("after the checkpoint the WAL has %d bytes", size())
	}
	f.job("a")
}

// Readers see whole transactions, and neither wait for a writer nor make it wait.
func TestViewsBesideAWriter(t *testing.T) {
	f := newFixture(t)
	f.configure(map[string][2]int{"*": {0, 0}})
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	views := make([]int, 3)
	for i := range views {
		wg.Go(func() {
			for ctx.Err() == nil {
				err := f.db.View(context.Background(), func(r *Reader) error {
					counts, err := r.Counts()
					if err != nil {
						return err
					}
					rows, err := r.Claim(1000)
					if err == nil && len(counts) > 0 && (counts[0].Ready != len(rows) || len(rows)%10 != 0) {
						t.Errorf("%d ready, %d claimed", counts[0].Ready, len(rows))
					}
					return err
				})
				if err != nil {
					t.Error(err)
				}
				views[i]++
			}
		})
	}
	for batch := range 20 {
		f.write(func(tx *Tx) {
			for i := range 10 {
				id := fmt.Sprintf("job-%d-%d", batch, i)
				f.apply(tx, job.ProposalReceived, id, received("agent"))
				f.apply(tx, job.JobApproved, id, approved(epoch, true))
			}
		})
	}
	stop()
	wg.Wait()
	for i, n := range views {
		if n == 0 {
			t.Errorf("reader %d never got through", i)
		}
	}
}
