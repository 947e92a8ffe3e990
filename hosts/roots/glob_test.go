package roots

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func openRoot(t *testing.T, dir string) *Roots {
	t.Helper()
	r, err := Open(dir, []string{"."}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// TestGlob: what a pattern matches, whatever else lies there.
func TestGlob(t *testing.T) {
	dir := t.TempDir()
	put := func(names ...string) {
		for _, name := range names {
			path := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	put("a.txt", "b.txt", "sub/a.txt", "sub/deep/a.txt", "sub-2/a.txt", "other/b.txt", ".git/a.txt")
	if err := os.Symlink("sub", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	r := openRoot(t, dir)
	for pattern, want := range map[string]string{
		"*.txt":           "a.txt b.txt",
		"*":               "a.txt b.txt link",
		"sub*/a.txt":      "sub-2/a.txt sub/a.txt",
		"*/*.txt":         "other/b.txt sub-2/a.txt sub/a.txt",
		"sub/*/a.txt":     "sub/deep/a.txt",
		"[ab].txt":        "a.txt b.txt",
		"nothing/*":       "",
		"a.txt/*":         "",
		"./sub/../?.txt":  "a.txt b.txt",
		"*/nothing-there": "other/nothing-there sub-2/nothing-there sub/nothing-there",
	} {
		var got []string
		if err := r.Glob(dir, pattern, func(name string) error { got = append(got, name); return nil }); err != nil {
			t.Errorf("%s: %v", pattern, err)
		}
		slices.Sort(got)
		if text := strings.Join(got, " "); text != want {
			t.Errorf("%s: %s, want %s", pattern, text, want)
		}
	}
	enough := errors.New("enough")
	calls := 0
	if err := r.Glob(dir, "*/*.txt", func(string) error { calls++; return enough }); err != enough || calls != 1 {
		t.Errorf("%d calls after the first: %v", calls, err)
	}
}

// TestGlobPassesAllFolders: a limit of files has nothing to do with the number of folders on the way.
func TestGlobPassesAllFolders(t *testing.T) {
	dir := t.TempDir()
	for i := range 300 {
		if err := os.Mkdir(filepath.Join(dir, fmt.Sprintf("d%03d", i)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "d299", "x"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	var got []string
	err := openRoot(t, dir).Glob(dir, "d*/*", func(name string) error { got = append(got, name); return nil })
	if err != nil || len(got) != 1 || got[0] != "d299/x" {
		t.Errorf("%v %v", got, err)
	}
}
