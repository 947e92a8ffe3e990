//go:build amd64 || arm64

package sandbox

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// selfMain is a process that restricts itself to a folder, or as a control does not, and then tries what it may not.
func selfMain(dir, secret, mode string) int {
	if mode == "restricted" {
		if err := RestrictSelf([]string{dir}, nil); err != nil {
			fmt.Println(err)
			return exitUnknown
		}
	}
	say := func(what string, err error) {
		word := "done"
		if err != nil {
			word = "refused"
		}
		fmt.Println(what, word)
	}
	_, err := os.ReadFile(secret)
	say("read outside", err)
	say("write outside", os.WriteFile(secret+".new", nil, 0o600))
	_, err = os.ReadDir("/etc")
	say("list outside", err)
	_, err = net.Listen("unix", filepath.Join(dir, "socket"))
	say("socket", err)
	say("program", exec.Command("/bin/true").Run())
	say("write inside", os.WriteFile(filepath.Join(dir, "a"), []byte("x"), 0o600))
	say("rename inside", os.Rename(filepath.Join(dir, "a"), filepath.Join(dir, "b")))
	_, err = os.ReadFile(filepath.Join(dir, "b"))
	say("read inside", err)
	// Other threads: as many as it takes to have some that were there before.
	var wg sync.WaitGroup
	var mu sync.Mutex
	opened := error(os.ErrPermission)
	for range 32 {
		wg.Go(func() {
			if _, err := os.ReadFile(secret); err == nil {
				mu.Lock()
				opened = nil
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	say("read outside on other threads", opened)
	return 0
}

func TestRestrictSelf(t *testing.T) {
	need(t, LevelRestricted)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	run := func(mode string) string {
		dir := t.TempDir()
		secret := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(secret, []byte("s"), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(self)
		cmd.Env = []string{"ATTEMPT=self", "SELF=" + strings.Join([]string{dir, secret, mode}, "\n")}
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(out)
	}
	free := run("free")
	if strings.Contains(free, "refused") {
		t.Fatalf("the control: not all can be done without\n%s", free)
	}
	got := run("restricted")
	for what, word := range map[string]string{"read outside": "refused", "write outside": "refused", "list outside": "refused",
		"socket": "refused", "program": "refused", "write inside": "done", "rename inside": "done", "read inside": "done"} {
		if !strings.Contains(got, what+" "+word+"\n") {
			t.Errorf("%s is not %s:\n%s", what, word, got)
		}
	}
	// Linked with C, as for the race detector, only the thread that asked is restricted by Landlock.
	if !linkedWithC() && !strings.Contains(got, "read outside on other threads refused\n") {
		t.Errorf("other threads:\n%s", got)
	}
}

// linkedWithC reports whether calls on all threads cannot be had.
func linkedWithC() bool {
	_, _, errno := syscall.AllThreadsSyscall(syscall.SYS_GETPID, 0, 0, 0)
	return errno == syscall.ENOTSUP
}
