package index

import (
	"slices"
	"testing"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// Who depends on a job waits for its revision, and for the revision of that; who comes later and names the first one as well.
func TestDependentsFollowRevisions(t *testing.T) {
	f := newFixture(t)
	f.propose("w", nil, "a", "other")
	f.approve("w", false)
	revise := func(old, revision string) {
		f.event(job.JobBlocked, old, ledger.Blocked{})
		f.event(job.JobRevised, old, ledger.Revised{Revision: revision, Dependents: 1})
		f.event(job.JobCancelled, old, ledger.Cancelled{})
	}
	f.propose("a", nil)
	revise("a", "b")
	f.wantDeps("w", 2, "")
	f.wantDepFailed()
	f.propose("b", nil)
	f.propose("both", nil, "a", "b")
	f.wantDeps("both", 1, "")
	revise("b", "c")
	f.propose("late", nil, "a")
	f.approve("late", false)
	f.propose("c", nil)
	f.read(func(r *Reader) {
		if n, err := r.CountDependents("c"); err != nil || n != 3 {
			t.Errorf("%d depend on the last revision, %v", n, err)
		}
		deps, err := r.DependsOn("w")
		if err != nil || !slices.Equal(deps, []Dependency{{"c", true, job.StatusPending, ""}, {"other", false, "", ""}}) {
			t.Errorf("%+v, %v", deps, err)
		}
		if way, _, err := r.Cycle("c", []string{"a"}, 10); err != nil || len(way) == 0 {
			t.Errorf("a revision that depends on what it revises: %v, %v", way, err)
		}
	})
	f.approve("c", true)
	f.run("c")
	f.wantDeps("w", 1, "")
	f.wantDue("late")
	f.wantDeps("both", 0, "")

	// Those that a failure had doomed already are saved, as long as nobody has ended them.
	f.propose("x", nil)
	f.approve("x", true)
	f.propose("y", nil, "x")
	f.approve("y", false)
	f.dispatch("x", 1)
	f.start("x", 1)
	f.event(job.JobFailed, "x", ledger.Ended{Attempt: 1})
	f.wantDepFailed("y")
	f.event(job.JobRevised, "x", ledger.Revised{Revision: "z", Dependents: 1})
	f.wantDepFailed()
	f.wantDeps("y", 1, "")
}
