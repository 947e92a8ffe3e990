package pipeline

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
)

// A sparse file of a terabyte is blocked without being read, and kept; what lies beside it runs.
func TestSparseFile(t *testing.T) {
	w := newWorld(t)
	const size = 1 << 40
	for _, name := range []string{"huge.json", "huge.jsonl"} {
		w.drop("operator", name, "")
		if err := os.Truncate(filepath.Join(w.ws.InboxOf("operator"), name), size); err != nil {
			t.Skipf("the file system has no sparse files of a terabyte: %v", err)
		}
	}
	w.drop("operator", "small.json", noop("small", ""))
	w.forward(10 * time.Second) // the large ones have settled
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var blocked []GateLine
	_, err := w.p.Gate(ctx, GateOptions{}, func(l GateLine) error {
		if l.Status == string(job.StatusQuarantined) {
			blocked = append(blocked, l)
		}
		return nil
	})
	w.check(err)
	if len(blocked) != 2 {
		t.Fatalf("blocked: %v", blocked)
	}
	for _, l := range blocked {
		info, err := os.Stat(filepath.Join(w.ws.Blocked(l.JobID), "raw"))
		if err != nil || info.Size() != size {
			t.Errorf("%s: kept: %v, %v", l.JobID, info, err)
		}
	}
	w.tick()
	w.is("small", job.StatusCompleted, "")
}
