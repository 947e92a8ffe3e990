package history

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"testing"
)

// BenchmarkCommit is the cost of committing one more event with histories of different lengths; it must not grow.
// repo-MB is the size of the repository with its history and 100 more commits.
func BenchmarkCommit(b *testing.B) {
	for _, events := range []int{1_000, 100_000} {
		b.Run(fmt.Sprint(events), func(b *testing.B) {
			w := newWriter(b)
			for w.ledger.Size < int64(events) {
				w.add(100)
			}
			r := w.open()
			commit := func() {
				if _, changed, err := r.Commit(context.Background(), w.add(1).snapshot()); err != nil || !changed {
					b.Fatal(changed, err)
				}
			}
			for range 100 {
				commit()
			}
			size := w.repositorySize()
			for b.Loop() {
				commit()
			}
			b.ReportMetric(float64(size)/1e6, "repo-MB")
		})
	}
}

// BenchmarkBatch is the cost of the segments that a run of 2,000 jobs writes, 10 MB.
func BenchmarkBatch(b *testing.B) {
	w := newWriter(b)
	r := w.open()
	before := w.documents.Size
	for b.Loop() {
		if _, changed, err := r.Commit(context.Background(), w.add(12_000).snapshot()); err != nil || !changed {
			b.Fatal(changed, err)
		}
	}
	b.SetBytes((w.documents.Size - before) * (documentWidth + eventWidth) / int64(b.N))
}

// BenchmarkRepair is what a new process pays for its first commit beyond that commit: the check of the last two.
func BenchmarkRepair(b *testing.B) {
	w := newWriter(b)
	for range 40 {
		w.add(20).commit()
	}
	for b.Loop() {
		if repairs, err := w.open().Repair(context.Background()); err != nil || len(repairs) > 0 {
			b.Fatal(repairs, err)
		}
	}
}

func (w *writer) repositorySize() (size int64) {
	err := filepath.WalkDir(filepath.Join(w.dir, gitDir), func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().IsRegular() {
			size += info.Size()
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return size
}
