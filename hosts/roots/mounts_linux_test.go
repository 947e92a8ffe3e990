package roots

import (
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// TestBindMounts makes what is forbidden appear inside a root, as whole and in parts, in a mount namespace of its own.
func TestBindMounts(t *testing.T) {
	f := newFixture(t)
	for _, name := range []string{"whole/x", "part/x", "git/x", "ws/x", "public/x", "proc/x"} {
		put(t, filepath.Join(f.work, name), "below")
	}
	put(t, filepath.Join(f.work, "file"), "below")
	put(t, filepath.Join(f.work, "public-file"), "below")
	// The thread keeps the namespace, and must not be used for anything else: it ends with the goroutine.
	done := make(chan bool)
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
			t.Log("skipped: no mount namespace can be made:", err)
			return
		}
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			t.Error(err)
			return
		}
		for to, from := range map[string]string{"whole": "ws/config", "part": "ws/config/policies", "git": "ws/work/.git",
			"ws": "ws", "file": "ws/config/secret", "public": "outside", "public-file": "outside/secret"} {
			if err := unix.Mount(filepath.Join(f.base, from), filepath.Join(f.work, to), "", unix.MS_BIND, ""); err != nil {
				t.Error(err)
				return
			}
		}
		// Roots that are open already keep showing what lay there when they were opened.
		if s, err := f.read("whole/x"); s != "below" || err != nil {
			t.Error(s, err)
		}
		var err error
		if f.Roots, err = Open(f.ws, []string{"work"}, closed); err != nil {
			t.Error(err)
			return
		}
		defer f.Roots.Close()
		if err := unix.Mount("proc", filepath.Join(f.work, "proc"), "proc", 0, ""); err != nil {
			t.Log("proc is not tried:", err)
		} else if s, err := f.read("proc/version"); code(err) != ForbiddenPath {
			t.Errorf("proc: %q, %v", s, err)
		}
		for _, path := range []string{"whole/secret", "part/secret", "git/config", "ws/config/secret", "ws/runtime/secret", "file"} {
			if s, err := f.read(path); code(err) != ForbiddenPath {
				t.Errorf("read %s: %q, %v", path, s, err)
			}
			if err := f.Check(path); code(err) != ForbiddenPath {
				t.Errorf("check %s: %v", path, err)
			}
			if err := f.WriteFile(path, nil, Overwrite); code(err) != ForbiddenPath {
				t.Errorf("write %s: %v", path, err)
			}
		}
		// What the administrator mounts from elsewhere is his to mount.
		for _, path := range []string{"public/secret", "public-file"} {
			if _, err := f.read(path); err != nil {
				t.Errorf("read %s: %v", path, err)
			}
		}
		// A root that is such a mount.
		for _, root := range []string{"work/whole", "work/part", "work/git"} {
			if r, err := Open(f.ws, []string{root}, closed); err == nil {
				r.Close()
				t.Errorf("root %s was accepted", root)
			}
		}
	}()
	<-done
}
