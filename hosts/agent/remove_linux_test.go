package agent

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// nest makes folders inside one another, deeper than a path is long and than a process may have files open.
func nest(t *testing.T, dir string, depth int) {
	t.Helper()
	at, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	for range depth {
		if err == nil {
			err = unix.Mkdirat(at, "a folder with a name", 0o500)
		}
		next := -1
		if err == nil {
			next, err = unix.Openat(at, "a folder with a name", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		}
		if err == nil {
			err = unix.Fchmod(at, 0o700)
		}
		unix.Close(at)
		at = next
	}
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(at)
}

// What a job left is removed whatever it is: deep, wide, closed, or with names that look like options.
func TestRemoval(t *testing.T) {
	dir := t.TempDir()
	work := filepath.Join(dir, "work")
	outside := filepath.Join(dir, "outside")
	for _, d := range []string{work, work + "/closed/in", work + "/-rf", outside} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	nest(t, work, 5000)
	for i := range 3000 {
		put(t, filepath.Join(work, "closed", strconv.Itoa(i)), "x")
	}
	put(t, filepath.Join(outside, "kept"), "x")
	if err := errors.Join(os.Symlink(outside, work+"/link"), unix.Mkfifo(work+"/fifo", 0o600), os.Chmod(work+"/closed/in", 0),
		os.Chmod(work+"/closed", 0)); err != nil {
		t.Fatal(err)
	}
	f, err := openDir(work)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := (&removal{until: time.Unix(1, 0)}).empty(f); !errors.Is(err, errMore) {
		t.Errorf("with no time: %v", err)
	}
	if err := (&removal{}).empty(f); err != nil {
		t.Error(err)
	}
	if n := entries(f); n != 0 {
		t.Errorf("%d names are left", n)
	}
	if _, err := os.Stat(filepath.Join(outside, "kept")); err != nil {
		t.Error("a link was followed: ", err)
	}
}

// A folder that a process left full is emptied by the next one, beside its work.
func TestLeftoversAreTakenUp(t *testing.T) {
	f := newFixture(t)
	left := filepath.Join(f.ws, "runtime/.sheratan/jobs/7")
	if err := os.MkdirAll(left, 0o700); err != nil {
		t.Fatal(err)
	}
	nest(t, left, 3000)
	// On a busy machine it may take more than one.
	for tries := 0; !clean(left); tries++ {
		if tries == 100 {
			t.Fatal("it is not empty")
		}
		a := New(f.opt)
		a.Attempt(t.Context(), newJob(t, "job-1", "exec", sh("true"), 60), 1)
		a.Close()
	}
}
