package index

import (
	"testing"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// The index knows which attempts left files, the oldest first, and forgets an attempt with the last of its files.
func TestKept(t *testing.T) {
	f := newFixture(t)
	run := func(id string, kept int64) (seq int64) {
		t.Helper()
		f.propose(id, nil)
		f.approve(id, true)
		f.dispatch(id, 1)
		f.start(id, 1)
		seq = f.h.position().Size
		f.eventWith(job.JobCompleted, id, ledger.Ended{Attempt: 1, Kept: kept}, map[string]string{"result": id})
		return seq
	}
	kept := func(bytes int64, seqs ...int64) {
		t.Helper()
		f.read(func(r *Reader) {
			total, err := r.KeptBytes()
			if err != nil || total != bytes {
				t.Errorf("%d bytes, %v; want %d", total, err, bytes)
			}
			list, err := r.OldestKept(-1, 10)
			if err != nil || len(list) != len(seqs) {
				t.Fatalf("%+v, %v; want %d", list, err, len(seqs))
			}
			for i, k := range list {
				if k.Seq != seqs[i] || k.EndedAt.IsZero() {
					t.Errorf("%+v, want event %d", k, seqs[i])
				}
			}
		})
	}
	remove := func(id string, of, bytes int64, last bool) {
		t.Helper()
		f.event(job.DocumentRemoved, id, ledger.Removed{Located: ledger.Located{Bytes: bytes}, Reason: "test", Of: of, Last: last})
	}
	a := run("a", 100)
	run("none", 0)
	b := run("b", 30)
	kept(130, a, b)
	f.read(func(r *Reader) {
		if list, err := r.OldestKept(a, 10); err != nil || len(list) != 1 || list[0].JobID != "b" {
			t.Errorf("%+v, %v", list, err)
		}
	})
	remove("a", a, 60, false)
	kept(70, a, b)
	remove("a", a, 500, false) // it had grown; no more is taken off than there was
	kept(30, a, b)
	remove("a", a, 0, true)
	kept(30, b)
	remove("b", 0, 30, false) // a document, which is none of these files
	kept(30, b)
	remove("b", b, 30, true)
	kept(0)
}
