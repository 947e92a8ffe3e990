package index

import (
	"fmt"
	"testing"

	"github.com/sheratan/sheratan/pipeline/job"
)

// TestJobsThatAreOverAreForgotten: the rows in memory are those of jobs that go on, however many have ended.
func TestJobsThatAreOverAreForgotten(t *testing.T) {
	f := newFixture(t)
	f.propose("waits", nil)
	for i := range 100 {
		id := fmt.Sprint("j", i)
		f.propose(id, nil)
		f.run(id)
	}
	if n := len(f.db.cache.rows); n != 1 || len(f.db.cache.seqs) != n {
		t.Errorf("%d rows and %d numbers are kept of one job that waits", n, len(f.db.cache.seqs))
	}
	f.write(func(tx *Tx) {
		if row, ok, err := tx.Job("j7"); err != nil || !ok || row.Status != job.StatusCompleted {
			t.Errorf("%s, %t, %v", row.Status, ok, err)
		}
	})
}
