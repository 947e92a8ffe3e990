package agent

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestLookKept: what an earlier process saw in a folder counts as long as every folder in it is as it was, and no longer.
func TestLookKept(t *testing.T) {
	fifo := func(path string) error { return unix.Mkfifo(path, 0o600) }
	swap := func(a, b string) error {
		return unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE)
	}
	for name, c := range map[string]struct {
		change func(dir, beside string) error
		known  bool
	}{
		"nothing":              {func(string, string) error { return nil }, true},
		"a file is written":    {func(dir, _ string) error { return os.WriteFile(dir+"/a/b/file", []byte("more"), 0o600) }, true},
		"a file is made":       {func(dir, _ string) error { return os.WriteFile(dir+"/a/new", nil, 0o600) }, false},
		"a FIFO in the folder": {func(dir, _ string) error { return fifo(dir + "/new") }, false},
		"a FIFO far below":     {func(dir, _ string) error { return fifo(dir + "/a/b/new") }, false},
		"one that is moved in": {func(dir, beside string) error { return os.Rename(beside+"/fifo", dir+"/a/b/new") }, false},
		"a FIFO for a file":    {func(dir, beside string) error { return swap(beside+"/fifo", dir+"/a/b/file") }, false},
		"another folder":       {func(dir, beside string) error { return swap(beside, dir+"/a/b") }, false},
		"another whole":        {func(dir, beside string) error { return swap(beside, dir) }, false},
		"a link to another": {func(dir, beside string) error {
			return os.Rename(dir+"/a", beside+"/a") // and what its name leads to is the same
		}, false},
		"the time is set back": {func(dir, _ string) error {
			info, err := os.Stat(dir + "/a/b")
			if err == nil {
				err = fifo(dir + "/a/b/new")
			}
			if err == nil {
				err = os.Chtimes(dir+"/a/b", info.ModTime(), info.ModTime())
			}
			return err
		}, false},
		"it is gone": {func(dir, _ string) error { return os.RemoveAll(dir) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			base := t.TempDir()
			dir, beside, kept := base+"/dir", base+"/beside", base+"/kept"
			for _, path := range []string{dir + "/a/b", dir + "/c", beside} {
				if err := os.MkdirAll(path, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			put(t, dir+"/a/b/file", "x")
			for _, path := range []string{dir + "/c/fifo", beside + "/fifo"} {
				if err := fifo(path); err != nil {
					t.Fatal(err)
				}
			}
			s := survey{seen: &look{root: dir}}
			if err := s.look(dir); err != nil {
				t.Fatal(err)
			}
			s.seen.closed = s.closed
			s.seen.keep(kept, time.Now())
			if _, err := os.Stat(kept); err == nil {
				t.Fatal("a look at folders that had just changed was kept")
			}
			s.seen.keep(kept, time.Now().Add(2*lookSlack))
			time.Sleep(20 * time.Millisecond) // the clock of a file system may be that coarse
			if err := c.change(dir, beside); err != nil {
				t.Fatal(err)
			}
			if name == "a link to another" {
				if err := os.Symlink(beside+"/a", dir+"/a"); err != nil {
					t.Fatal(err)
				}
			}
			closed, known := recall(kept, dir)
			if known != c.known || known && !slices.Equal(closed, []string{dir + "/c/fifo"}) {
				t.Errorf("known %t, closed %q", known, closed)
			}
		})
	}
}

// TestLookTorn: a file that a power loss left half written says nothing.
func TestLookTorn(t *testing.T) {
	base := t.TempDir()
	dir, kept := base+"/dir", base+"/kept"
	if err := os.MkdirAll(filepath.Join(dir, "a"), 0o755); err != nil {
		t.Fatal(err)
	}
	s := survey{seen: &look{root: dir}}
	if err := s.look(dir); err != nil {
		t.Fatal(err)
	}
	s.seen.keep(kept, time.Now().Add(2*lookSlack))
	whole, err := os.ReadFile(kept)
	if err != nil {
		t.Fatal(err)
	}
	if _, known := recall(kept, dir); !known {
		t.Fatal("the whole file says nothing")
	}
	for n := range whole {
		put(t, kept, string(whole[:n]))
		if _, known := recall(kept, dir); known {
			t.Errorf("the first %d bytes of %d say something", n, len(whole))
		}
	}
}
