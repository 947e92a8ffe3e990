package pipeline

import (
	"fmt"
	"os"
	"slices"
	"testing"
)

// A file that is no proposal is told of once by all processes together, and again when it is another one.
func TestStrayIsToldOnce(t *testing.T) {
	w := newWorld(t)
	told := func() int {
		t.Helper()
		w.p = w.open() // another process
		w.tick()
		n := len(w.warned)
		w.warned = nil
		return n
	}
	w.drop("", "notes.txt", "one")
	w.drop("operator", "read\nme", "two")
	if n := told(); n != 2 {
		t.Errorf("first look: %d warnings", n)
	}
	if n := told(); n != 0 {
		t.Errorf("second look: %d warnings", n)
	}
	w.drop("", "more.txt", "three")
	w.drop("", "notes.txt", "another")
	if n := told(); n != 2 {
		t.Errorf("one changed and one new: %d warnings", n)
	}
	s, err := w.p.Status(t.Context())
	w.check(err)
	if len(s.Strays) != 3 || !slices.Contains(s.Strays, "runtime/inbox/operator/read%0Ame: is no proposal: its name ends neither in .json nor in .jsonl") {
		t.Errorf("status: %q", s.Strays)
	}
	// One that comes back after it was removed is another one, whatever its time.
	w.check(os.Remove(w.ws.Inbox() + "/more.txt"))
	w.drop("", "less.txt", "")
	told()
	if len(w.p.strays) != 3 {
		t.Errorf("remembered: %v", w.p.strays)
	}
	w.write(w.ws.Strays(), "null")
	if n := told(); n != 3 {
		t.Errorf("the file is garbage: %d warnings", n)
	}
}

// More of them than one tick tells of are told by the next ones.
func TestManyStrays(t *testing.T) {
	w := newWorld(t)
	for i := range 30 {
		w.drop("", fmt.Sprintf("n%d.txt", i), "")
	}
	w.tick()
	if n := len(w.warned); n != 20 && n != 30 {
		t.Errorf("%d warnings", n)
	}
	w.tick()
	w.tick()
	if n := len(w.warned); n != 30 {
		t.Errorf("%d warnings", n)
	}
	w.warned = nil
}
