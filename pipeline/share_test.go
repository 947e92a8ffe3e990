package pipeline

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestAgentStopsNoRemoval: an agent puts a folder in the place of a copy, which stops neither the removal of the file nor that of
// another agent's copy.
func TestAgentStopsNoRemoval(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make folders of other users")
	}
	w := newWorld(t)
	kept := filepath.Join(w.ws.Results(), "2026", "03", "05", "x.stdout")
	w.write(kept, "text")
	copies := map[string]string{}
	for uid, agent := range []string{"a-hostile", "b-other"} {
		replies := w.ws.Replies(agent)
		copies[agent] = filepath.Join(replies, "results", "x.stdout")
		for _, dir := range []string{w.ws.InboxOf(agent), filepath.Join(replies, "results")} {
			w.check(os.MkdirAll(dir, 0o700))
		}
		for _, dir := range []string{w.ws.InboxOf(agent), replies} {
			w.check(os.Chown(dir, 4711+uid, 4711+uid))
		}
	}
	w.write(filepath.Join(copies["a-hostile"], "y"), "in the way")
	w.write(copies["b-other"], "text")
	if err := w.p.deleteKept(w.ws.Rel(kept)); err != nil {
		t.Error(err)
	}
	for _, path := range []string{kept, copies["b-other"]} {
		if _, err := os.Lstat(path); !os.IsNotExist(err) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if len(w.warned) != 1 || !strings.Contains(w.warned[0], "a-hostile") {
		t.Errorf("warned of %q", w.warned)
	}
}
