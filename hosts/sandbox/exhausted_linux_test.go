//go:build amd64 || arm64

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// exhaustedMain starts a job again and again, with fewer files allowed each time, until none are. It says what was wrong
// where one did not start, and another attempt were not worth it.
func exhaustedMain(level Level) int {
	started, refused := 0, 0
	for n := uint64(120); n > 4; n -= 2 {
		unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: n, Max: n})
		cmd := &Cmd{Path: "/bin/true", Argv: []string{"true"}, Dir: "/usr", Level: level}
		if level != LevelNone {
			cmd.Confine = &Confinement{Read: SystemPaths(), Limits: Limits{Files: 1024}}
		}
		_, err := cmd.Run(context.Background())
		if err == nil {
			started++
			continue
		}
		refused++
		if e, ok := errors.AsType[*StartError](err); !ok || !e.Temporary() {
			fmt.Println(n, "files:", err)
			return exitEscaped
		}
	}
	if started == 0 || refused == 0 {
		fmt.Println(started, "started,", refused, "refused")
		return exitUnknown
	}
	return exitRefused
}

// probeExhaustedMain asks what the machine offers while all files that this process may have are open, and again.
func probeExhaustedMain() int {
	unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 200, Max: 200})
	var hog []int
	for fd, err := 0, error(nil); err == nil; fd, err = unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0) {
		hog = append(hog, fd)
	}
	first := Probe()
	for _, fd := range hog[1:] {
		unix.Close(fd)
	}
	second := Probe()
	if first.Fault == nil || Lack(first.Fault) == "" || second.Fault != nil || second.Level == LevelNone {
		fmt.Println(first, second)
		return exitEscaped
	}
	return exitRefused
}

// starved runs this program again with a variable.
func starved(t *testing.T, what string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = []string{"ATTEMPT=" + what}
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != exitRefused {
		t.Errorf("%s: %v\n%s", what, err, out)
	}
}

// Where the machine is out of files, nothing is said about what it has to confine jobs with, and another attempt is worth it.
func TestOutOfFiles(t *testing.T) {
	t.Parallel()
	for _, level := range []Level{LevelNone, LevelRestricted, LevelFull} {
		t.Run(string(level), func(t *testing.T) {
			need(t, level)
			starved(t, "exhausted "+string(level))
		})
	}
}

// What is found out while the machine is out of files is not remembered.
func TestProbeOutOfFiles(t *testing.T) {
	t.Parallel()
	need(t, LevelRestricted)
	starved(t, "probe-exhausted")
}

// A keeper that was killed while it waited for work costs no job its start.
func TestIdleKeeperKilled(t *testing.T) {
	t.Parallel()
	for _, level := range []Level{LevelRestricted, LevelFull} {
		var k Keepers
		need(t, level)
		cmd := func() *Cmd {
			return &Cmd{Path: "/bin/true", Argv: []string{"true"}, Dir: "/usr", Level: level, Keepers: &k, Confine: &Confinement{Read: SystemPaths()}}
		}
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				if _, err := cmd().Run(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for _, h := range k.idle {
			unix.Kill(h.pid, unix.SIGKILL)
			unix.Waitid(unix.P_PID, h.pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		}
		if r, err := cmd().Run(t.Context()); err != nil || r.ExitCode != 0 {
			t.Errorf("%s: %+v, %v", level, r, err)
		}
		k.Close()
	}
}
