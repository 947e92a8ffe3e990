package sandbox

import (
	"os"
	"os/exec"
	"runtime"
	"slices"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// TestAdoptedSparesOthers: where this process has a filter of system calls itself, its other children are not taken for what a
// keeper left.
func TestAdoptedSparesOthers(t *testing.T) {
	cmd := exec.Command(os.Args[0], "-test.run=^TestHelperFiltered$")
	cmd.Env = append(os.Environ(), "TEST_FILTERED=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestHelperFiltered(t *testing.T) {
	if os.Getenv("TEST_FILTERED") == "" {
		t.Skip("is run by TestAdoptedSparesOthers")
	}
	filter := func(flags uintptr) {
		t.Helper()
		list := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW}}
		program := unix.SockFprog{Len: 1, Filter: &list[0]}
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			t.Fatal(err)
		}
		if _, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&program))); errno != 0 {
			t.Fatal(errno)
		}
	}
	start := func() int {
		t.Helper()
		cmd := exec.Command("sleep", "100")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
		return cmd.Process.Pid
	}
	filter(unix.SECCOMP_FILTER_FLAG_TSYNC)
	other := start()
	job := 0
	aside(func() {
		filter(0)
		job = start()
	})
	if list := adopted(); !slices.Equal(list, []int{job}) {
		t.Errorf("%v: %d is as this process, %d has a filter more", list, other, job)
	}
}

// aside calls a function in a thread that is not the first, and ends with it.
func aside(do func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // for good
		if unix.Gettid() == unix.Getpid() {
			aside(do)
			return
		}
		do()
	}()
	<-done
}
