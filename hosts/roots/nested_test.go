package roots

import (
	"os"
	"path/filepath"
	"testing"
)

func TestDecides(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{"work/sub", "other/deep"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, link := range map[string]string{"byname": "work", "in": "work/sub", "out": "other", "work/leads": "../other", "back": "other/../work/sub", "loop": "loop"} {
		if err := os.Symlink(link, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]bool{
		"work": false, "work/sub": true, "work/sub/none": true, "work/none": true, "workshop": false, "other": false, "other/deep": false,
		"byname": false, "byname/sub": true, "in": true, "out": false, "work/leads": true, "work/leads/deep": true, "back": true, "loop": false,
	} {
		if got := Decides(dir+"/work", filepath.Join(dir, path)); got != want {
			t.Errorf("%s: %t", path, got)
		}
	}
}

// TestObjects: a root that was replaced is another object.
func TestObjects(t *testing.T) {
	ws := t.TempDir()
	if err := os.Mkdir(ws+"/work", 0o755); err != nil {
		t.Fatal(err)
	}
	r, err := Open(ws, []string{"work"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	path := r.Paths()[0]
	before, err := r.Objects()
	if err != nil || before[path] == (Object{}) {
		t.Fatal(before, err)
	}
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(path+".old", path); err != nil {
		t.Fatal(err)
	}
	if got, err := r.Objects(); err == nil {
		t.Errorf("a link in the place of a root: %v", got)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if after, err := r.Objects(); err != nil || after[path] == before[path] {
		t.Errorf("%v %v %v", before, after, err)
	}
}
