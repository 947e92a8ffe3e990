package index

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// queue proposes and approves a ready job.
func (f *fixture) queue(id, source string, priority job.Priority, due time.Time) {
	f.t.Helper()
	f.propose(id, func(m *ledger.Received) { m.Source, m.Bucket, m.Priority = source, source, int(priority) })
	m := approved(f.h.now, true)
	m.DueAt = job.FormatTime(due)
	f.event(job.JobApproved, id, m)
}

func (f *fixture) wantClaim(limit int, want ...string) {
	f.t.Helper()
	if got := f.claim(limit); !slices.Equal(got, append([]string{}, want...)) {
		f.t.Errorf("claimed %v, want %v", got, want)
	}
}

func TestClaim(t *testing.T) {
	f := newFixture(t)
	f.queue("low", "a", job.PriorityLow, epoch.Add(time.Hour))
	f.queue("normal", "b", job.PriorityNormal, epoch.Add(5*time.Minute))
	f.queue("same", "a", job.PriorityNormal, epoch.Add(5*time.Minute))
	f.queue("old", "a", job.PriorityLow, epoch.Add(time.Minute)) // has aged
	f.queue("critical", "b", job.PriorityCritical, epoch.Add(2*time.Hour))
	f.propose("ungated", nil)
	f.configure(map[string][2]int{"*": {0, 0}})
	f.wantClaim(10, "critical", "old", "normal", "same", "low")
	f.wantClaim(2, "critical", "old")
	f.wantClaim(0)

	f.event(job.Paused, "", ledger.PausedMeta{Source: "a"})
	f.wantClaim(10, "critical", "normal")
	f.event(job.Paused, "", ledger.PausedMeta{})
	f.wantClaim(10)
	f.event(job.Resumed, "", ledger.PausedMeta{})

	// a may have two jobs at a time, and one of them is running.
	f.configure(map[string][2]int{"*": {0, 0}, "a": {0, 2}, "b": {0, 0}})
	f.wantClaim(10, "critical", "old", "normal", "same")
	f.dispatch("old", 1)
	f.start("old", 1)
	f.wantClaim(10, "critical", "same", "normal") // the turn of b comes with its critical job
	f.dispatch("same", 1)
	f.wantClaim(10, "critical", "normal")
	f.complete("old")
	f.wantClaim(10, "critical", "normal", "low")
}

// Sources without an entry share the bucket of *, and one of them being paused must not hide the others.
func TestClaimSharedBucket(t *testing.T) {
	f := newFixture(t)
	f.configure(map[string][2]int{"*": {0, 2}})
	for i, source := range []string{"x", "x", "x", "y", "z"} {
		id := fmt.Sprintf("%s%d", source, i)
		f.propose(id, func(m *ledger.Received) { m.Source, m.Bucket = source, "*" })
		f.approve(id, true)
	}
	f.wantClaim(10, "x0", "y3")
	f.event(job.Paused, "", ledger.PausedMeta{Source: "x"})
	f.wantClaim(10, "y3", "z4")
	f.dispatch("y3", 1)
	f.wantClaim(10, "z4")
}

func TestClaimIDs(t *testing.T) {
	f := newFixture(t)
	f.configure(map[string][2]int{"*": {0, 0}, "a": {0, 2}})
	for _, id := range []string{"a1", "a2", "a3"} {
		f.queue(id, "a", job.PriorityNormal, epoch)
	}
	f.queue("b1", "b", job.PriorityNormal, epoch)
	f.queue("p1", "p", job.PriorityNormal, epoch)
	f.event(job.Paused, "", ledger.PausedMeta{Source: "p"})
	f.read(func(r *Reader) {
		rows, err := r.ClaimIDs([]string{"a3", "b1", "unknown", "a3", "p1", "a2", "a1"})
		if err != nil || !slices.Equal(idsOf(rows), []string{"a3", "b1", "a2"}) {
			t.Errorf("%v, %v", idsOf(rows), err)
		}
	})
}

// Sources take turns among jobs of one priority, by what they have in flight and then by whose turn was the longest ago: a source
// that has queued very many leaves the others their share, whoever came first.
func TestClaimTakesTurns(t *testing.T) {
	f := newFixture(t)
	f.configure(map[string][2]int{"*": {0, 0}})
	for i := range 6 {
		f.queue(fmt.Sprint("flood", i), "flood", job.PriorityNormal, epoch.Add(time.Duration(i)*time.Second))
	}
	f.queue("new", "new", job.PriorityNormal, epoch.Add(time.Hour))
	f.queue("new-later", "new", job.PriorityNormal, epoch.Add(2*time.Hour))
	f.queue("other", "other", job.PriorityHigh, epoch.Add(time.Minute)) // is not due before those of flood, and has its own turns
	f.wantClaim(4, "flood0", "new", "flood1", "new-later")
	f.wantClaim(9, "flood0", "new", "flood1", "new-later", "flood2", "flood3", "flood4", "flood5", "other")

	f.dispatch("flood0", 1)
	f.dispatch("flood1", 1)
	f.wantClaim(3, "new", "new-later", "flood2")
	// With one slot nothing is in flight when a claim is made.
	f.start("flood0", 1)
	f.complete("flood0")
	f.start("flood1", 1)
	f.complete("flood1")
	f.wantClaim(1, "new")
	f.run("new")
	f.wantClaim(1, "flood2")
	f.run("flood2")
	f.wantClaim(2, "new-later", "flood3")
}

// More jobs than a page, so that pages are filled again in the middle of a merge.
func TestClaimManyPages(t *testing.T) {
	f := newFixture(t)
	f.configure(map[string][2]int{"*": {0, 0}})
	var of [2][]string
	f.write(func(tx *Tx) {
		for i := range 5 * claimPage {
			id := fmt.Sprintf("job-%04d", i)
			n := i % 3 / 2 // two thirds are of one source
			ready := approved(epoch, true)
			ready.DueAt = job.FormatTime(epoch.Add(time.Duration(i/4) * time.Second)) // four are due at a time
			f.apply(tx, job.ProposalReceived, id, received("s"+fmt.Sprint(n)))
			f.apply(tx, job.JobApproved, id, ready)
			of[n] = append(of[n], id)
		}
	})
	var want []string
	for i := range of[0] {
		for _, list := range of {
			if i < len(list) {
				want = append(want, list[i])
			}
		}
	}
	f.wantClaim(len(want)+1, want...)
	f.wantClaim(200, want[:200]...)
}
