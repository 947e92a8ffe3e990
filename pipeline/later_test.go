package pipeline

import (
	"fmt"
	"os"
	"testing"
	"time"
)

// TestMarkersOfABusyLoop: where files of some job are put off at all times, the markers of the batches before it go all the same, and those of
// its own batch, of the ones that were admitted with it and of all after it stay.
func TestMarkersOfABusyLoop(t *testing.T) {
	w := newWorld(t)
	p := w.p
	begin := func() {
		t.Helper()
		w.check(os.MkdirAll(p.ws.Projecting(), 0o700))
		w.check(p.beginProjection(p.batches+1, p.batches+1, nil))
	}
	left := func() (n int) {
		names, err := p.projecting()
		w.check(err)
		if len(names) != len(p.markers) {
			t.Errorf("%d markers, and %d are known", len(names), len(p.markers))
		}
		return len(names)
	}
	for i := range 50 {
		id := func(i int) string { return fmt.Sprintf("j%d", i) }
		begin()
		begin() // an admission in two batches
		p.later.add(id(i), p.now(), p.shown+1)
		p.projected()
		if n := left(); n < 2 || n > 6 {
			t.Fatalf("round %d: %d markers", i, n)
		}
		begin() // the job before it ends
		p.later.drop(id(i - 1))
		p.projected()
		if n := left(); n != 3 {
			t.Fatalf("round %d: %d markers, want those of the admission of %s and of the end of the other", i, n, id(i))
		}
	}
	p.later.take(p.now().Add(time.Hour), 10, true)
	p.projected()
	if n := left(); n != 0 {
		t.Errorf("%d markers are left", n)
	}
}
