package history

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/sheratan/sheratan/runtime/durable"
)

const helperEnv = "HISTORY_TEST_WRITER"

// TestWriterProcess is one of the processes of TestConcurrentProcesses: 25 times it appends one event under a lock, as the
// write path does, and commits outside of it.
func TestWriterProcess(t *testing.T) {
	dir := os.Getenv(helperEnv)
	if dir == "" {
		t.Skip("run by TestConcurrentProcesses")
	}
	w := &writer{t: t, dir: dir}
	positions := filepath.Join(dir, "positions")
	for range 25 {
		lock, err := durable.Lock(context.Background(), filepath.Join(dir, "append.lock"))
		if err != nil {
			t.Fatal(err)
		}
		var at [2]Position
		if b, err := os.ReadFile(positions); err == nil {
			if err := json.Unmarshal(b, &at); err != nil {
				t.Fatal(err)
			}
		}
		w.ledger, w.documents = at[0], at[1]
		w.add(1)
		b, err := json.Marshal([2]Position{w.ledger, w.documents})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(positions, b, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := lock.Unlock(); err != nil {
			t.Fatal(err)
		}
		c, changed, err := w.try()
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Repairs) > 0 {
			t.Errorf("repairs %v", c.Repairs)
		}
		if changed {
			fmt.Println("made", c.Hash)
		}
	}
}

// Four processes commit at once, while others read the branch all the time: each commit that was acknowledged is in the
// history, and nobody ever sees a broken branch.
func TestConcurrentProcesses(t *testing.T) {
	t.Parallel()
	w := newWriter(t)
	if err := Init(w.dir); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var readers, writers sync.WaitGroup
	reads := 0
	readers.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				reads++
				if _, err := w.open().readRef(); err != nil {
					t.Errorf("reader: %v", err)
					return
				}
			}
		}
	})
	var mu sync.Mutex
	made := map[string]bool{}
	for range 4 {
		writers.Go(func() {
			cmd := exec.Command(os.Args[0], "-test.run=^TestWriterProcess$", "-test.v")
			cmd.Env = append(os.Environ(), helperEnv+"="+w.dir)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Errorf("writer: %v: %s", err, out)
			}
			mu.Lock()
			defer mu.Unlock()
			for line := range strings.Lines(string(out)) {
				if hash, ok := strings.CutPrefix(strings.TrimSpace(line), "made "); ok {
					made[hash] = true
				}
			}
		})
	}
	writers.Wait()
	close(stop)
	readers.Wait()

	log := w.log()
	if len(made) != len(log) || len(made) < 25 {
		t.Errorf("%d commits acknowledged, %d in the history", len(made), len(log))
	}
	for _, hash := range log {
		delete(made, hash)
	}
	if len(made) > 0 {
		t.Errorf("lost: %v", made)
	}
	if head, err := w.open().Head(); err != nil || head.LedgerSize != 100 {
		t.Errorf("head %+v, %v", head, err)
	}
	if reads == 0 {
		t.Error("the reader read nothing")
	}
	w.verify()
}

// One handle serves several goroutines.
func TestConcurrentGoroutines(t *testing.T) {
	t.Parallel()
	w := newWriter(t)
	r := w.open()
	var mu sync.Mutex
	var all sync.WaitGroup
	made := 0
	for range 4 {
		all.Go(func() {
			for range 10 {
				mu.Lock()
				s := w.add(1).snapshot()
				mu.Unlock()
				_, changed, err := r.Commit(context.Background(), s)
				mu.Lock()
				if changed {
					made++
				}
				if err != nil {
					t.Error(err)
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if p, err := r.Committed(); err != nil || p != w.ledger || len(w.log()) != made {
		t.Errorf("committed %+v of %+v in %d of %d commits, %v", p, w.ledger, len(w.log()), made, err)
	}
	w.verify()
}

// A negative control for the reader above: go-git's own way of setting a branch does show it empty.
func TestSetReferenceInPlaceShowsAnEmptyBranch(t *testing.T) {
	if testing.Short() {
		t.Skip("depends on chance")
	}
	t.Parallel()
	w := newWriter(t).add(1)
	w.commit()
	r := w.open()
	stop := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		head, err := r.readRef()
		if err != nil {
			t.Error(err)
			return
		}
		ref := plumbing.NewHashReference(plumbing.ReferenceName(branch), head)
		for {
			select {
			case <-stop:
				return
			default:
				if err := openObjects(r.git).store.CheckAndSetReference(ref, ref); err != nil {
					t.Error(err)
					return
				}
			}
		}
	})
	defer writer.Wait()
	defer close(stop)
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		if _, err := w.open().readRef(); err != nil {
			return
		}
	}
	t.Skip("it was never seen in ten seconds; if that stays so, moveRef can become CheckAndSetReference")
}

func TestCommitHonoursContext(t *testing.T) {
	t.Parallel()
	w := newWriter(t).add(1)
	w.commit()
	lock, err := durable.Lock(context.Background(), filepath.Join(w.dir, stateDir, "git.lock"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, changed, err := w.open().Commit(ctx, w.add(1).snapshot()); err == nil || changed {
		t.Errorf("committed although the lock was held: %v %v", changed, err)
	}
	if time.Since(start) > 2*time.Second {
		t.Errorf("waited %s", time.Since(start))
	}
	if err := lock.Unlock(); err != nil {
		t.Fatal(err)
	}
	w.commit()
}
