package history

import (
	"os"
	"path/filepath"
	"testing"
)

// What cannot be mended is kept, and history begins again.
func TestRestart(t *testing.T) {
	t.Parallel()
	forget := func(t *testing.T, w *writer) {
		if err := os.Remove(w.open().recordPath()); err != nil {
			t.Fatal(err)
		}
	}
	cases := map[string]func(t *testing.T, w *writer){
		"commit and record lost": func(t *testing.T, w *writer) { truncate(t, w.objectFile("main")); forget(t, w) },
		"branch and record lost": func(t *testing.T, w *writer) { truncate(t, w.open().refPath()); forget(t, w) },
		"segment edited, blob lost": func(t *testing.T, w *writer) {
			truncate(t, w.objectFile("main:"+segmentPath(ledgerDir, 0)))
			truncate(t, w.objectFile("main"))
			path := filepath.Join(w.dir, segmentPath(ledgerDir, 0))
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			b[100] ^= 1
			if err := os.WriteFile(path, b, 0o644); err != nil {
				t.Fatal(err)
			}
		},
	}
	for name, damage := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, _ := damageable(t)
			damage(t, w)
			c := w.commit()
			if codes(c.Repairs) != HistoryRestarted || c.Parent != "" {
				t.Errorf("%+v", c)
			}
			if _, err := os.Stat(filepath.Join(w.dir, gitDir+".damaged-1", "objects")); err != nil {
				t.Error(err)
			}
			if got := w.log(); len(got) != 1 {
				t.Errorf("%d commits, want 1", len(got))
			}
			w.verify()
		})
	}
}

// With .git gone and a history longer than the record, the record cannot bring it back.
func TestRestartOfLongHistory(t *testing.T) {
	t.Parallel()
	w := newWriter(t)
	for range recordKept + 3 {
		w.add(1).commit()
	}
	if err := w.open().shortenRecord(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(w.dir, gitDir)); err != nil {
		t.Fatal(err)
	}
	c := w.commit()
	if codes(c.Repairs) != FrameRestored+" "+HistoryRestarted || c.Parent != "" {
		t.Errorf("%+v", c)
	}
	w.verify()
}
