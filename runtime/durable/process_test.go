package durable

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

func TestAlive(t *testing.T) {
	boot, err := BootID()
	if err != nil || boot == "" {
		t.Fatal(boot, err)
	}
	if again, _ := BootID(); again != boot {
		t.Errorf("the boot is %q and %q", boot, again)
	}
	pid := os.Getpid()
	start, err := ProcessStart(pid)
	if err != nil || start <= 0 {
		t.Fatal(start, err)
	}
	for name, test := range map[string]struct {
		boot  string
		pid   int
		start int64
		want  bool
	}{
		"this process":       {boot, pid, start, true},
		"before a reboot":    {"other", pid, start, false},
		"a number reused":    {boot, pid, start - 1, false},
		"no such process":    {boot, 1 << 30, start, false},
		"not a process":      {boot, 0, 0, false},
		"a group of them":    {boot, -pid, start, false},
		"another process, 1": {boot, 1, start, false},
	} {
		if got := Alive(test.boot, test.pid, test.start); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestZombieIsNotAlive(t *testing.T) {
	boot, err := BootID()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	start, err := ProcessStart(cmd.Process.Pid)
	if err != nil || !Alive(boot, cmd.Process.Pid, start) {
		t.Errorf("while it runs: %v", err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for range 500 { // nobody has waited for it, so its number is still taken
		if _, err = ProcessStart(cmd.Process.Pid); err != nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if !errors.Is(err, fs.ErrNotExist) || Alive(boot, cmd.Process.Pid, start) {
		t.Errorf("killed and not waited for: %v", err)
	}
	cmd.Wait()
	if _, err := ProcessStart(cmd.Process.Pid); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("gone: %v", err)
	}
}

func TestFileSystem(t *testing.T) {
	dir := t.TempDir()
	here, err := FileSystem(dir)
	if err != nil || here.Name == "" || here.Network {
		t.Errorf("%+v, %v", here, err)
	}
	if _, err := FileSystem(filepath.Join(dir, "missing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing path: %v", err)
	}
	if !networks["nfs"] || !networks["fuse.sshfs"] || networks["fuse"] || networks["ext4"] {
		t.Error("the wrong file systems count as networks")
	}
}

func TestSameInode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	check := func(what string, want bool) {
		t.Helper()
		if got, err := SameInode(f, path); err != nil || got != want {
			t.Errorf("%s: %v, %v", what, got, err)
		}
	}
	check("the file", true)
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	check("no file", false)
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	check("another file", false)
	if err := errors.Join(os.Remove(path), os.Symlink(path+".old", path)); err != nil {
		t.Fatal(err)
	}
	check("a link to it", false)
	if st, err := Lstat(path); err != nil || st.Regular {
		t.Errorf("a link: %+v, %v", st, err)
	}
}
