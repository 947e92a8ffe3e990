package index

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

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

// fastest returns the least of the times that fn took; the machine has other things to do.
func fastest(times int, fn func()) time.Duration {
	best := time.Hour
	for range times {
		start := time.Now()
		fn()
		best = min(best, time.Since(start))
	}
	return best
}

func TestClaimCostsNoMoreWithMoreJobs(t *testing.T) {
	few, lots := queued(t, 1000, "agent"), queued(t, many(), "agent")
	if got, want := lots.claim(200), few.claim(200); !slices.Equal(got[:100], want[:100]) {
		t.Fatal("the two indexes do not begin alike")
	}
	a := fastest(20, func() { few.claim(100) })
	b := fastest(20, func() { lots.claim(100) })
	t.Logf("100 of 1,000: %v; of %d: %v", a, many(), b)
	if b > a*3/2 {
		t.Errorf("a claim among %d jobs takes %v, among 1,000 %v", many(), b, a)
	}
	a = fastest(20, func() { few.cycleOfOne() })
	b = fastest(20, func() { lots.cycleOfOne() })
	t.Logf("claim, dispatch, expire and commit one of 1,000: %v; of %d: %v", a, many(), b)
	if b > a*3/2 {
		t.Errorf("a transaction among %d jobs takes %v, among 1,000 %v", many(), b, a)
	}
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
		"cycle": (*fixture).cycleOfOne,
	} {
		a := fastest(30, func() { fn(alone) })
		b := fastest(30, func() { fn(crowd) })
		t.Logf("%s: alone %v, in the crowd %v", what, a, b)
		if b > a*3/2+20*time.Microsecond {
			t.Errorf("%s takes %v in the crowd, %v alone", what, b, a)
		}
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
