package sandbox

import (
	"cmp"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// groups skips where there is no control group for the memory of jobs, and says which word the machine had for that.
func groups(t *testing.T) {
	t.Helper()
	g, err := newGroup(&Limits{Memory: 1 << 30})
	if g != nil {
		g.remove()
	}
	if err != nil {
		t.Skipf("no control group for memory here: %v", err)
	}
}

// memoryFile writes into a file in memory that no process has mapped, which no limit of a process sees.
const memoryFile = `python3 -c '
import os
f=os.memfd_create("x"); b=b"x"*(1<<20)
for i in range(200): os.write(f,b)
print("written")'`

// The memory of a whole job is limited, of whatever kind it is, and is in the report; nothing of the group is left.
func TestMemoryOfAJob(t *testing.T) {
	groups(t)
	if _, err := os.Stat("/usr/bin/python3"); err != nil {
		t.Skip("makes memory files with python3, which is not here")
	}
	each(t, func(t *testing.T, level Level) {
		for _, limited := range []bool{false, true} {
			c := confined(t, level, memoryFile)
			c.Keepers = new(Keepers)
			c.Confine.Limits.Memory = 1 << 30
			if limited {
				c.Confine.Limits.Memory = 64 << 20
			}
			r := run(t, c)
			c.Keepers.Close()
			written := strings.Contains(string(c.Stdout.Head), "written")
			if written == limited || r.OverMemory != limited || r.Lost {
				t.Errorf("limited %v: written %v, %+v %s", limited, written, r, c.Stderr.Head)
			}
			if !limited && r.MaxRSS < 200<<20 || limited && (r.MaxRSS > 80<<20 || r.MaxRSS < 32<<20) {
				t.Errorf("limited %v: %d MiB", limited, r.MaxRSS>>20)
			}
		}
	})
	own, _, _ := ownGroup("memory")
	if left, _ := filepath.Glob(filepath.Join(own, groupPrefix+"[0-9]*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// Processes of root, which no limit of a user holds for, are counted in a group, whatever other limits there are, and for each job of a
// keeper.
func TestProcessesOfAGroup(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("the kernel counts those of an ordinary user")
	}
	if g, missing := groupGap("pids", ""); missing {
		t.Skip("no control group for processes here: ", g)
	}
	each(t, func(t *testing.T, level Level) {
		for _, memory := range []int64{0, 1 << 30} {
			keepers := new(Keepers)
			for _, most := range []int64{250, 20, 20} {
				c := confined(t, level, "i=0; while [ $i -lt 100 ]; do sleep 5 & i=$((i+1)); done; echo all")
				c.Dir, c.Confine.Work, c.Confine.Tmp, c.Keepers = "/usr", "", "", keepers
				c.Confine.Limits.Memory, c.Confine.Limits.Processes = memory, most
				run(t, c)
				if all := strings.Contains(string(c.Stdout.Head), "all"); all != (most == 250) {
					t.Errorf("at most %d: all %v %s", most, all, c.Stderr.Head)
				}
			}
			keepers.Close()
		}
	})
	own, _, _ := ownGroup("pids")
	if left, _ := filepath.Glob(filepath.Join(own, groupPrefix+strconv.Itoa(os.Getpid())+"-*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// burn is a program that uses so many seconds of processor time.
func burn(seconds string) string {
	return `perl -e 'do { my $i = 1e4; $i-- while $i; @t = times } while $t[0] + $t[1] < ` + seconds + `'`
}

// countsCPU skips where no control group counts the processor time of jobs, of which Probe tells then, and only then.
func countsCPU(t *testing.T) {
	t.Helper()
	gap, missing := cpuGap()
	g, err := newGroup(&Limits{CPU: 1})
	if g != nil {
		g.remove()
	}
	if missing == g.counts() || missing != slices.Contains(Probe().Missing, gap.String()) {
		t.Errorf("%v, %v, and doctor says %q of %q", err, g, gap, Probe().Missing)
	}
	switch {
	case missing && os.Getenv("SANDBOX_DELEGATED") != "":
		t.Error(gap)
	case missing:
		t.Skip("no control group for processor time here: ", gap)
	}
}

// The processor time of a whole job is limited, however many processes have it, and is in the report.
func TestConfinedCPUOfAJob(t *testing.T) {
	countsCPU(t)
	each(t, func(t *testing.T, level Level) {
		for name, script := range map[string]string{
			"one after the other": "while :; do " + burn("0.3") + "; done",
			"at the same time":    "for i in 1 2 3 4; do (while :; do " + burn("0.3") + "; done) & done; wait",
			"nobody's children":   "setsid sh -c 'exec sh' <<'E' >/dev/null 2>&1 &\nwhile :; do " + burn("0.3") + "; done\nE\nsleep 300",
		} {
			c := confined(t, level, script)
			c.Confine.Limits.CPU = 1
			c.Timeout = 5 * time.Minute
			r := run(t, c)
			if !r.OverCPU || r.OverDisk || r.TimedOut || r.Signal != syscall.SIGKILL || r.CPU < time.Second || len(r.Stopped) == 0 {
				t.Errorf("%s: %+v %s", name, r, c.Stderr.Head)
			}
		}
	})
}

// A keeper that has served others owes the next job all of its time.
func TestConfinedCPUOfTheNextJob(t *testing.T) {
	countsCPU(t)
	each(t, func(t *testing.T, level Level) {
		keepers := new(Keepers)
		defer keepers.Close()
		for i, script := range []string{burn("0.6"), burn("0.6") + "; sleep 0.5", "sleep 0.5", "while :; do " + burn("0.3") + "; done"} {
			c := confined(t, level, script)
			c.Dir, c.Confine.Work, c.Confine.Tmp, c.Keepers = "/usr", "", "", keepers
			c.Confine.Limits.CPU = 1
			c.Timeout = 5 * time.Minute
			if r := run(t, c); r.OverCPU != (i == 3) || r.OverCPU == (r.ExitCode == 0) {
				t.Errorf("job %d: %+v %s", i, r, c.Stderr.Head)
			}
			if len(keepers.idle) != 1 {
				t.Errorf("%d keepers after job %d", len(keepers.idle), i)
			}
		}
	})
}

// Both versions tell the time of what is in a group, and where nothing is limited there is no group.
func TestGroupCPUTime(t *testing.T) {
	if g, err := newGroup(&Limits{Data: 1, Files: 1, FileSize: 1, Disk: 1}); g != nil || err != nil {
		t.Errorf("nothing to count: %v %v", g, err)
	}
	for _, controller := range []string{"", cpuController} {
		t.Run(cmp.Or(controller, "version 2"), func(t *testing.T) {
			own, err := findGroup(controller)
			if own == "" || err != nil {
				t.Skip("no such control group here: ", err)
			}
			if err := mayGroup(own, controller == ""); err != nil {
				t.Skip("not ours: ", err)
			}
			g := &group{name: groupPrefix + strconv.Itoa(os.Getpid()) + "-time"}
			defer g.remove()
			if err := g.countCPU(own, controller == "", nil); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("sh", "-c", "read x; "+burn("0.3"))
			in, err := cmd.StdinPipe()
			if err == nil {
				err = cmd.Start()
			}
			if err == nil {
				err = g.add(cmd.Process.Pid)
			}
			before := g.cpuTime()
			in.Close()
			if err := errors.Join(err, cmd.Wait()); err != nil {
				t.Fatal(err)
			}
			if used := g.cpuTime() - before; used < 200*time.Millisecond || used > 10*time.Second {
				t.Errorf("%v of 0.3 s", used)
			}
		})
	}
}

// An ordinary user has the limit of processor time in a group that was delegated, without any controller.
func TestDelegatedGroup(t *testing.T) {
	own, err := findGroup("")
	if own == "" || err != nil {
		t.Skip("no control group of version 2 here: ", err)
	}
	if err := mayGroup(own, true); err != nil {
		t.Skip("it is not ours: ", err)
	}
	dir := filepath.Join(own, "delegated-"+strconv.Itoa(os.Getpid()))
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(dir)
	if err := errors.Join(os.Chown(dir, nobody, nobody), os.Chown(dir+"/cgroup.procs", nobody, nobody)); err != nil {
		t.Skip("nobody may be given it: ", err)
	}
	fd, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer fd.Close()
	t.Setenv("SANDBOX_DELEGATED", "1")
	ordinary(t, "^TestConfinedCPUOf", &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(fd.Fd())})
	if left, _ := filepath.Glob(dir + "/*/cgroup.procs"); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// An ordinary user has the limit where systemd delegates a scope.
func TestDelegatedScope(t *testing.T) {
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		t.Skip("systemd does not run here")
	}
	if os.Getenv("SANDBOX_SCOPE") != "" {
		t.Skip("runs in the scope already")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"--scope", "-q", "-p", "Delegate=yes", "--setenv=SANDBOX_SCOPE=1", self, "-test.run=^TestMemoryOfAJob$", "-test.v"}
	if os.Geteuid() != 0 {
		args = append([]string{"--user"}, args...)
	}
	out, err := exec.Command("systemd-run", args...).CombinedOutput()
	if strings.Contains(string(out), "Failed to connect to bus") || strings.Contains(string(out), "Failed to start transient scope") {
		t.Skipf("no scope can be had here: %s", out)
	}
	if err != nil || !strings.Contains(string(out), "--- PASS: TestMemoryOfAJob") {
		t.Errorf("%v\n%s", err, out)
	}
}
