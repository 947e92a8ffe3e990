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
	f.wantClaim(10, "critical", "normal", "same")
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
	f.wantClaim(10, "x0", "x1")
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

// More jobs than a page, so that pages are filled again in the middle of a merge.
func TestClaimManyPages(t *testing.T) {
	f := newFixture(t)
	f.configure(map[string][2]int{"*": {0, 0}})
	var want []string
	f.write(func(tx *Tx) {
		for i := range 5 * claimPage {
			id := fmt.Sprintf("job-%04d", i)
			source := "s" + fmt.Sprint(i%3/2) // two thirds are of one source
			m := received(source)
			ready := approved(epoch, true)
			ready.DueAt = job.FormatTime(epoch.Add(time.Duration(i/4) * time.Second)) // four are due at a time
			f.apply(tx, job.ProposalReceived, id, m)
			f.apply(tx, job.JobApproved, id, ready)
			want = append(want, id)
		}
	})
	f.wantClaim(len(want)+1, want...)
	f.wantClaim(200, want[:200]...)
}
