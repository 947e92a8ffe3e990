package index

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/index/indextest"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// many is how many jobs the tests below queue: a million where there is time for it.
func many() int {
	if os.Getenv("SHERATAN_LONG") != "" {
		return 1_000_000
	}
	return 30_000
}

// queued makes an index in which n jobs of each source are ready; the first source has the earliest.
func queued(t testing.TB, n int, sources ...string) *fixture {
	f := newFixture(t)
	f.configure(map[string][2]int{"*": {0, 0}})
	for i, source := range sources {
		f.queue(source, source, 2, epoch.Add(time.Duration(i)*time.Hour))
		f.copies(source, n-1)
	}
	return f
}

func (f *fixture) copies(id string, n int) {
	f.t.Helper()
	start := time.Now()
	if err := indextest.Copy(f.db.Path(), id, n); err != nil {
		f.t.Fatal(err)
	}
	f.db.cache = nil // no event tells it of the copies
	f.t.Logf("%d copies: %v", n, time.Since(start).Round(time.Millisecond))
}

// race runs a and b in turn until b is not slower than it may be: half as long again as a. The machine has other things to do,
// and so the least of the times counts.
func race(t *testing.T, what string, a, b func()) {
	t.Helper()
	least := [2]time.Duration{time.Hour, time.Hour}
	slow := func() bool { return least[1] > least[0]*3/2+20*time.Microsecond }
	for round := 0; round < 10 || round < 300 && slow(); round++ {
		for i, fn := range []func(){a, b} {
			start := time.Now()
			fn()
			least[i] = min(least[i], time.Since(start))
		}
	}
	t.Logf("%s: %v and %v", what, least[0], least[1])
	if slow() {
		t.Errorf("%s takes %v instead of %v", what, least[1], least[0])
	}
}

func TestClaimCostsNoMoreWithMoreJobs(t *testing.T) {
	few, lots := queued(t, 1000, "agent"), queued(t, many(), "agent")
	if got, want := lots.claim(200), few.claim(200); !slices.Equal(got[:100], want[:100]) {
		t.Fatal("the two indexes do not begin alike")
	}
	race(t, fmt.Sprintf("claim of 100 among 1,000 and %d", many()), func() { few.claim(100) }, func() { lots.claim(100) })
	race(t, "claim, dispatch, expiry and commit", few.cycleOfOne, lots.cycleOfOne)
}

// cycleOfOne dispatches the first job and gives it back.
func (f *fixture) cycleOfOne() {
	f.write(func(tx *Tx) {
		rows, err := tx.Claim(1)
		if err != nil || len(rows) != 1 {
			f.t.Fatalf("%v, %v", idsOf(rows), err)
		}
		f.apply(tx, "JOB_DISPATCHED", rows[0].ID, leaseOf("local", 1, epoch))
		f.apply(tx, "LEASE_EXPIRED", rows[0].ID, ledger.Unknown{Attempt: 1, Reason: "returned"})
	})
}

// What waits, what is full and what is paused costs a claim nothing, however much of it there is.
func TestOthersDoNotSlowAClaim(t *testing.T) {
	alone := queued(t, 1000, "agent")
	crowd := queued(t, 1000, "agent")
	n := min(many(), 100_000)
	crowd.propose("waits", func(m *ledger.Received) { m.Source, m.Bucket = "waiting", "waiting" }, "nobody")
	crowd.approve("waits", false)
	crowd.copies("waits", n)
	crowd.queue("full", "full", 0, epoch) // before everything else
	crowd.copies("full", n)
	crowd.dispatch("full", 1)
	crowd.configure(map[string][2]int{"*": {0, 0}, "full": {0, 1}})
	crowd.queue("paused", "paused", 0, epoch)
	crowd.copies("paused", n)
	crowd.event("PAUSED", "", ledger.PausedMeta{Source: "paused"})
	for _, f := range []*fixture{alone, crowd} {
		f.propose("throttled", func(m *ledger.Received) { m.Source, m.Bucket = "throttled", "throttled" })
		f.approve("throttled", false)
		f.event("JOB_THROTTLED", "throttled", ledger.Throttled{Until: job.FormatTime(epoch)})
	}
	crowd.copies("throttled", n)

	crowd.read(func(r *Reader) {
		counts, err := r.Counts()
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range counts {
			if c.Source != "agent" && c.Queued() != n+1 {
				t.Errorf("%s: %d jobs, want %d", c.Source, c.Queued(), n+1)
			}
		}
		if rows, err := r.Due(epoch.Add(time.Hour), 10); err != nil || len(rows) > 0 {
			t.Errorf("due: %v, %v", idsOf(rows), err)
		}
	})
	if got := crowd.claim(3); got[0] != "agent" || len(got) != 3 {
		t.Fatalf("claimed %v", got)
	}
	for what, fn := range map[string]func(*fixture){
		"claim": func(f *fixture) { f.claim(100) },
		"sweep": func(f *fixture) {
			f.read(func(r *Reader) {
				if _, err := r.Due(epoch, 100); err != nil {
					t.Fatal(err)
				}
				if _, err := r.DepFailed(100); err != nil {
					t.Fatal(err)
				}
			})
		},
		"window": func(f *fixture) {
			f.read(func(r *Reader) {
				if rows, err := r.Throttled("throttled", 1); err != nil || len(rows) != 1 {
					t.Fatal(idsOf(rows), err)
				}
				if _, found, err := r.WindowOpens(); err != nil || !found {
					t.Fatal(found, err)
				}
			})
		},
		"cycle": (*fixture).cycleOfOne,
	} {
		race(t, what+" alone and in the crowd", func() { fn(alone) }, func() { fn(crowd) })
	}
}

func BenchmarkClaim(b *testing.B) {
	for _, n := range []int{1000, 1_000_000} {
		b.Run(fmt.Sprint("queued=", n), func(b *testing.B) {
			f := queued(b, n, "agent")
			b.ResetTimer()
			for range b.N {
				f.claim(100)
			}
		})
	}
}
