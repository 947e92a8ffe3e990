//go:build amd64 || arm64

package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// keepTree is a folder with a workspace and a repository somewhere in it.
func keepTree(t *testing.T) string {
	root := t.TempDir()
	for _, f := range []string{"a/ws/config/rules", "a/ws/AGENTS.md", "a/b/.git/config", "a/b/c/file", "free/file"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, f)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, f), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// TestConfinedKeep: in a folder that a job may change, what is kept or hidden is neither changed nor carried away with the
// folders that it lies in.
func TestConfinedKeep(t *testing.T) {
	for _, level := range []Level{LevelFull, LevelRestricted} {
		t.Run(string(level), func(t *testing.T) {
			need(t, level)
			confinedKeep(t, level)
		})
	}
}

func confinedKeep(t *testing.T, level Level) {
	scripts := []string{
		"mv a/ws a/other", "mv a other", "mv a/b/.git a/b/other", "mv a/b a/other", "rm -rf a", "rm a/ws/AGENTS.md",
		"echo x >a/ws/new", "mkdir a/ws/missions", "echo y >a/b/.git/config", "mkdir a/b/.git/hooks",
		"ln a/b/.git/config l && echo y >l", "ln a/b/.git/config a/b/c/l && echo y >a/b/c/l", "mv a/b/.git/config a/b/c/l",
		"mv free a/b/.git", "echo y >free/file && mv free/file a/b/.git/config", "ln -s x a/b/.git/new", "truncate -s 0 a/b/.git/config",
	}
	if level == LevelFull {
		scripts = append(scripts, "chmod 700 a/b/.git/config") // Landlock knows no right for it
	}
	for _, script := range scripts {
		t.Run(strings.ReplaceAll(script, "/", "_"), func(t *testing.T) {
			t.Parallel()
			for _, kept := range []bool{false, true} {
				root := keepTree(t)
				c := confined(t, level, script)
				c.Confine.Write, c.Dir = []string{root}, root
				if kept {
					c.Confine.Keep = []string{root + "/a/ws", root + "/a/b/.git", root + "/gone/.git"}
					if level == LevelFull {
						c.Confine.Hide = []string{root + "/a/ws/config"}
					}
				}
				before := picture(root)
				r := run(t, c)
				if same := picture(root) == before; same != kept || r.ExitCode == 0 == kept {
					t.Errorf("kept %v, the same %v: %+v %s\n%s", kept, same, r, c.Stderr.Head, picture(root))
				}
			}
		})
	}
	root := keepTree(t)
	script := "echo y >a/b/c/file && mv a/b/c/file a/b/file && rm -r free && mkdir -p a/new && mv a/b/file a/new"
	if level == LevelRestricted {
		script = "echo y >a/b/c/file && mv a/b/c/file free/new && mkdir a/b/c/new && rm -r free/* && ls a a/b a/ws"
	}
	c := confined(t, level, script+" && test x = \"$(cat a/b/.git/config)\"")
	c.Confine.Write, c.Confine.Keep, c.Dir = []string{root}, []string{root + "/a/ws", root + "/a/b/.git"}, root
	if r := run(t, c); r.ExitCode != 0 {
		t.Errorf("the rest can be changed: %+v %s", r, c.Stderr.Head)
	}
}

// TestRestrictedHides: what is to be unseen inside of what is seen cannot be had from Landlock, and no job starts without.
func TestRestrictedHides(t *testing.T) {
	need(t, LevelRestricted)
	root := keepTree(t)
	c := confined(t, LevelRestricted, "true")
	c.Confine.Write, c.Confine.Hide = []string{root}, []string{root + "/a/ws/config"}
	if _, err := c.Run(t.Context()); err == nil {
		t.Error("restricted hides nothing, and did not say so")
	} else if start, ok := errors.AsType[*StartError](err); !ok || start.Primitive != "confinement" {
		t.Error(err)
	}
}

// TestTooManyGrants: a job that would get only a part of what it is allowed does not start, and the folder is named.
func TestTooManyGrants(t *testing.T) {
	need(t, LevelRestricted)
	root := keepTree(t)
	for i := range maxGrants + 1 {
		if err := os.WriteFile(fmt.Sprintf("%s/a/b/%d", root, i), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	c := confined(t, LevelRestricted, "true")
	c.Confine.Write, c.Confine.Keep = []string{root}, []string{root + "/a/b/.git"}
	if _, err := c.Run(t.Context()); err == nil || !strings.Contains(err.Error(), root+"/a/b: more than") {
		t.Error(err)
	}
	if err := os.RemoveAll(root + "/a/b/.git"); err != nil {
		t.Fatal(err)
	}
	c = confined(t, LevelRestricted, "true")
	c.Confine.Write = []string{root}
	if r := run(t, c); r.ExitCode != 0 {
		t.Errorf("%+v %s", r, c.Stderr.Head)
	}
}

// TestGrantsAreNotKept: at LevelRestricted a file that takes the place of another one can be changed by the next job.
func TestGrantsAreNotKept(t *testing.T) {
	need(t, LevelRestricted)
	root := keepTree(t)
	var keepers Keepers
	defer keepers.Close()
	confinement := confined(t, LevelRestricted, "").Confine
	confinement.Write, confinement.Keep = []string{root}, []string{root + "/a/b/.git"}
	for range 2 {
		c := confined(t, LevelRestricted, "echo y >>a/b/file")
		c.Keepers, c.Confine, c.Dir = &keepers, confinement, root
		if err := os.WriteFile(root+"/a/b/new", nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(root+"/a/b/new", root+"/a/b/file"); err != nil {
			t.Fatal(err)
		}
		if r := run(t, c); r.ExitCode != 0 {
			t.Errorf("%+v %s", r, c.Stderr.Head)
		}
	}
}

// picture lists what is to be kept below root, with modes and contents.
func picture(root string) string {
	var b strings.Builder
	for _, dir := range []string{"/a/ws", "/a/b/.git"} {
		filepath.WalkDir(root+dir, func(path string, d os.DirEntry, err error) error {
			if err != nil {
				return nil
			}
			info, err := d.Info()
			text, _ := os.ReadFile(path)
			fmt.Fprintf(&b, "%s %v %s %v\n", path, info.Mode(), text, err)
			return nil
		})
	}
	return b.String()
}

// TestConfinedLinkOnTheWay: a link that is put on the way to something closed gives a job nothing of what it leads to.
func TestConfinedLinkOnTheWay(t *testing.T) {
	need(t, LevelFull)
	outer := t.TempDir()
	for _, dir := range []string{"root", "other/b/.git"} {
		if err := os.MkdirAll(filepath.Join(outer, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../other", outer+"/root/a"); err != nil {
		t.Fatal(err)
	}
	c := confined(t, LevelFull, "touch "+outer+"/other/b/new")
	c.Confine.Read = append(c.Confine.Read, outer+"/other")
	c.Confine.Write, c.Confine.Keep = []string{outer + "/root"}, []string{outer + "/root/a/b/.git"}
	if r := run(t, c); r.ExitCode == 0 {
		t.Errorf("%+v", r)
	}
	if unix.Access(outer+"/other/b/new", unix.F_OK) == nil {
		t.Error("written")
	}
}

// TestConfinedDevices: a job writes to devices, and changes nothing about them.
func TestConfinedDevices(t *testing.T) {
	need(t, LevelFull)
	if os.Geteuid() != 0 {
		t.Skip("only root has devices of its own")
	}
	device := t.TempDir() + "/zero"
	if err := unix.Mknod(device, unix.S_IFCHR|0o666, 1<<8|5); err != nil {
		t.Skip(err)
	}
	if err := os.Chmod(device, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, level := range []Level{LevelFull, LevelNone} {
		c := confined(t, level, `echo x >"$0" && head -c 1 "$0" && chmod 600 "$0" && touch -d 2001-01-01 "$0"`)
		c.Argv = append(c.Argv, device)
		c.Confine.Devices = append([]string{device}, DefaultDevices...)
		r := run(t, c)
		info, err := os.Stat(device)
		if err != nil {
			t.Fatal(err)
		}
		if changed := info.Mode().Perm() != 0o666 || info.ModTime().Year() == 2001; changed == (level == LevelFull) ||
			len(c.Stdout.Head) != 1 || changed != (r.ExitCode == 0) {
			t.Errorf("%s: %+v %v %s", level, r, info.Mode(), c.Stderr.Head)
		}
	}
}

// TestConfinedMoves: a job moves its own files from folder to folder, and nobody else's into them.
func TestConfinedMoves(t *testing.T) {
	each(t, func(t *testing.T, level Level) {
		c := confined(t, level, "mkdir a b && echo x >a/f && ln a/f b/g && cat b/g && ! ln ../theirs b/h && ! ln /bin/sh b/i")
		theirs := filepath.Join(filepath.Dir(c.Dir), "theirs")
		if err := os.WriteFile(theirs, nil, 0o666); err != nil {
			t.Fatal(err)
		}
		c.Confine.Read = append(c.Confine.Read, theirs)
		if r := run(t, c); r.ExitCode != 0 {
			t.Errorf("%+v %s", r, c.Stderr.Head)
		}
	})
}

// TestConfinedObjects: a folder is given to a job only if it is still the one that it was, and never by a link.
func TestConfinedObjects(t *testing.T) {
	each(t, func(t *testing.T, level Level) {
		for _, linked := range []bool{false, true} {
			dir := t.TempDir()
			for _, d := range []string{"root", "outside"} {
				if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			var st unix.Stat_t
			if err := unix.Stat(dir+"/root", &st); err != nil {
				t.Fatal(err)
			}
			try := func() error {
				c := confined(t, level, "touch "+dir+"/root/new")
				c.Confine.Write = []string{dir + "/root"}
				c.Confine.Objects = map[string]Object{dir + "/root": {uint64(st.Dev), st.Ino}}
				if linked {
					c.Confine.Objects = nil
				}
				r, err := c.Run(t.Context())
				if err == nil && r.ExitCode != 0 {
					err = fmt.Errorf("%+v", r)
				}
				return err
			}
			if err := try(); err != nil {
				t.Errorf("control: %v", err)
			}
			if err := os.Rename(dir+"/root", dir+"/old"); err != nil {
				t.Fatal(err)
			}
			replace := func() error { return os.Rename(dir+"/outside", dir+"/root") }
			if linked {
				replace = func() error { return os.Symlink("outside", dir+"/root") }
			}
			if err := replace(); err != nil {
				t.Fatal(err)
			}
			if start, ok := errors.AsType[*StartError](try()); !ok || start.Reason != ReasonConfine {
				t.Errorf("linked %t: it ran, or failed otherwise: %v", linked, start)
			}
			if unix.Access(dir+"/root/new", unix.F_OK) == nil {
				t.Error("written outside")
			}
		}
	})
}

// TestConfinedNested: a writable folder in another one stays where it is, and so does what it lies in.
func TestConfinedNested(t *testing.T) {
	need(t, LevelFull)
	for _, script := range []string{"mv a/b a/c", "mv a c", "rm -rf a/b && ln -s /tmp a/b"} {
		dir := t.TempDir()
		if err := os.MkdirAll(dir+"/a/b", 0o755); err != nil {
			t.Fatal(err)
		}
		c := confined(t, LevelFull, script)
		c.Confine.Write, c.Dir = []string{dir, dir + "/a/b"}, dir
		if r := run(t, c); r.ExitCode == 0 {
			t.Errorf("%s: %+v", script, r)
		}
	}
}

// TestStraight: both ways of looking a path up follow no link, and take paths of any length.
func TestStraight(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir+"/a/b", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("a", dir+"/link"); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("/"+strings.Repeat("x", 200), 30)
	at, err := unix.Open(dir, unix.O_PATH, 0)
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.SplitSeq(long[1:], "/") {
		if err := unix.Mkdirat(at, name, 0o755); err != nil {
			t.Fatal(err)
		}
		next, err := unix.Openat(at, name, unix.O_PATH, 0)
		unix.Close(at)
		if err != nil {
			t.Fatal(err)
		}
		at = next
	}
	unix.Close(at)
	for name, open := range map[string]func(int, string) (int, error){"at once": straightAtOnce, "by step": straightByStep, "any": straight} {
		for path, ok := range map[string]bool{"/a/b": true, "/a": true, "/link": true, "/link/b": false, "/none": false, "/a/b/..": true, long: name == "any" || name == "by step"} {
			fd, err := open(unix.AT_FDCWD, dir+path)
			if err == nil {
				unix.Close(fd)
			}
			if (err == nil) != ok {
				t.Errorf("%s: %.40s: %v", name, path, err)
			}
		}
	}
}
