package roots

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestWriteFile(t *testing.T) {
	f := newFixture(t)
	content := func(name string) string {
		b, err := os.ReadFile(filepath.Join(f.work, name))
		if err != nil {
			return err.Error()
		}
		return string(b)
	}
	for i, c := range []struct {
		path string
		mode Mode
		code Code
		want string
	}{
		{"new", Create, "", "0"},
		{"new", Create, Exists, "0"},
		{"new", Overwrite, "", "2"},
		{"new", Append, "", "23"},
		{"over", Overwrite, "", "4"},
		{"app", Append, "", "5"},
		{"deep/er/file", Create, "", "6"},
		{"sub", Overwrite, NotAFile, ""},
		{"sub/", Overwrite, NotAFile, ""},
		{"a.txt/x", Create, NotADirectory, ""},
		{".", Overwrite, NotAFile, ""},
	} {
		if err := f.WriteFile(c.path, []byte{byte('0' + i)}, c.mode); code(err) != c.code {
			t.Errorf("%d %s: %v, want %q", i, c.path, err, c.code)
		}
		if c.want != "" && content(c.path) != c.want {
			t.Errorf("%d %s: %q, want %q", i, c.path, content(c.path), c.want)
		}
	}
	noTemp(t, f.work)
}

// noTemp checks that nothing unfinished was left.
func noTemp(t *testing.T, dir string) {
	t.Helper()
	filepath.WalkDir(dir, func(p string, _ os.DirEntry, _ error) error {
		if strings.HasSuffix(p, ".tmp") {
			t.Error("left behind:", p)
		}
		return nil
	})
}

// TestWriteThroughNothing tries to reach what lies outside by way of what lies inside.
func TestWriteThroughNothing(t *testing.T) {
	f := newFixture(t)
	secret := filepath.Join(f.base, "outside/secret")
	link(t, secret, filepath.Join(f.work, "soft"))
	link(t, "../../outside/new", filepath.Join(f.work, "dangling"))
	link(t, "../../outside", filepath.Join(f.work, "dir"))
	link(t, "a.txt", filepath.Join(f.work, "inner"))
	if err := os.Link(secret, filepath.Join(f.work, "hard")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(f.work, "fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]Code{"soft": Symlink, "dangling": Symlink, "inner": Symlink, "hard": HardLink,
		"fifo": SpecialFile, "dir/secret": OutsideRoots, "dir/new/x": OutsideRoots, "sub/.git": ForbiddenPath,
		".git/hooks/pre-commit": ForbiddenPath, "new/.Git/x": ForbiddenPath} {
		for _, mode := range []Mode{Create, Overwrite, Append} {
			if err := f.WriteFile(path, []byte("x"), mode); code(err) != want {
				t.Errorf("mode %d, %s: %v, want %s", mode, path, err, want)
			}
		}
	}
	if b, _ := os.ReadFile(secret); string(b) != canary {
		t.Errorf("outside: %q", b)
	}
	if e, _ := os.ReadDir(filepath.Join(f.base, "outside")); len(e) != 1 {
		t.Error("made outside:", e)
	}
	if _, err := os.Lstat(filepath.Join(f.work, "new")); err == nil {
		t.Error("a directory was made for a path that is refused")
	}
	noTemp(t, f.work)
}

func TestOverwriteKeepsPermissions(t *testing.T) {
	f := newFixture(t)
	script := filepath.Join(f.work, "script")
	put(t, script, "old")
	if err := os.Chmod(script, 0o775); err != nil {
		t.Fatal(err)
	}
	if err := f.WriteFile("script", []byte("new"), Overwrite); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(script); err != nil || st.Mode().Perm() != 0o775 {
		t.Fatal(st.Mode(), err)
	}
}

func TestUpdateFails(t *testing.T) {
	f := newFixture(t)
	stop := errors.New("stop")
	existed, err := f.Update("a.txt", Overwrite, func(old *os.File) ([]byte, error) {
		if old == nil {
			t.Error("the present file was not given")
		}
		return nil, stop
	})
	if !existed || err != stop {
		t.Fatal(existed, err)
	}
	if s, err := f.read("a.txt"); s != "a" || err != nil {
		t.Fatal(s, err)
	}
	if _, err = f.Update("d/new", Overwrite, func(*os.File) ([]byte, error) { return nil, stop }); err != stop {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(f.work, "d")); err == nil {
		t.Error("a directory was made for a write that did not come about")
	}
}
