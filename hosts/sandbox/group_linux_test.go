package sandbox

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// groups skips where there is no control group for the memory of jobs, and says which word the machine had for that.
func groups(t *testing.T) {
	t.Helper()
	g, err := newGroup(&Limits{Memory: 1 << 30})
	if err != nil {
		t.Skipf("no control group for memory here: %v", err)
	}
	g.remove()
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
