package durable

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// A folder has no room where its file system is full of bytes or of files, and leaves nothing behind where it has.
func TestRoom(t *testing.T) {
	dir := t.TempDir()
	if err := Room(dir, 1<<16); err != nil {
		t.Error(err)
	}
	for _, full := range []string{"size=64k", "nr_inodes=2"} {
		if err := unix.Mount("none", dir, "tmpfs", 0, full); err != nil {
			t.Skipf("a full file system takes the right to mount one: %v", err)
		}
		err := os.WriteFile(dir+"/x", nil, 0o600)
		if err == nil {
			err = Room(dir, 1<<17)
		}
		list, _ := os.ReadDir(dir)
		unix.Unmount(dir, 0)
		if !errors.Is(err, unix.ENOSPC) || len(list) > 1 {
			t.Errorf("%s: %v, and %d files", full, err, len(list))
		}
	}
}
