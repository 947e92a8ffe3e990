//go:build amd64 || arm64

package sandbox

import (
	"context"
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

// tag makes an argument of sleep that no other process has.
func tag(t *testing.T) string {
	return fmt.Sprintf("3%d.%d", os.Getpid(), time.Now().UnixNano())
}

// tagged returns the processes of this machine that have the tag among their arguments.
func tagged(tag string) (pids []string) {
	for _, pid := range processes() {
		b, err := os.ReadFile("/proc/" + pid + "/cmdline")
		if err == nil && strings.Contains(string(b), tag) && pid != "self" && pid != "thread-self" {
			if st, ok := readStat(pid); ok && st.alive {
				pids = append(pids, pid+" "+strings.ReplaceAll(string(b), "\x00", " "))
			}
		}
	}
	return pids
}

// survivors are jobs that end and leave something. TAG stands for the time that what they leave would sleep.
var survivors = []struct {
	name, script string
	least        int // processes that are found and killed
}{
	{"nothing", "sleep 0.01; (sleep 0.01) & wait", 0},
	{"background child", "sleep TAG >/dev/null 2>&1 & sleep 0.05", 1},
	{"child with the output", "sleep TAG & sleep 0.05", 1},
	{"session of its own", "setsid sleep TAG </dev/null >/dev/null 2>&1 & sleep 0.05", 1},
	{"double fork", "(setsid sh -c 'sleep TAG & exit' >/dev/null 2>&1 </dev/null); sleep 0.05", 1},
	{"daemon with the output", "setsid sh -c 'sleep TAG & exit'; sleep 0.05", 1},
	{"no environment", "setsid env -i /bin/sleep TAG </dev/null >/dev/null 2>&1 & sleep 0.05", 1},
	{"deaf", "setsid sh -c 'trap \"\" TERM HUP INT; while :; do sleep TAG; done' >/dev/null 2>&1 & sleep 0.05", 1},
	{"stopped", "setsid sh -c 'kill -STOP $$; sleep TAG' >/dev/null 2>&1 & sleep 0.05", 1},
	{"many", "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do setsid sleep TAG >/dev/null 2>&1 & done; sleep 0.1", 12},
}

func TestSurvivors(t *testing.T) {
	for _, level := range []Level{LevelFull, LevelRestricted} {
		need(t, level)
		var keepers Keepers
		for _, s := range survivors {
			t.Run(string(level)+"/"+s.name, func(t *testing.T) {
				tag := tag(t)
				c := confined(t, level, strings.ReplaceAll(s.script, "TAG", tag))
				c.Keepers = &keepers
				r := run(t, c)
				if r.ExitCode != 0 || r.Survivors < s.least || r.Leaked != 0 || r.Lost || s.least == 0 && r.Survivors != 0 {
					t.Errorf("%+v %s", r, c.Stderr.Head)
				}
				if s.least > 0 && len(r.Killed) == 0 {
					t.Error("what was killed is not named")
				}
				if left := tagged(tag); len(left) > 0 {
					t.Error(left)
				}
			})
		}
		keepers.Close()
	}
}

// TestSurvivorsOfNone is the control: without a sandbox, some of the same jobs leave processes.
func TestSurvivorsOfNone(t *testing.T) {
	left := 0
	for _, s := range survivors {
		tag := tag(t)
		c := shell(t, strings.ReplaceAll(s.script, "TAG", tag))
		run(t, c)
		found := tagged(tag)
		left += len(found)
		for _, p := range found {
			var pid int
			fmt.Sscan(p, &pid)
			if self, err := os.FindProcess(pid); err == nil {
				self.Kill()
			}
		}
	}
	if left == 0 {
		t.Fatal("nothing was left: these jobs prove nothing")
	}
}

func TestConfinedTimeout(t *testing.T) {
	for _, level := range []Level{LevelFull, LevelRestricted} {
		need(t, level)
		for name, script := range map[string]string{
			"obedient": "sleep TAG",
			"deaf":     "trap '' TERM; while :; do sleep TAG; done",
			"stopped":  "kill -STOP $$; sleep TAG",
			"daemons":  "trap '' TERM; setsid sleep TAG & setsid sh -c 'sleep TAG & sleep TAG'; wait",
			"bomb":     "f() { while :; do sleep TAG & done; }; f & f & exec sleep TAG",
		} {
			t.Run(string(level)+"/"+name, func(t *testing.T) {
				for try := 1; ; try++ {
					tag := tag(t)
					c := confined(t, level, strings.ReplaceAll(script, "TAG", tag))
					c.Timeout = 300 * time.Millisecond
					c.Confine.Limits.Processes = 100
					r := run(t, c)
					if !r.TimedOut || r.Duration < c.Timeout || r.Leaked != 0 || r.Lost {
						t.Fatalf("%+v", r)
					}
					if left := tagged(tag); len(left) > 0 {
						t.Fatal(left)
					}
					if name == "daemons" && (r.Survivors == 0 || len(r.Killed) == 0) {
						t.Fatalf("it does not say what was killed: %+v", r)
					}
					if r.Duration <= c.Timeout+100*time.Millisecond {
						return
					}
					if name == "bomb" && level == LevelRestricted && os.Geteuid() == 0 {
						t.Logf("no limit of processes binds root here, and %d of them keep the machine from being on time: %v", r.Survivors, r.Duration)
						return
					}
					if try == 3 {
						t.Fatalf("%+v", r)
					}
				}
			})
		}
	}
}

func TestConfinedTermComesFirst(t *testing.T) {
	for _, level := range []Level{LevelFull, LevelRestricted} {
		need(t, level)
		for timeout := 100 * time.Millisecond; ; timeout *= 4 { // a shell on a busy machine sets its trap late
			c := confined(t, level, "trap 'echo bye; exit 9' TERM; sleep 30 & wait")
			c.Timeout, c.TimeoutGrace = timeout, timeout
			r := run(t, c)
			if r.TimedOut && r.ExitCode == 9 && string(c.Stdout.Head) == "bye\n" {
				break
			}
			if timeout > 5*time.Second {
				t.Fatalf("%s: %+v %q", level, r, c.Stdout.Head)
			}
		}
	}
}

// TestConfinedRunnerDies kills a runner, and looks for what its job had started.
func TestConfinedRunnerDies(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, level := range []Level{LevelFull, LevelRestricted} {
		need(t, level)
		dir, tag := t.TempDir(), tag(t)
		runner := exec.Command(self, "-test.run=^TestHelperConfinedRunner$")
		runner.Env = append(os.Environ(), "SANDBOX_HELPER="+dir, "SANDBOX_LEVEL="+string(level), "SANDBOX_TAG="+tag)
		if err := runner.Start(); err != nil {
			t.Fatal(err)
		}
		count := func() int {
			n := 0
			for _, p := range tagged(tag) {
				if strings.Contains(p, "sleep "+tag) {
					n++
				}
			}
			return n
		}
		for range 500 {
			if count() >= 3 {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if n := count(); n < 3 {
			t.Errorf("%s: %d of 3 processes were started", level, n)
		}
		runner.Process.Kill()
		runner.Wait()
		for range 300 {
			if count() == 0 {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if left := tagged(tag); len(left) > 0 {
			t.Errorf("%s: %v", level, left)
		}
	}
}

// TestHelperConfinedRunner is the runner of TestConfinedRunnerDies.
func TestHelperConfinedRunner(t *testing.T) {
	dir, tag := os.Getenv("SANDBOX_HELPER"), os.Getenv("SANDBOX_TAG")
	if dir == "" || tag == "" {
		t.Skip("runs only as a helper process")
	}
	c := confined(t, Level(os.Getenv("SANDBOX_LEVEL")), "sleep "+tag+" & setsid sleep "+tag+
		" >/dev/null 2>&1 </dev/null & setsid env -i /bin/sh -c '(sleep "+tag+" &) >/dev/null 2>&1'; wait")
	c.Stdout.Path = filepath.Join(dir, "out")
	run(t, c)
}

// TestKeeperDies kills the keeper in the middle of a job: that is no end of a job, and nothing is left either, also not of
// what has neither the environment nor the session of the job.
func TestKeeperDies(t *testing.T) {
	each(t, func(t *testing.T, level Level) {
		tag := tag(t)
		c := confined(t, level, "setsid sleep "+tag+" & setsid env -i /bin/sh -c '(sleep "+tag+" & sleep "+tag+") >/dev/null 2>&1' & sleep "+tag)
		c.Keepers = new(Keepers)
		defer c.Keepers.Close()
		go func() {
			for range 1000 {
				if len(tagged(tag)) >= 4 {
					break
				}
				time.Sleep(5 * time.Millisecond)
			}
			for _, pid := range children() {
				if cmdline, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline"); strings.HasPrefix(string(cmdline), keeperName) {
					unix.Kill(pid, unix.SIGKILL)
				}
			}
		}()
		r, err := c.Run(t.Context())
		if err != nil || !r.Lost || r.Signal == 0 || r.Leaked != 0 {
			t.Errorf("%+v %v", r, err)
		}
		if left := tagged(tag); len(left) > 0 {
			t.Error(left)
		}
		if r := run(t, func() *Cmd { d := confined(t, level, "true"); d.Keepers = c.Keepers; return d }()); r.ExitCode != 0 {
			t.Errorf("the next job: %+v", r)
		}
	})
}

// TestScores: where memory runs out, a job is ended before its keeper, and cannot change that.
func TestScores(t *testing.T) {
	each(t, func(t *testing.T, level Level) {
		if level == LevelFull {
			t.Skip("the kernel ends with the keeper all that it kept; and the score is not to be read here") // no /proc of others
		}
		c := confined(t, level, "sleep 60")
		c.Keepers = new(Keepers)
		defer c.Keepers.Close()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ended := make(chan Report)
		go func() {
			r, _ := c.Run(ctx)
			ended <- r
		}()
		score := func(pid int) int {
			b, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/oom_score_adj")
			n, _ := strconv.Atoi(strings.TrimSpace(string(b)))
			return n
		}
		own := score(os.Getpid())
		var job []int
		for range 1000 {
			if job = list(c.Mark, 0); len(job) > 0 {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
		if len(job) == 0 {
			t.Fatal("the job was not found")
		}
		st, _ := os.ReadFile("/proc/" + strconv.Itoa(job[0]) + "/stat")
		keeper, _ := strconv.Atoi(strings.Fields(string(st[strings.LastIndexByte(string(st), ')')+2:]))[1])
		if score(keeper) != own || score(job[0]) != min(own+oomScore, 1000) {
			t.Errorf("keeper %d, job %d, and this process %d", score(keeper), score(job[0]), own)
		}
		cancel()
		<-ended
	})
}

// TestSweepWithoutScope ends what jobs left the way that it is done where neither a pid namespace nor a Landlock scope
// bounds kill(-1).
func TestSweepWithoutScope(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range survivors[1:] {
		tag := tag(t)
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), "ATTEMPT=sweep", "SCRIPT="+strings.ReplaceAll(s.script, "TAG", tag))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v %s", s.name, err, out)
		}
		if left := tagged(tag); len(left) > 0 {
			t.Errorf("%s: %v", s.name, left)
		}
	}
}

// sweepOrphans is the process of TestSweepWithoutScope: a keeper without its confinement.
func sweepOrphans() int {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		fmt.Println(err)
		return exitUnknown
	}
	pid, err := syscall.ForkExec("/bin/sh", []string{"sh", "-c", os.Getenv("SCRIPT")}, &syscall.ProcAttr{
		Env: os.Environ(), Sys: &syscall.SysProcAttr{Setsid: true}})
	if err != nil {
		fmt.Println(err)
		return exitUnknown
	}
	k := keeper{pid: pid, pidfd: -1}
	for !k.over {
		k.reap(nil)
		time.Sleep(time.Millisecond)
	}
	if s := k.sweep(); s.killed == 0 || s.left != 0 || len(s.names) == 0 {
		fmt.Printf("%+v\n", s)
		return exitEscaped
	}
	return 0
}
