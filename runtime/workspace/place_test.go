package workspace

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestPlace moves a workspace and copies it: each is told once, and the copy stays known.
func TestPlace(t *testing.T) {
	dir := resolved(t, t.TempDir())
	first := makePlace(t, dir+"/first")
	settle := func(w *Workspace, want string) {
		t.Helper()
		if before, err := w.Settle(); err != nil || before != want {
			t.Errorf("%s: it lay in %q, %v, want %q", w.Root(), before, err, want)
		}
	}
	place := func(w *Workspace) Check {
		p := prober{ws: w, o: ProbeOptions{Now: time.Now()}}
		p.place()
		return p.checks[0]
	}
	settle(first, "")
	settle(first, "")
	if c := place(first); c.Status != HealthOK {
		t.Errorf("%+v", c)
	}

	if err := os.CopyFS(dir+"/copy", os.DirFS(dir+"/first")); err != nil {
		t.Fatal(err)
	}
	copied := At(dir + "/copy")
	settle(copied, first.Root())
	settle(copied, "")
	if c := place(copied); c.Status != HealthWarn || !strings.Contains(c.Detail, first.Root()) {
		t.Errorf("a copy: %+v", c)
	}
	if c := place(first); c.Status != HealthOK {
		t.Errorf("the original: %+v", c)
	}

	if err := os.Rename(dir+"/first", dir+"/moved"); err != nil {
		t.Fatal(err)
	}
	moved := At(dir + "/moved")
	settle(moved, first.Root())
	if c := place(moved); c.Status != HealthOK || !strings.Contains(c.Detail, first.Root()) {
		t.Errorf("moved: %+v", c)
	}
	// Under another name it is the same one.
	if err := os.Symlink(dir+"/moved", dir+"/name"); err != nil {
		t.Fatal(err)
	}
	named := At(dir + "/name")
	settle(named, moved.Root())
	if c := place(named); c.Status != HealthOK {
		t.Errorf("by another name: %+v", c)
	}
}

func makePlace(t *testing.T, dir string) *Workspace {
	t.Helper()
	w := At(dir)
	write(t, w.Config(), "{}")
	if err := os.MkdirAll(w.State(), 0o700); err != nil {
		t.Fatal(err)
	}
	return w
}

// TestAnother finds the workspace that a path belongs to.
func TestAnother(t *testing.T) {
	dir := resolved(t, t.TempDir())
	makePlace(t, dir+"/original/sheratan")
	clone := makePlace(t, dir+"/clone/sheratan")
	for path, want := range map[string]string{
		"original":                         "original/sheratan",
		"original/src/deep":                "original/sheratan",
		"original/sheratan/cache/go-build": "original/sheratan",
		"clone":                            "",
		"clone/sheratan/work":              "",
		"elsewhere":                        "",
	} {
		if want != "" {
			want = filepath.Join(dir, want)
		}
		if got := clone.Another(filepath.Join(dir, path)); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

// TestRelative: what lies in the tree is named relative to the workspace, the rest as it is.
func TestRelative(t *testing.T) {
	p := &Plan{Workspace: At("/src/project/sheratan"), WorkTree: "/src/project"}
	for path, want := range map[string]string{
		"/src/project": "..", "/src/project/sub": "../sub", "/src/project/sheratan/cache/x": "cache/x", "/src/projects": "/src/projects", "/opt/go": "/opt/go",
	} {
		if got := p.Relative(path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	p.WorkTree = ""
	if got := p.Relative("/src/project"); got != "/src/project" {
		t.Errorf("outside of a work tree: %s", got)
	}
}
