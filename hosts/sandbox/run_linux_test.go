package sandbox

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// shell returns a command that runs a script, and keeps its outputs.
func shell(t *testing.T, script string) *Cmd {
	t.Helper()
	path, err := exec.LookPath("sh")
	if err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	mark := "SANDBOX_TEST=" + dir
	return &Cmd{Path: path, Argv: []string{"sh", "-c", script}, Dir: dir, Mark: mark,
		Env:    []string{"PATH=" + os.Getenv("PATH"), mark},
		Stdout: &Capture{Path: filepath.Join(dir, "out/stdout"), HeadLimit: 10000},
		Stderr: &Capture{Path: filepath.Join(dir, "out/stderr"), HeadLimit: 10000}}
}

func run(t *testing.T, c *Cmd) Report {
	t.Helper()
	r, err := c.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*Capture{c.Stdout, c.Stderr} {
		if err := s.Close(true); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// alive reports whether the process whose number is in the file name, in the command's folder, is running.
func alive(t *testing.T, c *Cmd, name string) bool {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(c.Dir, name))
	if err != nil {
		t.Fatal(err)
	}
	st, ok := readStat(strings.TrimSpace(string(b)))
	return ok && st.alive
}

func TestRun(t *testing.T) {
	c := shell(t, "cat; echo err >&2; pwd; exit 7")
	c.Stdin = []byte("input\n")
	r := run(t, c)
	if r.ExitCode != 7 || r.Signal != 0 || r.TimedOut || r.Cancelled || r.Survivors+r.Leaked != 0 {
		t.Fatalf("%+v", r)
	}
	if r.Duration <= 0 || r.Started.IsZero() {
		t.Fatalf("%+v", r)
	}
	want := "input\n" + c.Dir + "\n"
	got, err := os.ReadFile(c.Stdout.Path)
	sum := sha256.Sum256(got)
	if err != nil || string(got) != want || c.Stdout.SHA256() != hex.EncodeToString(sum[:]) ||
		string(c.Stdout.Head) != want || c.Stdout.Bytes != int64(len(want)) {
		t.Fatalf("%q %v", got, err)
	}
	if string(c.Stderr.Head) != "err\n" {
		t.Fatalf("%q", c.Stderr.Head)
	}
}

func TestSilentRunMakesNoFile(t *testing.T) {
	c := shell(t, "true")
	if r := run(t, c); r.ExitCode != 0 {
		t.Fatalf("%+v", r)
	}
	if _, err := os.Stat(filepath.Dir(c.Stdout.Path)); err == nil {
		t.Fatal("a folder was made for nothing")
	}
	if c.Stdout.SHA256() != "" || c.Stdout.Truncated() {
		t.Fatal(c.Stdout)
	}
}

func TestNothingIsInherited(t *testing.T) {
	t.Setenv("SECRET", "x")
	// A descriptor without close-on-exec, as a caller may leave us. The program sees 0, 1, 2 and the one it reads /proc by.
	fd, err := unix.FcntlInt(0, unix.F_DUPFD, 200)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	c := shell(t, "env; ls /proc/self/fd | wc -l; tty; cat")
	c.Stdin = nil
	c.Env = []string{"PATH=" + os.Getenv("PATH")}
	run(t, c)
	out := string(c.Stdout.Head)
	if strings.Contains(out, "SECRET") || !strings.Contains(out, "\n4\nnot a tty\n") {
		t.Fatalf("%q", out)
	}
	c = shell(t, "exec 3</dev/tty")
	if r := run(t, c); r.ExitCode == 0 {
		t.Fatal("the job has a terminal")
	}
}

func TestLongInput(t *testing.T) {
	input := bytes.Repeat([]byte("0123456789abcdef"), 1<<14) // four pipes full
	c := shell(t, "sleep 0.05; cat")
	c.Stdin = input
	if r := run(t, c); r.ExitCode != 0 {
		t.Fatalf("%+v", r)
	}
	if got, err := os.ReadFile(c.Stdout.Path); err != nil || !bytes.Equal(got, input) {
		t.Fatal(len(got), err)
	}
	c = shell(t, "exec 0<&-; sleep 0.05; echo ignored")
	c.Stdin = input
	if r := run(t, c); r.ExitCode != 0 || string(c.Stdout.Head) != "ignored\n" {
		t.Fatalf("%+v", r)
	}
}

// TestFlood writes a hundred times as much as is kept.
func TestFlood(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	c := shell(t, "yes | head -c 100M")
	run(t, c)
	runtime.ReadMemStats(&after)
	if c.Stdout.Bytes != 100<<20 || c.Stdout.Kept != DefaultOutputLimit || !c.Stdout.Truncated() {
		t.Fatal(c.Stdout.Bytes, c.Stdout.Kept)
	}
	if st, err := os.Stat(c.Stdout.Path); err != nil || st.Size() != DefaultOutputLimit {
		t.Fatal(st, err)
	}
	if got := after.TotalAlloc - before.TotalAlloc; got > 4<<20 {
		t.Fatalf("%d bytes were allocated", got)
	}
	// A flood must not keep us from the clock either.
	c = shell(t, "yes")
	c.Timeout = 200 * time.Millisecond
	if r := run(t, c); !r.TimedOut || r.Duration > 2*time.Second {
		t.Fatalf("%+v", r)
	}
}

func TestSignalled(t *testing.T) {
	r := run(t, shell(t, "kill -USR1 $$"))
	if r.Signal != syscall.SIGUSR1 || r.ExitCode != -1 || r.TimedOut {
		t.Fatalf("%+v", r)
	}
}

func TestTimeoutIsExact(t *testing.T) {
	for name, script := range map[string]string{
		"obedient":  "sleep 30",
		"deaf":      "trap '' TERM; while :; do sleep 30; done",
		"stopped":   "kill -STOP $$",
		"busy":      "while :; do :; done",
		"with tree": "trap '' TERM; (trap '' TERM; sleep 30 & echo $! > child; wait) & wait; sleep 30",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// A machine with other things to do may be late itself; it gets three tries.
			for try := 1; ; try++ {
				c := shell(t, script)
				c.Timeout = 300 * time.Millisecond
				r := run(t, c)
				if !r.TimedOut || r.Duration < c.Timeout {
					t.Fatalf("%+v", r)
				}
				if name == "with tree" && alive(t, c, "child") {
					t.Fatal("the child survived")
				}
				if r.Duration <= c.Timeout+100*time.Millisecond {
					return
				}
				if try == 3 {
					t.Fatalf("%+v", r)
				}
			}
		})
	}
}

func TestTermComesFirst(t *testing.T) {
	c := shell(t, "trap 'echo bye; exit 9' TERM; sleep 30 & wait")
	c.Timeout = 100 * time.Millisecond
	if r := run(t, c); !r.TimedOut || r.ExitCode != 9 || string(c.Stdout.Head) != "bye\n" {
		t.Fatalf("%+v %q", r, c.Stdout.Head)
	}
}

func TestCancel(t *testing.T) {
	c := shell(t, "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.01; done")
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	r, err := c.Run(ctx)
	if err != nil || !r.Cancelled || r.TimedOut || string(c.Stdout.Head) != "ready\nbye\n" {
		t.Fatalf("%+v %v %q", r, err, c.Stdout.Head)
	}
	c = shell(t, "trap '' TERM; while :; do sleep 0.01; done")
	c.Grace = 100 * time.Millisecond
	ctx, cancel = context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if r, err = c.Run(ctx); err != nil || !r.Cancelled || r.Signal != syscall.SIGKILL || r.Duration > time.Second {
		t.Fatalf("%+v %v", r, err)
	}
	// Whoever ends it may have less time than that.
	c.Grace = time.Minute
	hurried, end := context.WithCancelCause(t.Context())
	time.AfterFunc(100*time.Millisecond, func() { end(&Ended{Err: context.Canceled, Grace: 100 * time.Millisecond}) })
	if r, err = c.Run(hurried); err != nil || !r.Cancelled || r.Signal != syscall.SIGKILL || r.Duration > 10*time.Second {
		t.Fatalf("%+v %v", r, err)
	}
	if r, err = shell(t, "touch ran").Run(ctx); err != nil || !r.Cancelled {
		t.Fatal("it ran although the context was over", r, err)
	}
}

// TestBackground has jobs end before what they started.
func TestBackground(t *testing.T) {
	for _, c := range []struct {
		name, script string
		out          string
		least, most  time.Duration
		survivors    int
	}{
		{"silent child", "sleep 30 >/dev/null 2>&1 & echo $! > child; echo x", "x\n", 0, time.Second, 0},
		{"child with the output", "sleep 30 & echo $! > child; echo x", "x\n", DefaultWaitDelay, time.Second, 0},
		{"child that soon ends", "(sleep 0.02; echo late) & echo $! > child; echo x", "x\nlate\n", 0, time.Second, 0},
		{"group of its own", "exec bash -c 'set -m; sleep 30 & echo $! > child; echo x'", "x\n", DefaultWaitDelay, time.Second, 1},
		{"daemon with the output", "setsid sleep 30 & echo $! > child; echo x", "x\n", DefaultWaitDelay, time.Second, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := exec.LookPath("bash"); err != nil && strings.Contains(c.script, "bash") {
				t.Skip(err) // other shells do not control jobs without a terminal
			}
			cmd := shell(t, c.script)
			start := time.Now()
			r := run(t, cmd)
			if d := time.Since(start); d < c.least || d > c.most {
				t.Errorf("took %v", d)
			}
			if r.ExitCode != 0 || string(cmd.Stdout.Head) != c.out || r.Survivors != c.survivors || r.Leaked != 0 {
				t.Errorf("%+v %q", r, cmd.Stdout.Head)
			}
			if alive(t, cmd, "child") {
				t.Error("the child survived")
			}
		})
	}
}

// TestDaemonOutlives documents what the level none cannot do: a daemon that let go of the output is not looked for when
// the job ends by itself. After a timeout it is.
func TestDaemonOutlives(t *testing.T) {
	const script = "setsid sleep 30 </dev/null >/dev/null 2>&1 & echo $! > child; sleep 0.1"
	c := shell(t, script)
	run(t, c)
	if !alive(t, c, "child") {
		t.Fatal("it is ended after all: say so in the package comment")
	}
	if killed, left := Sweep(c.Mark); killed != 1 || left != 0 || alive(t, c, "child") {
		t.Fatal(killed, left)
	}
	c = shell(t, script+"; sleep 30")
	c.Timeout = 100 * time.Millisecond
	if r := run(t, c); !r.TimedOut || r.Survivors != 1 || alive(t, c, "child") {
		t.Fatalf("%+v", r)
	}
}

func TestForkBomb(t *testing.T) {
	c := shell(t, "f() { while :; do sleep 0.01 & done; }; f & f & wait")
	c.Timeout = 150 * time.Millisecond
	r := run(t, c)
	if !r.TimedOut || r.Leaked != 0 {
		t.Fatalf("%+v", r)
	}
	if left := list(c.Mark, 0); len(left) > 0 {
		t.Fatal("left:", left)
	}
}

// TestParentDies starts a runner that is killed, and looks for its job.
func TestParentDies(t *testing.T) {
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	runner := exec.Command(self, "-test.run=^TestHelperRunner$")
	runner.Env = append(os.Environ(), "SANDBOX_HELPER="+dir)
	if err := runner.Start(); err != nil {
		t.Fatal(err)
	}
	pidFile := filepath.Join(dir, "pid")
	for range 500 {
		if b, _ := os.ReadFile(pidFile); len(b) > 1 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	runner.Process.Kill()
	runner.Wait()
	c := &Cmd{Dir: dir}
	for range 200 {
		if !alive(t, c, "pid") {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the job outlived its runner")
}

// TestHelperRunner is the runner of TestParentDies.
func TestHelperRunner(t *testing.T) {
	dir := os.Getenv("SANDBOX_HELPER")
	if dir == "" {
		t.Skip("runs only as a helper process")
	}
	c := shell(t, "echo $$ > "+strconv.Quote(filepath.Join(dir, "pid"))+"; exec sleep 60")
	run(t, c)
}

func TestStartErrors(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	long := strings.Repeat("x", 1<<20)
	busy := write("busy", "#!/bin/sh\n", 0o755)
	open, err := os.OpenFile(busy, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	for _, c := range []struct {
		cmd       Cmd
		reason    Reason
		temporary bool
	}{
		{Cmd{Path: dir + "/none"}, ReasonMissing, false},
		{Cmd{Path: write("loader", "#!/none/sh\n", 0o755)}, ReasonLoader, false},
		{Cmd{Path: write("plain", "#!/bin/sh\n", 0o644)}, ReasonDenied, false},
		{Cmd{Path: write("format", "\x00\x01", 0o755)}, ReasonFormat, false},
		{Cmd{Path: "/bin/sh", Dir: dir + "/none"}, ReasonDir, false},
		{Cmd{Path: "/bin/sh", Argv: []string{"sh", "-c", "true", long}}, ReasonTooLong, false},
		{Cmd{Path: busy}, ReasonBusy, true},
	} {
		if c.cmd.Dir == "" {
			c.cmd.Dir = dir
		}
		if c.cmd.Argv == nil {
			c.cmd.Argv = []string{c.cmd.Path}
		}
		r, err := c.cmd.Run(t.Context())
		start, ok := errors.AsType[*StartError](err)
		if !ok || start.Reason != c.reason || start.Temporary() != c.temporary || r.ExitCode != -1 {
			t.Errorf("%s: %v, want %q", c.cmd.Path, err, c.reason)
		}
	}
}

// TestManyAtOnce looks for what only shows under load: lost exits, crossed outputs, leaked descriptors.
func TestManyAtOnce(t *testing.T) {
	fds := func() int { e, _ := os.ReadDir("/proc/self/fd"); return len(e) }
	before := fds()
	done := make(chan string)
	const n = 200
	for i := range n {
		c := shell(t, "echo "+strconv.Itoa(i)+"; exit "+strconv.Itoa(i%100))
		go func() {
			r, err := c.Run(context.Background())
			c.Stdout.Close(false)
			if err != nil || r.ExitCode != i%100 || string(c.Stdout.Head) != strconv.Itoa(i)+"\n" {
				done <- strconv.Itoa(i) + ": " + string(c.Stdout.Head)
			}
			done <- ""
		}()
	}
	for range n {
		if s := <-done; s != "" {
			t.Error(s)
		}
	}
	if after := fds(); after > before+2 {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

func TestCaptureOfAFullDisk(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip(err)
	}
	c := shell(t, "echo one; echo two")
	c.Stdout.Path = "/dev/full"
	r, err := c.Run(t.Context())
	if err != nil || r.ExitCode != 0 {
		t.Fatalf("a full disk of ours is not the job's: %+v %v", r, err)
	}
	if err := c.Stdout.Close(false); !errors.Is(err, syscall.ENOSPC) || c.Stdout.Bytes != 8 || c.Stdout.Kept != 0 {
		t.Fatal(err, c.Stdout.Bytes, c.Stdout.Kept)
	}
}
