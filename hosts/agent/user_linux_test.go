package agent

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/sheratan/sheratan/hosts/sandbox"
)

// TestMayRead: of the files that a job of another user leaves, root keeps only what that user could read. A hard link gives any file a name.
func TestMayRead(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	user := &sandbox.User{UID: 65534, GID: 65534, Groups: []int{7}}
	for _, c := range []struct {
		uid, gid int
		mode     os.FileMode
		may      bool
	}{
		{0, 0, 0o600, false}, {0, 0, 0o640, false}, {0, 0, 0o604, true}, {65534, 0, 0o400, true}, {65534, 0, 0o044, false},
		{0, 65534, 0o040, true}, {0, 7, 0o040, true}, {0, 7, 0o604, false},
	} {
		path := filepath.Join(t.TempDir(), "file")
		put(t, path, "x")
		if err := os.Chown(path, c.uid, c.gid); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if mayRead(f, user) != c.may || !mayRead(f, nil) {
			t.Errorf("%+v", c)
		}
	}
}
