//go:build amd64 || arm64

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// levels are those that confine.
var levels = []Level{LevelFull, LevelRestricted}

// confined returns a command that runs a script at a level, in a work folder that it may write to.
func confined(t *testing.T, level Level, script string) *Cmd {
	t.Helper()
	c := shell(t, script)
	work := filepath.Join(c.Dir, "work")
	if err := os.MkdirAll(filepath.Join(work, "tmp"), 0o755); err != nil {
		t.Fatal(err)
	}
	c.Dir, c.Level = work, level
	c.Confine = &Confinement{Read: SystemPaths(), Work: work, Tmp: filepath.Join(work, "tmp")}
	return c
}

// each runs a test at every level that the machine has.
func each(t *testing.T, test func(t *testing.T, level Level)) {
	for _, level := range levels {
		t.Run(string(level), func(t *testing.T) {
			need(t, level)
			test(t, level)
		})
	}
}

func TestConfinedRun(t *testing.T) {
	each(t, func(t *testing.T, level Level) {
		c := confined(t, level, "cat; echo err >&2; pwd; echo made > file; cat file; grep ^Cap /proc/self/status; exit 7")
		c.Stdin = []byte("input\n")
		r := run(t, c)
		if r.ExitCode != 7 || r.Signal != 0 || r.TimedOut || r.Survivors+r.Leaked != 0 || r.Level != level || r.Lost {
			t.Fatalf("%+v", r)
		}
		if r.Duration <= 0 || r.CPU <= 0 || r.Started.IsZero() {
			t.Fatalf("%+v", r)
		}
		out := string(c.Stdout.Head)
		if !strings.HasPrefix(out, "input\n"+c.Dir+"\nmade\n") || string(c.Stderr.Head) != "err\n" {
			t.Fatalf("%q %q", out, c.Stderr.Head)
		}
		for _, set := range []string{"CapPrm", "CapEff", "CapInh", "CapAmb"} {
			if !strings.Contains(out, set+":\t0000000000000000\n") {
				t.Errorf("capabilities: %s", out)
			}
		}
	})
}

// TestConfinedMemory: where memory runs out, jobs are ended first.
func TestConfinedMemory(t *testing.T) {
	own, err := os.ReadFile("/proc/self/oom_score_adj")
	n, numErr := strconv.Atoi(strings.TrimSpace(string(own)))
	if err != nil || numErr != nil || n >= 1000 {
		t.Fatalf("the score of this process is %q: %v", own, err)
	}
	want := strconv.Itoa(min(n+oomScore, 1000)) + "\n"
	each(t, func(t *testing.T, level Level) {
		c := confined(t, level, "cat /proc/self/oom_score_adj")
		if r := run(t, c); r.ExitCode != 0 || string(c.Stdout.Head) != want {
			t.Errorf("%q %+v", c.Stdout.Head, r)
		}
	})
}

func TestConfinedSignalled(t *testing.T) {
	each(t, func(t *testing.T, level Level) {
		// Process 1 of a namespace would not feel this.
		if r := run(t, confined(t, level, "kill -USR1 $$")); r.Signal != syscall.SIGUSR1 || r.ExitCode != -1 {
			t.Fatalf("%+v", r)
		}
	})
}

func TestConfinedCancel(t *testing.T) {
	each(t, func(t *testing.T, level Level) {
		c := confined(t, level, "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.01; done")
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		r, err := c.Run(ctx)
		if err != nil || !r.Cancelled || r.TimedOut || string(c.Stdout.Head) != "ready\nbye\n" {
			t.Fatalf("%+v %v %q", r, err, c.Stdout.Head)
		}
	})
}

func TestConfinedInheritsNothing(t *testing.T) {
	t.Setenv("SECRET", "x")
	folder, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	fd, err := unix.FcntlInt(folder.Fd(), unix.F_DUPFD, 200)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	const script = "ls /proc/self/fd | wc -l; env; tty; cat"
	each(t, func(t *testing.T, level Level) {
		c := confined(t, level, script)
		run(t, c)
		if out := string(c.Stdout.Head); !strings.HasPrefix(out, "4\n") || strings.Contains(out, "SECRET") ||
			!strings.Contains(out, "not a tty") {
			t.Errorf("%s", out)
		}
	})
	// The control: os/exec given the same descriptor.
	control := exec.Command("/bin/sh", "-c", script)
	control.ExtraFiles = []*os.File{folder}
	if out, err := control.Output(); err != nil || strings.HasPrefix(string(out), "4\n") || !strings.Contains(string(out), "SECRET=x") {
		t.Errorf("control: %s %v", out, err)
	}
}

func TestConfinedFlood(t *testing.T) {
	each(t, func(t *testing.T, level Level) {
		c := confined(t, level, "yes | head -c 50M")
		if r := run(t, c); r.ExitCode != 0 || c.Stdout.Bytes != 50<<20 || c.Stdout.Kept != DefaultOutputLimit {
			t.Fatalf("%+v %d %d", r, c.Stdout.Bytes, c.Stdout.Kept)
		}
	})
}

func TestConfinedDisk(t *testing.T) {
	each(t, func(t *testing.T, level Level) {
		c := confined(t, level, "for i in 1 2 3 4 5 6 7 8; do head -c 1M /dev/zero > f$i; done; sleep 10")
		c.Confine.Limits.Disk = 4 << 20
		if r := run(t, c); !r.OverDisk || r.Signal != syscall.SIGKILL || r.Duration > 5*time.Second {
			t.Errorf("%+v", r)
		}
		c = confined(t, level, "head -c 1M /dev/zero > f; sleep 0.4")
		c.Confine.Limits.Disk = 4 << 20
		if r := run(t, c); r.OverDisk || r.ExitCode != 0 {
			t.Errorf("%+v %s", r, c.Stderr.Head)
		}
	})
}

// A job that makes what it uses hard to count keeps nobody from ending it at its timeout.
func TestTimeoutWhileCounting(t *testing.T) {
	each(t, func(t *testing.T, level Level) {
		for name, script := range map[string]string{
			"deep":  `i=0; while [ $i -lt 3000 ]; do mkdir d && cd d || exit 3; i=$((i+1)); done; sleep 60`,
			"wide":  `i=0; while [ $i -lt 20 ]; do mkdir $i; (cd $i; seq 1 1000 | xargs touch); i=$((i+1)); done; sleep 60`,
			"files": `i=0; while [ $i -lt 40 ]; do perl -e 'my @f; open($f[$_], "<", "/dev/null") for 0..900; sleep 60' & i=$((i+1)); done; sleep 60`,
		} {
			c := confined(t, level, script)
			c.Confine.Limits.Disk = 1 << 30
			c.Timeout = 2 * time.Second
			begin := time.Now()
			r := run(t, c)
			if !r.TimedOut || r.OverDisk || time.Since(begin) > 15*time.Second {
				t.Errorf("%s: after %v: %+v %s", name, time.Since(begin), r, c.Stderr.Head)
			}
		}
	})
}

// Counting is bounded: a look at a folder that cannot be counted in time ends in time, and says that it did not see all.
func TestUsageBounds(t *testing.T) {
	dir := t.TempDir()
	for i := range 500 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	u := usage{enough: 1 << 30, until: time.Now().Add(-time.Second)}
	if u.folder(dir); !u.hidden {
		t.Errorf("out of time: %+v", u)
	}
	u = usage{enough: 1 << 30, until: time.Now().Add(time.Minute)}
	if u.folder(dir); u.hidden || u.bytes < 500*inodeCost {
		t.Errorf("in time: %+v", u)
	}
	u = usage{enough: 100 * inodeCost, until: time.Now().Add(time.Minute)}
	if u.folder(dir); u.bytes <= u.enough || u.bytes > 2*u.enough+1<<16 {
		t.Errorf("more than enough: %+v", u)
	}
}

func TestConfinedCPU(t *testing.T) {
	each(t, func(t *testing.T, level Level) {
		c := confined(t, level, "while :; do :; done")
		c.Confine.Limits.CPU = 2
		c.Timeout = 20 * time.Second
		if r := run(t, c); r.TimedOut || r.Signal != syscall.SIGKILL || !r.OverCPU {
			t.Errorf("%+v", r)
		}
	})
}

func TestConfinedPaths(t *testing.T) {
	outer := t.TempDir()
	for _, dir := range []string{"root/sub", "cache", "work/results", "work/tmp"} {
		if err := os.MkdirAll(filepath.Join(outer, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"root/sub/f", "work/results/r"} {
		if err := os.WriteFile(filepath.Join(outer, file), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	each(t, func(t *testing.T, level Level) {
		c := confined(t, level, `cat `+outer+`/root/sub/f || exit 1
			touch `+outer+`/cache/a && mv `+outer+`/cache/a here || exit 2
			touch `+outer+`/root/sub/g 2>/dev/null && exit 3
			ls `+outer+`/other 2>/dev/null && exit 4
			echo > /dev/null && head -c 1 /dev/urandom > /dev/null || exit 5
			exit 0`)
		c.Confine.Read = append(c.Confine.Read, outer+"/root")
		c.Confine.Write = []string{outer + "/cache"}
		if r := run(t, c); r.ExitCode != 0 {
			t.Errorf("%+v %s", r, c.Stderr.Head)
		}
		// A folder that is given twice is writable; one in a writable one can be read-only, if not at every level.
		c = confined(t, level, "cat results/r && ! touch results/r 2>/dev/null && touch other")
		c.Confine.Work, c.Dir, c.Confine.Tmp = outer+"/work", outer+"/work", ""
		c.Confine.Read = append(c.Confine.Read, outer+"/work/results")
		r, err := c.Run(t.Context())
		if level == LevelFull && (err != nil || r.ExitCode != 0) {
			t.Errorf("%+v %v %s", r, err, c.Stderr.Head)
		}
		if start, ok := errors.AsType[*StartError](err); level == LevelRestricted && (!ok || start.Primitive != "confinement") {
			t.Errorf("%+v %v", r, err)
		}
	})
}

// TestConfinedTmp has /tmp be the job's own, where nothing else that it sees is below /tmp.
func TestConfinedTmp(t *testing.T) {
	need(t, LevelFull)
	dir, err := os.MkdirTemp("/var/tmp", "sandbox-test")
	if err != nil {
		t.Skip(err)
	}
	defer os.RemoveAll(dir)
	c := confined(t, LevelFull, "ls /tmp; echo x > /tmp/mine")
	c.Dir, c.Confine.Work, c.Confine.Tmp = dir, dir, dir+"/tmp"
	if err := os.Mkdir(dir+"/tmp", 0o700); err != nil {
		t.Fatal(err)
	}
	r := run(t, c)
	if _, err := os.Stat(dir + "/tmp/mine"); err != nil || r.ExitCode != 0 || len(c.Stdout.Head) > 0 {
		t.Fatalf("%+v %v %s %s", r, err, c.Stdout.Head, c.Stderr.Head)
	}
}

func TestConfinedNetwork(t *testing.T) {
	tcp, e := escape{}, networkEscapes[0]
	each(t, func(t *testing.T, level Level) {
		for _, tcp = range networkEscapes[:4] {
			c, _ := attemptCommand(t, level, tcp)
			c.Confine.Network = true
			if r := run(t, c); r.ExitCode != exitEscaped {
				t.Errorf("%s: %+v %s", tcp.name, r, c.Stdout.Head)
			}
		}
		c, _ := attemptCommand(t, level, escape{name: "raw socket"})
		c.Confine.Network = true
		if r := run(t, c); r.ExitCode != exitRefused {
			t.Errorf("%s: %+v", e.name, r)
		}
	})
}

func TestConfinedStartErrors(t *testing.T) {
	each(t, func(t *testing.T, level Level) {
		long := strings.Repeat("x", 1<<20)
		for _, e := range []struct {
			name      string
			change    func(c *Cmd)
			reason    Reason
			primitive string
		}{
			{"program", func(c *Cmd) { c.Path = "/bin/no-such-program" }, ReasonMissing, ""},
			{"folder as program", func(c *Cmd) { c.Path = "/usr" }, ReasonDenied, ""},
			{"arguments", func(c *Cmd) { c.Argv = append(c.Argv, long) }, ReasonTooLong, ""},
			{"folder", func(c *Cmd) { c.Dir += "/none" }, ReasonDir, ""},
			{"nothing said", func(c *Cmd) { c.Confine = nil }, ReasonConfine, "confinement"},
			{"another level", func(c *Cmd) { c.Level = "best" }, ReasonConfine, "confinement"},
			{"relative path", func(c *Cmd) { c.Confine.Read = []string{"usr"} }, ReasonConfine, "confinement"},
			{"everything", func(c *Cmd) { c.Confine.Read = []string{"/"} }, ReasonConfine, "confinement"},
			{"path", func(c *Cmd) { c.Confine.Write = []string{"/no/such/path"} }, ReasonConfine, "confinement"},
		} {
			c := confined(t, level, "touch ran")
			c.Keepers = new(Keepers)
			defer c.Keepers.Close()
			e.change(c)
			r, err := c.Run(t.Context())
			start, ok := errors.AsType[*StartError](err)
			if !ok || start.Reason != e.reason || start.Primitive != e.primitive || r.ExitCode != -1 || start.Temporary() {
				t.Errorf("%s: %v", e.name, err)
			}
		}
	})
}

// runNested is a runner that is itself confined, so that the primitives are missing that it would need.
func runNested(level Level) int {
	wd, _ := os.Getwd()
	c := &Cmd{Path: "/bin/sh", Argv: []string{"sh", "-c", "touch ran"}, Dir: wd, Env: []string{"PATH=/bin"}, Level: level,
		Confine: &Confinement{Read: SystemPaths(), Work: wd}}
	r, err := c.Run(context.Background())
	start, ok := errors.AsType[*StartError](err)
	if !ok {
		fmt.Printf("%+v %v\n", r, err)
		return exitEscaped
	}
	fmt.Printf("%s|%s|%v\n", start.Reason, start.Primitive, start.Err)
	return exitRefused
}

// TestConfinedNeverLess asks for a level where its primitives are refused. The job must not run at all.
func TestConfinedNeverLess(t *testing.T) {
	need(t, LevelFull)
	for level, primitive := range map[Level]string{LevelFull: "user namespace", LevelRestricted: "clone"} {
		c, _ := attemptCommand(t, LevelFull, escape{name: "nested " + string(level)})
		r := run(t, c)
		want := string(ReasonConfine) + "|" + primitive + "|"
		if r.ExitCode != exitRefused || !strings.HasPrefix(string(c.Stdout.Head), want) {
			t.Errorf("%s: %+v %s%s", level, r, c.Stdout.Head, c.Stderr.Head)
		}
		if _, err := os.Stat(filepath.Join(c.Dir, "ran")); err == nil {
			t.Errorf("%s: the job ran", level)
		}
	}
}
