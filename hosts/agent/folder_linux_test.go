package agent

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestUntouched: whatever a job does to its folder, also what it takes back, has the folder looked at again.
func TestUntouched(t *testing.T) {
	for name, change := range map[string]func(dir string) error{
		"nothing":            nil,
		"a file":             func(dir string) error { return os.WriteFile(dir+"/home/x", nil, 0o600) },
		"a file for a while": func(dir string) error { put(t, dir+"/tmp/x", "x"); return os.Remove(dir + "/tmp/x") },
		"a mode for a while": func(dir string) error {
			if err := os.Chmod(dir, 0o755); err != nil {
				return err
			}
			return os.Chmod(dir, 0o700)
		},
		"times set back": func(dir string) error {
			put(t, dir+"/home/x", "x")
			return os.Chtimes(dir+"/home", time.Unix(1, 0), time.Unix(1, 0))
		},
		"an attribute": func(dir string) error { return unix.Setxattr(dir+"/tmp", "user.x", []byte("x"), 0) },
		"another home": func(dir string) error {
			if err := os.Rename(dir+"/home", dir+"/old"); err != nil {
				return err
			}
			return os.Mkdir(dir+"/home", 0o700)
		},
		"two changed for one another": func(dir string) error {
			return unix.Renameat2(unix.AT_FDCWD, dir+"/home", unix.AT_FDCWD, dir+"/tmp", unix.RENAME_EXCHANGE)
		},
		"a flag": func(dir string) error { return exec.Command("chattr", "+A", dir+"/home").Run() },
	} {
		t.Run(name, func(t *testing.T) {
			f := &folders{dir: t.TempDir(), warn: t.Logf}
			d, err := f.take()
			if err != nil {
				t.Fatal(err)
			}
			if !d.pristine() || d.untouched() {
				t.Fatal("a folder that was just made may change with the same time once more")
			}
			time.Sleep(stampSlack + 20*time.Millisecond)
			if !d.pristine() || !d.untouched() {
				t.Fatal("nothing has changed, and it is looked at each time")
			}
			if change == nil {
				return
			}
			if err := change(d.path); err != nil {
				t.Skip(err)
			}
			if d.untouched() {
				t.Error("not noticed")
			}
		})
	}
}
