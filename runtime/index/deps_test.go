package index

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/ledger"
)

func (f *fixture) wantDeps(id string, left int, failed string) {
	f.t.Helper()
	if row := f.job(id); row.DepsLeft != left || row.DepFailed != failed {
		f.t.Errorf("%s: %d left, %q failed; want %d, %q", id, row.DepsLeft, row.DepFailed, left, failed)
	}
}

func (f *fixture) wantDue(want ...string) {
	f.t.Helper()
	f.read(func(r *Reader) {
		rows, err := r.Due(epoch.Add(time.Hour), 100)
		if err != nil || !slices.Equal(idsOf(rows), append([]string{}, want...)) {
			f.t.Errorf("due: %v, %v; want %v", idsOf(rows), err, want)
		}
	})
}

func (f *fixture) wantDepFailed(want ...string) {
	f.t.Helper()
	f.read(func(r *Reader) {
		rows, err := r.DepFailed(100)
		if err != nil || !slices.Equal(idsOf(rows), append([]string{}, want...)) {
			f.t.Errorf("dependency failed: %v, %v; want %v", idsOf(rows), err, want)
		}
	})
}

func TestDependencies(t *testing.T) {
	f := newFixture(t)
	f.propose("done", nil)
	f.approve("done", true)
	f.run("done")
	f.propose("open", nil)
	f.approve("open", true)
	f.propose("w", nil, "later", "open", "done", "open") // one twice, one that nobody knows
	f.approve("w", false)
	f.wantDeps("w", 2, "")
	f.wantDue()
	f.read(func(r *Reader) {
		deps, err := r.DependsOn("w")
		want := []Dependency{{"done", true, job.StatusCompleted, ""}, {"later", false, "", ""}, {"open", true, job.StatusPending, ""}}
		if err != nil || !slices.Equal(deps, want) {
			t.Errorf("%+v, %v", deps, err)
		}
		if rows, err := r.Dependents("open", 10); err != nil || !slices.Equal(idsOf(rows), []string{"w"}) {
			t.Errorf("dependents: %v, %v", idsOf(rows), err)
		}
	})
	f.propose("later", nil)
	f.wantDeps("w", 2, "")
	f.run("open")
	f.wantDeps("w", 1, "")
	f.wantDue()
	f.approve("later", true)
	f.run("later")
	f.wantDeps("w", 0, "")
	f.wantDue("w")
	f.event(job.JobReady, "w", ledger.Ready{})
	f.wantDue()
	f.wantClaim(10, "w")
}

func TestDependencyFails(t *testing.T) {
	f := newFixture(t)
	for _, id := range []string{"a", "b"} {
		f.propose(id, nil)
		f.approve(id, true)
	}
	f.propose("w", nil, "a", "b")
	f.wantDepFailed()
	f.event(job.JobCancelled, "b", ledger.Cancelled{})
	f.wantDeps("w", 2, "b")
	f.wantDepFailed() // w is not approved: it is not for the sweep to end it
	f.approve("w", false)
	f.wantDepFailed("w")
	f.dispatch("a", 1)
	f.start("a", 1)
	f.event(job.JobFailed, "a", ledger.Ended{Attempt: 1, Error: "x"})
	f.wantDeps("w", 2, "a") // the first by name
	f.propose("w2", nil, "b", "a")
	f.wantDeps("w2", 2, "a")
	f.event(job.JobRetryScheduled, "a", ledger.RetryScheduled{WakeAt: job.FormatTime(epoch), Operator: true})
	f.wantDeps("w", 2, "b")
	f.event(job.JobReady, "a", ledger.Ready{})
	f.dispatch("a", 2)
	f.start("a", 2)
	f.complete("a")
	f.wantDeps("w", 1, "b")
	f.event(job.JobRetryScheduled, "b", ledger.RetryScheduled{WakeAt: job.FormatTime(epoch), Operator: true})
	f.wantDeps("w", 1, "")
	f.wantDepFailed()
	f.event(job.JobCancelled, "b", ledger.Cancelled{})
	f.event(job.JobFailed, "w", ledger.Ended{Code: "DEPENDENCY_FAILED", Error: "b"})
	f.wantDepFailed()
}

func TestCycle(t *testing.T) {
	f := newFixture(t)
	f.propose("a", nil, "b")
	f.propose("b", nil, "c", "x")
	f.propose("x", nil)
	cycle := func(id string, limit int, deps ...string) (way []string, more bool) {
		t.Helper()
		f.read(func(r *Reader) {
			var err error
			if way, more, err = r.Cycle(id, deps, limit); err != nil {
				t.Fatal(err)
			}
		})
		return way, more
	}
	if way, more := cycle("c", 10, "y", "a"); more || !slices.Equal(way, []string{"c", "a", "b", "c"}) {
		t.Errorf("%v, %t", way, more)
	}
	if way, more := cycle("c", 10, "c"); more || !slices.Equal(way, []string{"c", "c"}) {
		t.Errorf("itself: %v, %t", way, more)
	}
	if way, more := cycle("d", 10, "a"); more || way != nil {
		t.Errorf("none: %v, %t", way, more)
	}
	if way, more := cycle("c", 1, "a"); !more || way != nil {
		t.Errorf("beyond the limit: %v, %t", way, more)
	}
	// One that is there already, and that does not have to be looked for from outside.
	f.propose("c", nil, "a")
	if way, more := cycle("d", 10, "a"); more || way != nil {
		t.Errorf("a cycle of others: %v, %t", way, more)
	}
}

// Many wait for one job. That costs once, when it ends, and nobody else.
func TestManyDependents(t *testing.T) {
	const n = 2000
	f := newFixture(t)
	f.configure(map[string][2]int{"*": {0, 0}})
	f.write(func(tx *Tx) {
		for i := range n {
			m := received("agent")
			m.DependsOn = 1
			f.apply(tx, job.ProposalReceived, fmt.Sprint("w", i), m, intakeOf([]string{"a"}))
			f.apply(tx, job.JobApproved, fmt.Sprint("w", i), approved(epoch, false))
		}
	})
	f.propose("a", nil)
	f.approve("a", true)
	f.dispatch("a", 1)
	f.start("a", 1)
	start := time.Now()
	f.complete("a")
	t.Logf("%d dependents: %v", n, time.Since(start))
	f.read(func(r *Reader) {
		if rows, err := r.Due(epoch, n+1); err != nil || len(rows) != n {
			t.Errorf("%d are due, %v; want %d", len(rows), err, n)
		}
	})
}
