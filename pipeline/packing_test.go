package pipeline

import (
	"testing"
	"time"

	"github.com/sheratan/sheratan/runtime/history"
)

// TestPackingBacksOff: attempts that leave what they were to pack come ever more rarely, unless as much has come again.
func TestPackingBacksOff(t *testing.T) {
	t.Parallel()
	const many = 3 * history.LooseBatch
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var a attempted
	if a.again(now, history.LooseBatch) {
		t.Error("it begins with less than a batch")
	}
	if !a.again(now, many) {
		t.Error("it does not begin")
	}
	for i, wait := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		wait *= time.Minute
		a.ended(now, many)
		if a.again(now.Add(wait-time.Second), many+history.LooseBatch) {
			t.Errorf("attempt %d: the next one comes within %s", i, wait)
		}
		if !a.again(now, many+history.LooseBatch+1) || !a.again(now.Add(-time.Hour), many) {
			t.Errorf("attempt %d: a further batch, or a clock that was set back, has to wait", i)
		}
		if now = now.Add(wait); !a.again(now, many) {
			t.Errorf("attempt %d: the next one does not come after %s", i, wait)
		}
	}
	a.ended(now, 10)
	if !a.again(now, history.LooseBatch+1) || a.again(now, history.LooseBatch) {
		t.Error("one that packed everything has the next one wait, or begin too early")
	}
}
