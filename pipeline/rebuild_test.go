package pipeline

import (
	"os"
	"testing"
)

// A rebuild writes all that it wrote into the WAL back into the index: the next command would have to read it.
func TestRebuildLeavesNoWAL(t *testing.T) {
	w := newWorld(t)
	w.propose(`{"id": "a", "payload": {"kind": "noop", "params": {}}}`)
	w.tick()
	var steps []string
	_, err := w.p.RebuildIndex(t.Context(), func(step string, _, _ int64) { steps = append(steps, step) })
	w.check(err)
	info, err := os.Stat(w.ws.IndexDB() + "-wal")
	if err != nil || info.Size() > 0 {
		t.Errorf("%d bytes are left in the WAL, %v", info.Size(), err)
	}
	if len(steps) == 0 || steps[0] != StepApply {
		t.Errorf("progress: %q", steps)
	}
	w.verify()
}
