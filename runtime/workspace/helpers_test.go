package workspace

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// newWorkspace makes a workspace with an empty configuration.
func newWorkspace(t *testing.T) *Workspace {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "ws")
	p, err := PlanInit(InitOptions{Cwd: t.TempDir(), Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Make([]InitFile{{Path: "config/sheratan.json", Data: []byte("{}\n"), Mode: 0o600}}); err != nil {
		t.Fatal(err)
	}
	return p.Workspace
}

func write(t *testing.T, path, data string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
		t.Fatal(err)
	}
}

// drain lists everything in the inbox, n names at a time.
func drain(t *testing.T, w *Workspace, n int, sources ...string) ([]Entry, *Scanner) {
	t.Helper()
	s, err := w.Scan(sources...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	var all []Entry
	for {
		entries, err := s.Next(n)
		if err != nil {
			return all, s
		}
		all = append(all, entries...)
	}
}

func names(entries []Entry) []string {
	var list []string
	for _, e := range entries {
		list = append(list, e.Source+":"+e.Name)
	}
	return list
}

func parses(b []byte) bool { return strings.HasSuffix(strings.TrimSpace(string(b)), "}") }

// later is a clock by which everything has settled.
func later() time.Time { return time.Now().Add(time.Minute) }

func claimer(t *testing.T, w *Workspace, now func() time.Time) *Claimer {
	t.Helper()
	c := w.Claimer(ClaimerOptions{Now: now})
	t.Cleanup(func() { c.Close() })
	return c
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: mounts a file system or becomes another user")
	}
}
