//go:build amd64 || arm64

package sandbox

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// status returns what /proc says of a job, by name.
func status(t *testing.T, c *Cmd) map[string]string {
	t.Helper()
	if r := run(t, c); r.ExitCode != 0 {
		t.Fatalf("%+v: %s", r, c.Stderr.Head)
	}
	fields := map[string]string{}
	for line := range strings.Lines(string(c.Stdout.Head)) {
		if name, value, ok := strings.Cut(line, ":"); ok {
			fields[name] = strings.Join(strings.Fields(value), " ")
		}
	}
	return fields
}

// TestPowerless: a job of root has no capability, at no level, and gets none by what it executes.
func TestPowerless(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	for _, level := range []Level{LevelNone, LevelRestricted, LevelFull} {
		t.Run(string(level), func(t *testing.T) {
			c := shell(t, "exec cat /proc/self/status")
			if level != LevelNone {
				c.Level, c.Confine = level, &Confinement{Read: SystemPaths(), Work: c.Dir}
			}
			got := status(t, c)
			for _, set := range []string{"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"} {
				if got[set] != "0000000000000000" {
					t.Errorf("%s is %s", set, got[set])
				}
			}
			if got["NoNewPrivs"] != "1" || got["Uid"] != "0 0 0 0" || got["SigIgn"] != "0000000000000000" {
				t.Errorf("%v", got)
			}
		})
	}
}

// TestPowerlessRefused: what only a capability allows is refused, at the level that has nothing else to refuse it.
func TestPowerlessRefused(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	for _, script := range []string{"chown 1:1 .", "mount -t tmpfs none .", "chroot / true", "su -s /bin/true nobody", "unshare -n true"} {
		c := shell(t, script)
		if control := exec.Command("unshare", "-m", "sh", "-c", script); true {
			control.Dir = t.TempDir()
			if out, err := control.CombinedOutput(); err != nil {
				t.Logf("not tried: %s: %v: %s", script, err, out)
				continue
			}
		}
		if r := run(t, c); r.ExitCode == 0 {
			t.Errorf("%s worked", script)
		}
	}
}
