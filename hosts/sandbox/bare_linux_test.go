//go:build amd64 || arm64

package sandbox

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
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

// TestPowerless: a job of root has no capability, at no level, and gets none by what it executes. It ignores no signal, whatever we ignore.
func TestPowerless(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	ignore := [4]uintptr{1} // struct sigaction with SIG_IGN, as GNU make leaves signal 32
	if _, _, errno := syscall.RawSyscall6(unix.SYS_RT_SIGACTION, 32, uintptr(unsafe.Pointer(&ignore)), 0, 8, 0, 0); errno != 0 {
		t.Fatal(errno)
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

// TestOtherUser: what root starts for another user is that one, in every respect, and ends as what it starts for itself.
func TestOtherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, level := range []Level{LevelNone, LevelRestricted, LevelFull} {
		t.Run(string(level), func(t *testing.T) {
			command := func(script string) *Cmd {
				c := confined(t, level, script)
				c.Confine.Read = append(c.Confine.Read, filepath.Dir(secret))
				c.Confine.User = &User{UID: nobody, GID: nobody, Groups: []int{2, 3}}
				for dir := c.Dir; dir != "/"; dir = filepath.Dir(dir) {
					if st, err := os.Stat(dir); err != nil || st.Mode().Perm()&1 == 0 && os.Chmod(dir, st.Mode().Perm()|1) != nil {
						t.Fatal(dir, err)
					}
				}
				if err := os.Chown(c.Dir, nobody, nobody); err != nil {
					t.Fatal(err)
				}
				return c
			}
			c := command("echo x >file && flock -n file true && echo y >/dev/stderr && exec cat /proc/self/status")
			got := status(t, c)
			for _, set := range []string{"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"} {
				if got[set] != "0000000000000000" {
					t.Errorf("%s is %s", set, got[set])
				}
			}
			const id = "65534 65534 65534 65534"
			if got["Uid"] != id || got["Gid"] != id || got["Groups"] != "2 3" || got["NoNewPrivs"] != "1" {
				t.Errorf("%v", got)
			}
			if st, err := os.Stat(filepath.Join(c.Dir, "file")); err != nil || st.Sys().(*syscall.Stat_t).Uid != nobody {
				t.Errorf("%+v %v", st, err)
			}
			if r := run(t, command("cat "+secret)); r.ExitCode == 0 {
				t.Error("it read what is root's")
			}
			c = command("setsid sleep 60 & trap '' TERM; sleep 60")
			c.Timeout, c.TimeoutGrace = 300*time.Millisecond, 10*time.Millisecond
			if r := run(t, c); !r.TimedOut || r.Leaked != 0 || r.Duration > 20*time.Second || level != LevelNone && r.Survivors+len(r.Stopped) == 0 {
				t.Errorf("%+v", r)
			}
			if killed, left := sweep(c.Mark, 0); killed+left > 0 {
				t.Errorf("%d left", killed+left)
			}
		})
	}
}

// TestOtherUserKeepers: a keeper is of one user.
func TestOtherUserKeepers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	each(t, func(t *testing.T, level Level) {
		var k Keepers
		defer k.Close()
		for _, uid := range []int{nobody, 0, nobody, 1} {
			c := confined(t, level, "id -u")
			c.Dir, c.Confine.Work, c.Confine.Tmp = "/usr", "", ""
			c.Keepers = &k
			if uid != 0 {
				c.Confine.User = &User{UID: uid, GID: uid}
			}
			if run(t, c); strings.TrimSpace(string(c.Stdout.Head)) != strconv.Itoa(uid) {
				t.Errorf("%d: %s %s", uid, c.Stdout.Head, c.Stderr.Head)
			}
		}
	})
}
