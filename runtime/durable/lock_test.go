package durable

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestMain lets the test binary play the other process: it takes the lock named by the environment, says so, and holds it
// until its standard input ends.
func TestMain(m *testing.M) {
	path := os.Getenv("DURABLE_TEST_LOCK")
	if path == "" {
		os.Exit(m.Run())
	}
	if _, err := Lock(context.Background(), path); err != nil {
		os.Exit(1)
	}
	os.Stdout.WriteString("locked\n")
	io.Copy(io.Discard, os.Stdin)
}

// otherProcess starts a process that holds the lock.
func otherProcess(t *testing.T, path string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "DURABLE_TEST_LOCK="+path)
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	if s, err := bufio.NewReader(out).ReadString('\n'); err != nil || s != "locked\n" {
		t.Fatal(s, err)
	}
	return cmd
}

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	l, err := Lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := TryLock(path); !errors.Is(err, ErrLocked) {
		t.Errorf("a second handle: %v", err)
	}
	if err := l.Unlock(); err != nil {
		t.Error(err)
	}
	again, err := TryLock(path)
	if err != nil {
		t.Fatal(err)
	}
	if again.Path() != path {
		t.Errorf("path %s", again.Path())
	}
	if err := again.Unlock(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the file was deleted: %v", err)
	}
	if _, err := Lock(t.Context(), filepath.Join(path, "x")); err == nil {
		t.Error("a path through a file")
	}
	link := path + ".link"
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if _, err := TryLock(link); err == nil {
		t.Error("a link was followed")
	}
}

func TestLockOfKilledProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	cmd := otherProcess(t, path)
	if _, err := TryLock(path); !errors.Is(err, ErrLocked) {
		t.Fatalf("held by another process: %v", err)
	}
	got := make(chan error, 1)
	go func() {
		l, err := Lock(context.Background(), path)
		if err == nil {
			err = l.Unlock()
		}
		got <- err
	}()
	select {
	case err := <-got:
		t.Fatalf("did not wait: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-got:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the lock outlives its process")
	}
}

// TestLockGivenUp checks that one who stops waiting neither holds the lock later nor leaves anything running.
func TestLockGivenUp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	held, err := Lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if _, err := Lock(ctx, path); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	ended, stop := context.WithCancel(t.Context())
	stop()
	if _, err := Lock(ended, path); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if err := held.Unlock(); err != nil {
		t.Fatal(err)
	}
	again, err := Lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Unlock(); err != nil {
		t.Fatal(err)
	}
	for range 500 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), before)
}

func TestLockExcludes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	var wg sync.WaitGroup
	var inside, count atomic.Int32 // the race detector does not know that a lock on a file orders anything
	for range 8 {
		wg.Go(func() {
			for range 100 {
				ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
				l, err := Lock(ctx, path)
				cancel()
				if err != nil {
					t.Error(err)
					return
				}
				if inside.Add(1) != 1 {
					t.Error("two at once")
				}
				count.Add(1)
				runtime.Gosched()
				inside.Add(-1)
				if err := l.Unlock(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := count.Load(); n != 800 {
		t.Errorf("%d times inside", n)
	}
}

// TestLockFileDeleted deletes the file of a held lock: a new holder of the name and one who waited for the old file must
// not both come in.
func TestLockFileDeleted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	old, err := Lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	waited := make(chan *LockedFile, 1)
	go func() {
		l, err := Lock(context.Background(), path)
		if err != nil {
			t.Error(err)
		}
		waited <- l
	}()
	time.Sleep(50 * time.Millisecond)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	fresh, err := TryLock(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := old.Unlock(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-waited:
		t.Error("two hold the lock")
	case <-time.After(100 * time.Millisecond):
	}
	if err := fresh.Unlock(); err != nil {
		t.Fatal(err)
	}
	if l := <-waited; l != nil {
		l.Unlock()
	}
}
