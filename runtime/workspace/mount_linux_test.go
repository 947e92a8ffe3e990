package workspace

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// mounted makes a workspace on a file system of its own.
func mounted(t *testing.T, size string) *Workspace {
	t.Helper()
	needRoot(t)
	dir := t.TempDir()
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("mount: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	p, _ := makeAt(t, InitOptions{Cwd: dir, Dir: dir + "/ws"})
	return p.Workspace
}

func TestReadOnlyFileSystem(t *testing.T) {
	w := mounted(t, "20m")
	write(t, w.Inbox()+"/a.json", "{}")
	e := one(t, w)
	mount := strings.TrimSuffix(w.Root(), "/ws")
	if err := syscall.Mount("none", mount, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Skipf("remount: %v", err)
	}
	c := claimer(t, w, time.Now)
	if _, err := c.Take(e, 100, parses); !errors.Is(err, syscall.EROFS) || errors.Is(err, ErrStuck) {
		t.Errorf("take: %v", err)
	}
	if _, err := w.Put("operator", []NewFile{{Name: "a.json", Data: []byte("{}")}}); !errors.Is(err, syscall.EROFS) {
		t.Errorf("put: %v", err)
	}
	checks := w.Probe(t.Context(), ProbeOptions{Now: time.Now()})
	for _, name := range []string{"file system", "writing"} {
		if got := find(checks, name); got.Status != HealthBad || got.Fix != "mount -o remount,rw "+mount {
			t.Errorf("%+v", got)
		}
	}
}

func TestFullDisk(t *testing.T) {
	w := mounted(t, "300k")
	big := []byte(`{"x":"` + strings.Repeat("y", 200<<10) + `"}`)
	var err error
	for range 3 {
		if _, err = w.Put("operator", []NewFile{{Name: "a.json", Data: big}}); err != nil {
			break
		}
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("put: %v", err)
	}
	// Nothing half-written may count as a proposal, and what was acknowledged is whole.
	entries, _ := drain(t, w, 100)
	for _, e := range entries {
		if got, err := os.ReadFile(e.Path); err != nil || len(got) != len(big) {
			t.Errorf("%s has %d bytes, %v", e.Name, len(got), err)
		}
	}
	if left, err := os.ReadDir(w.InboxOf("operator")); err != nil || len(left) != len(entries) {
		t.Errorf("left over: %v, %v", left, err)
	}
	filler, err := os.Create(w.Root() + "/filler")
	if err != nil {
		t.Fatal(err)
	}
	defer filler.Close()
	for err == nil {
		_, err = filler.Write(make([]byte, 4096))
	}
	if got := find(w.Probe(t.Context(), ProbeOptions{Now: time.Now()}), "writing"); got.Status != HealthBad || !strings.HasPrefix(got.Fix, "free some space") {
		t.Errorf("%+v", got)
	}
}

func TestEntryOnAnotherFileSystemIsStuck(t *testing.T) {
	w := newWorkspace(t)
	needRoot(t)
	if err := os.Mkdir(w.InboxOf("box"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("none", w.InboxOf("box"), "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("mount: %v", err)
	}
	defer syscall.Unmount(w.InboxOf("box"), syscall.MNT_DETACH)
	write(t, w.InboxOf("box")+"/a.json", "{}")
	if _, err := claimer(t, w, time.Now).Take(one(t, w), 100, parses); !errors.Is(err, ErrStuck) {
		t.Errorf("%v, want ErrStuck", err)
	}
}

func TestInitLooksAtTheFileSystemBelow(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	// Nothing can be relied on to mount a network file system without a server. What can be shown is that it is the file
	// system of the nearest existing parent that is looked at; durable tells which are networks.
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("mount: %v", err)
	}
	defer syscall.Unmount(dir, 0)
	makeAt(t, InitOptions{Cwd: dir, Dir: dir + "/a/b"})
	checks := reopen(t, dir+"/a/b").Probe(t.Context(), ProbeOptions{})
	if c := find(checks, "file system"); c.Status != HealthBad || !strings.Contains(c.Detail, "tmpfs") {
		t.Errorf("%+v", c)
	}
}

func reopen(t *testing.T, dir string) *Workspace {
	t.Helper()
	w, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return w
}
