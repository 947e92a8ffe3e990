//go:build amd64 || arm64

package sandbox

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// escape is something that a job must not be able to do. docs/ESCAPES.md says which public reports these come from.
type escape struct {
	name string
	// try returns nil if it could.
	try func(v target) error
	// root says that without a sandbox, too, only root can do it: the control is left out for others.
	root bool
	// only is set where the level restricted cannot refuse it, and says why.
	only string
	// inside says that at LevelFull it does no harm, and is the control.
	inside bool
	// without says why the control may fail; it is left out then.
	without string
	limits  Limits
	// alone says that its folder needs a disk on which nobody else frees room meanwhile.
	alone bool
}

// target is what is there to be reached, outside of the work folder. A job gets it in its environment.
type target struct {
	Outside  string // a folder with the files secret and config.json, beside the work folder
	Pid      int    // of a process with the same user
	TCP, UDP string // addresses that are listened at
	Abstract string // name of a Unix socket
	Socket   string // path of one
	Shm      int    // id of a segment of shared memory
	Read     string // a folder that the job may read, in which somebody else has a socket s, one for datagrams d, and a file
	Write    string // the same, where the job may write
	Limited  bool   // this is not the control, so the limits hold
}

func victim() (v target) {
	json.Unmarshal([]byte(os.Getenv("TARGET")), &v)
	return v
}

// deadline is how long a race is tried: half a second, and the control until it is won.
func (v target) deadline() time.Time {
	if v.Limited {
		return time.Now().Add(500 * time.Millisecond)
	}
	return time.Now().Add(15 * time.Second)
}

func (v target) secret() string { return filepath.Join(v.Outside, "secret") }

func allAttempts() []escape {
	return slices.Concat(fileEscapes, readEscapes, processEscapes, kernelEscapes, networkEscapes, socketEscapes, sharedEscapes,
		archEscapes)
}

// prepareTarget makes what an attempt aims at. Each attempt gets its own, since the control damages it.
func prepareTarget(t *testing.T) target {
	t.Helper()
	v := target{Outside: filepath.Join(t.TempDir(), "outside")}
	for name, content := range map[string]string{"secret": "secret", "config.json": "{}", "key": "key"} {
		if err := os.MkdirAll(v.Outside, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(v.Outside, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	sleep := exec.Command("sleep", "60")
	sleep.Env = []string{"SECRET=secret"}
	if err := sleep.Start(); err != nil {
		t.Fatal(err)
	}
	v.Pid = sleep.Process.Pid
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	v.TCP, v.UDP = tcp.Addr().String(), udp.LocalAddr().String()
	v.Abstract = fmt.Sprintf("@sandbox-test-%d-%d", os.Getpid(), v.Pid)
	abstract, err := net.Listen("unix", v.Abstract)
	if err != nil {
		t.Fatal(err)
	}
	v.Socket = filepath.Join(v.Outside, "s")
	path, err := net.Listen("unix", v.Socket)
	if err != nil {
		t.Fatal(err)
	}
	v.Read, v.Write = filepath.Join(filepath.Dir(v.Outside), "read"), filepath.Join(filepath.Dir(v.Outside), "write")
	listeners := []io.Closer{abstract, path}
	for _, dir := range []string{v.Read, v.Write} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		stream, err := net.Listen("unix", filepath.Join(dir, "s"))
		if err != nil {
			t.Fatal(err)
		}
		datagrams, err := net.ListenPacket("unixgram", filepath.Join(dir, "d"))
		if err != nil {
			t.Fatal(err)
		}
		listeners = append(listeners, stream, datagrams)
		if err := os.WriteFile(filepath.Join(dir, "file"), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	v.Shm, err = unix.SysvShmGet(unix.IPC_PRIVATE, 4096, unix.IPC_CREAT|0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		sleep.Process.Kill()
		sleep.Wait()
		tcp.Close()
		udp.Close()
		for _, l := range listeners {
			l.Close()
		}
		unix.SysvShmCtl(v.Shm, unix.IPC_RMID, nil)
	})
	return v
}

// attemptCommand is a job that makes one attempt.
func attemptCommand(t *testing.T, level Level, e escape) (*Cmd, target) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	v := prepareTarget(t)
	v.Limited = level != LevelNone
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	c := confined(t, level, "")
	if e.alone {
		if dir, err := os.MkdirTemp("/dev/shm", "sandbox"); err == nil {
			t.Cleanup(func() { os.RemoveAll(dir) })
			c.Dir, c.Confine.Work, c.Confine.Tmp = dir, dir, filepath.Join(dir, "tmp")
			if err := os.Mkdir(c.Confine.Tmp, 0o755); err != nil {
				t.Fatal(err)
			}
		} else {
			t.Log("the disk is one that others use:", err)
		}
	}
	c.Path, c.Argv = self, []string{"attempt"}
	c.Env = append(c.Env, "ATTEMPT="+e.name, "TARGET="+string(b), "GOTRACEBACK=none")
	c.Timeout = 20 * time.Second
	c.Confine.Read = append(c.Confine.Read, self, v.Read)
	c.Confine.Write = append(c.Confine.Write, v.Write)
	c.Confine.Limits = e.limits
	if level == LevelNone {
		c.Confine = nil
	}
	t.Cleanup(func() { // of folders that the attempt has closed
		filepath.WalkDir(c.Dir, func(path string, d os.DirEntry, err error) error {
			if err != nil && d.IsDir() {
				os.Chmod(path, 0o700)
			}
			return nil
		})
	})
	return c, v
}

// runPowerful runs a command as nobody runs a job: with all that this user can do.
func runPowerful(t *testing.T, c *Cmd) Report {
	t.Helper()
	cmd := &exec.Cmd{Path: c.Path, Args: c.Argv, Env: c.Env, Dir: c.Dir, Stdout: c.Stdout, Stderr: c.Stderr,
		SysProcAttr: &syscall.SysProcAttr{Setsid: true}}
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return Report{ExitCode: cmd.ProcessState.ExitCode()}
}

func TestEscape(t *testing.T) {
	attempts := allAttempts()
	if len(attempts) < 150 {
		t.Fatalf("%d attempts", len(attempts))
	}
	for _, e := range attempts {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			switch {
			case e.root && os.Geteuid() != 0:
				t.Log("no control: only root can do it")
			default:
				level := LevelNone
				if e.inside {
					need(t, LevelFull)
					level = LevelFull
				}
				c, _ := attemptCommand(t, level, e)
				ran := run
				if level == LevelNone {
					ran = runPowerful // jobs of root have no capability there either
				}
				if r := ran(t, c); r.ExitCode != exitEscaped && e.without != "" {
					t.Logf("no control: %s: %s", e.without, c.Stdout.Head)
				} else if r.ExitCode != exitEscaped {
					t.Errorf("the control did not succeed, so the attempt proves nothing: %s %s", c.Stdout.Head, c.Stderr.Head)
				}
			}
			for _, level := range []Level{LevelFull, LevelRestricted} {
				if level == LevelRestricted && e.only != "" || level == LevelFull && e.inside || Probe().Level != LevelFull && Probe().Level != level {
					continue
				}
				c, v := attemptCommand(t, level, e)
				r := run(t, c)
				if r.ExitCode == exitEscaped || r.ExitCode == exitUnknown || r.Lost || r.Level != level {
					t.Errorf("%s: escaped: %+v %s", level, r, c.Stdout.Head)
				}
				if b, err := os.ReadFile(v.secret()); err != nil || string(b) != "secret" {
					t.Errorf("%s: the secret is damaged: %q %v", level, b, err)
				}
				if unix.Kill(v.Pid, 0) != nil {
					t.Errorf("%s: the other process is gone", level)
				}
				t.Logf("%s: %s%s", level, strings.TrimSpace(string(c.Stdout.Head)), firstLine(c.Stderr.Head))
			}
		})
	}
}

func firstLine(b []byte) string {
	line, _, _ := strings.Cut(string(b), "\n")
	return line
}
