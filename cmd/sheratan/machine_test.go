//go:build linux

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestUnwritable takes the right to write away from an ordinary user, one folder at a time: what needs it fails with the
// name of the folder, what does not goes on, and with the right given back nothing is lost.
func TestUnwritable(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	if os.Getuid() == 0 && s.uid < 0 {
		t.Skip("root may write everywhere")
	}
	s.must("submit", "--id", "old", "--kind", "noop")
	s.must("tick")
	for i, tt := range []struct {
		dir  string
		code int // of tick
		said string
	}{
		{"runtime/inbox/operator", 0, "cannot be taken out of the inbox"},
		{"runtime/queue/approved", 0, ""},
		{"runtime/outbox/results", 0, ""},
		{"runtime/outbox/replies/operator", 0, "runtime/outbox/replies/operator"},
		{"runtime/.sheratan/claimed", 0, "cannot be taken out of the inbox"},
		{"runtime/.sheratan/slots", 0, ""},
		{"runtime/.sheratan/projecting", 1, "runtime/.sheratan/projecting"},
		{"runtime/.git/objects", 1, "runtime/.git/objects"},
	} {
		id := "job" + string(rune('a'+i))
		s.must("submit", "--id", id, "--kind", "noop")
		dir := s.path(tt.dir)
		info, err := os.Stat(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, 0o500); err != nil {
			t.Fatal(err)
		}
		_, errs, code := s.run(nil, "tick")
		if code != tt.code || !strings.Contains(errs, tt.said) {
			t.Errorf("%s: exit %d, want %d and %q\n%s", tt.dir, code, tt.code, tt.said, errs)
		}
		if code != 0 && !strings.Contains(errs, "hint: sheratan doctor") {
			t.Errorf("%s: no way out is named\n%s", tt.dir, errs)
		}
		if n := strings.Count(errs, tt.said); tt.said != "" && n > 2 {
			t.Errorf("%s: is said %d times\n%s", tt.dir, n, errs)
		}
		if err := os.Chmod(dir, info.Mode()); err != nil {
			t.Fatal(err)
		}
		s.must("tick")
		if got := s.status(id); got != "completed" {
			t.Errorf("%s: %s is %q afterwards", tt.dir, id, got)
		}
	}
	s.must("ledger", "verify")
	s.must("index", "check")

	// What cannot be written at all, or not read.
	if err := os.Chmod(s.path("runtime/inbox/operator"), 0o500); err != nil {
		t.Fatal(err)
	}
	s.fails(1, []string{"runtime/inbox/operator", "permission denied", "hint: "}, "submit", "--kind", "noop")
	if err := os.Chmod(s.path("runtime/inbox/operator"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(s.path("config/sheratan.json"), 0); err != nil {
		t.Fatal(err)
	}
	s.fails(1, []string{"config/sheratan.json", "permission denied", "hint: "}, "tick")
	if err := os.Chmod(s.path("config/sheratan.json"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s.uid >= 0 {
		if err := os.Chown(filepath.Dir(s.ws), 0, 0); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Dir(s.ws), 0o755); err != nil {
			t.Fatal(err)
		}
		s.fails(1, []string{"permission denied"}, "init", filepath.Join(filepath.Dir(s.ws), "second"))
	}

	// A proposal that cannot be read is one proposal: it waits, then it is blocked, and the others run.
	s.write("runtime/inbox/secret.json", []byte(`{"id":"unread","payload":{"kind":"noop","params":{}}}`))
	if err := os.Chmod(s.path("runtime/inbox/secret.json"), 0); err != nil {
		t.Fatal(err)
	}
	s.must("submit", "--id", "beside", "--kind", "noop")
	s.must("tick")
	if got := s.status("beside"); got != "completed" {
		t.Errorf("a file that cannot be read stops another: %q", got)
	}
	if got := s.status("unread"); got != "" {
		t.Errorf("a proposal that cannot be read is %q", got)
	}
	s.must("ledger", "verify")
}

// tmpfs mounts a small file system of its own and makes a workspace in it.
func tmpfs(t *testing.T) (*site, string) {
	t.Helper()
	base, err := os.MkdirTemp("", "sheratan-tmpfs-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(base) })
	if err := unix.Mount("none", base, "tmpfs", 0, "size=4m,mode=755"); err != nil {
		t.Skipf("a file system of its own cannot be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(base, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return newSiteIn(t, base), base
}

// TestFullDisk fills the disk at several places of the way from the inbox to git. Nothing is lost and nothing is done
// twice, what only reads works, and with space again everything goes on.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	s, base := tmpfs(t)
	s.must("submit", "--id", "old", "--kind", "noop")
	s.must("tick")
	fill := filepath.Join(base, "fill")
	size := 0
	// With nothing to do: who could have proposed something?
	if err := os.WriteFile(fill, make([]byte, 4<<20), 0o644); err == nil {
		t.Fatal("the disk does not get full")
	}
	s.fails(1, []string{"no space left on device", base, "hint: sheratan doctor"}, "tick")
	if err := os.Remove(fill); err != nil {
		t.Fatal(err)
	}
	// First no space at all, then a little more each time, so that it runs out at another step.
	for i, free := range []int{0, 4, 8, 16, 24, 32, 48, 64} {
		id := "job" + string(rune('a'+i))
		s.must("submit", "--id", id, "--kind", "noop")
		s.must("submit", "--id", "bad"+id, "--kind", "file_read", "--param", "path=../x")
		var st unix.Statfs_t
		if err := unix.Statfs(base, &st); err != nil {
			t.Fatal(err)
		}
		size = int(st.Bfree)*int(st.Bsize) - free<<10
		if err := os.WriteFile(fill, make([]byte, max(0, size)), 0o644); err != nil {
			t.Fatal(err)
		}
		_, errs, code := s.run(nil, "tick")
		if free == 0 && code != 1 {
			t.Errorf("no space at all: exit %d\n%s", code, errs)
		}
		if code != 0 && (code != 1 || !strings.Contains(errs, "no space left on device") && !strings.Contains(errs, "disk")) {
			t.Errorf("%d KiB: exit %d\n%s", free, code, errs)
		}
		if free == 0 {
			if !strings.Contains(errs, base) || !strings.Contains(errs, "hint: sheratan doctor") {
				t.Errorf("the place and the way out are not named:\n%s", errs)
			}
			s.fails(1, []string{"no space left on device", "runtime/inbox"}, "submit", "--id", "refused", "--kind", "noop")
			s.must("status")
			s.must("ledger", "verify")
			if got := s.status("old"); got != "completed" {
				t.Errorf("old is %q", got)
			}
		}
		if err := os.Remove(fill); err != nil {
			t.Fatal(err)
		}
		s.must("tick")
		if got := s.status(id); got != "completed" {
			t.Errorf("%d KiB: %s is %q afterwards", free, id, got)
		}
		if got := s.status("bad" + id); got != "quarantined" {
			t.Errorf("%d KiB: bad%s is %q afterwards", free, id, got)
		}
	}
	if got := s.status("refused"); got != "" {
		t.Errorf("what was not taken is %q", got)
	}
	s.must("ledger", "verify")
	s.must("index", "check")
}

// TestReadOnly makes the file system read-only under a workspace.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	s, base := tmpfs(t)
	s.must("submit", "--id", "waiting", "--kind", "noop")
	if err := unix.Mount("none", base, "", unix.MS_REMOUNT|unix.MS_RDONLY, "size=4m"); err != nil {
		t.Skipf("cannot be mounted read-only: %v", err)
	}
	for _, args := range [][]string{{"tick"}, {"gate"}, {"run"}, {"pause"}, {"submit", "--kind", "noop"}, {"index", "rebuild"}} {
		s.fails(1, []string{base, "read-only file system", "hint: sheratan doctor"}, args...)
	}
	out, _, code := s.run(nil, "doctor")
	if code != 1 || !strings.Contains(string(out), "is read-only") || !strings.Contains(string(out), "mount -o remount,rw") {
		t.Errorf("doctor: exit %d\n%s", code, out)
	}
	s.must("gate", "--dry-run")
	if err := unix.Mount("none", base, "", unix.MS_REMOUNT, "size=4m"); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	s.must("tick")
	if got := s.status("waiting"); got != "completed" || time.Since(begun) > time.Minute {
		t.Errorf("waiting is %q", got)
	}
	s.must("ledger", "verify")
}
