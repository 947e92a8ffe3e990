package stress_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// sandboxCases is where scripts lie that got out of the sandbox once, or past its limits.
const sandboxCases = "../../../../../shared/cases/sandbox"

// sandboxCase is a script, and what its output says. Where the attack works at the level none, that is its control: it shows
// that the script does what it is meant to do.
type sandboxCase struct {
	file    string
	never   string // matches the output of an attack that works
	control string // matches the output at the level none; "" where the script has its own, or no attack is possible without a sandbox
	always  string // matches the output at every level
	needs   []string
	root    bool   // for root alone
	timeout string // of jobs; "" is their own
	warm    bool   // begins with a build cache that has the standard library
	judge   func(t *testing.T, out string)
}

var sandboxScripts = []sandboxCase{
	{file: "01_gitlink_escape.sh", never: `uid=\d+`, control: `uid=\d+`, always: "ran outside", needs: []string{"tmux"}},
	{file: "02_gitlink_read.sh", never: `password=Xk29|SQLite format|sheratan\.config/v1`, control: `(?s)sheratan\.config/v1.*password=Xk29`, always: "second job"},
	{file: "03_keeper_reuse.sh", never: `hook written|uid=\d+`, control: `uid=\d+`, always: "operator commits", needs: []string{"git"}},
	{file: "04_socket_in_root.sh", never: `SHA256:`, control: `SHA256:`, always: "operator's ssh-agent", needs: []string{"ssh-agent", "ssh-add", "ssh-keygen"}},
	{file: "05_oom_keeper.sh", always: `(?s)note: job \S+ failed.*a job of another source.*\nSECRET of two\n.*completed`, needs: []string{"gcc"}, root: true, timeout: "20s",
		judge: func(t *testing.T, out string) {
			over, rest, _ := strings.Cut(out, "a job of another source")
			if _, list, _ := strings.Cut(over, "reported as over:"); strings.TrimSpace(strings.Trim(list, "- \n")) != "" {
				t.Errorf("the job is over, and lives: %s", list)
			}
			if _, stolen, ok := strings.Cut(rest, "the dead job has:"); !ok || strings.Contains(stolen, "SECRET of two") {
				t.Errorf("read by a job that is over: %q", stolen)
			}
		}},
	{file: "06_cache_poison.sh", never: "allowed: true", always: "(?s)allowed: false.*redirected: [1-9].*allowed: false", needs: []string{"go"}, warm: true},
	{file: "07_nested_root.sh", never: "SECRET|planted\n", always: "could put a link in its place"},
	{file: "08_timeout_evasion.sh", always: "150 processes", judge: func(t *testing.T, out string) {
		took := regexp.MustCompile(`: (\d+) s\n`).FindAllStringSubmatch(out, -1)
		if len(took) != 3 {
			t.Fatalf("%d attempts", len(took))
		}
		for _, m := range took {
			if n, _ := strconv.Atoi(m[1]); n > 30 {
				t.Errorf("a timeout of 3 s came after %d s", n)
			}
		}
	}},
	{file: "10_memory_limit.sh", never: `(?m)^\d{3} MiB`, control: `(?m)^\d{3} MiB`, always: "MemoryError", root: true},
	{file: "13_write_dos.sh", never: "failed|cannot be confined", always: "(?s)ok\n.*PATH_MAX\n.*completed"},
	{file: "18_leftover.sh", never: "(?m)^d$", always: "(?s)completed.*completed"},
}

// TestSandboxCases runs the scripts as root and as an ordinary user, at both levels.
func TestSandboxCases(t *testing.T) {
	if !long {
		t.Skip("puts load on the machine; SHERATAN_LONG=1")
	}
	scripts, err := filepath.Abs(sandboxCases)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(scripts); err != nil {
		t.Skip("there are no scripts:", err)
	}
	for _, c := range sandboxScripts {
		t.Run(c.file, func(t *testing.T) {
			for _, program := range append(c.needs, "python3") {
				if _, err := exec.LookPath(program); err != nil {
					t.Skip(err)
				}
			}
			if c.warm {
				warmCache(t)
			}
			for _, user := range []int{os.Geteuid(), 65534} {
				if user != os.Geteuid() && os.Geteuid() != 0 || user != 0 && c.root {
					continue
				}
				for _, level := range []string{"full", "restricted"} {
					out := runCase(t, filepath.Join(scripts, c.file), user, level, c.timeout)
					if c.never != "" && regexp.MustCompile(c.never).MatchString(out) || !regexp.MustCompile(c.always).MatchString(out) {
						t.Errorf("uid %d, %s:\n%s", user, level, out)
					}
					if c.judge != nil {
						c.judge(t, out)
					}
				}
				if c.control != "" {
					if out := runCase(t, filepath.Join(scripts, c.file), user, "none", c.timeout); !regexp.MustCompile(c.control).MatchString(out) {
						t.Errorf("control, uid %d:\n%s", user, out)
					}
				}
			}
		})
	}
}

// runCase runs a script with a folder of its own, and returns its output.
func runCase(t *testing.T, script string, user int, level, timeout string) string {
	t.Helper()
	base, err := os.MkdirTemp("", "case")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(base)
	program := filepath.Join(base, "sheratan")
	if out, err := exec.Command("cp", binary, program).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if timeout != "" {
		wrapper := "#!/bin/sh\nif [ \"$1\" = submit ]; then shift; set -- submit --timeout " + timeout + " \"$@\"; fi\nexec " + program + " \"$@\"\n"
		program += ".sh"
		if err := os.WriteFile(program, []byte(wrapper), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", script)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + base, "BASE=" + base, "SHERATAN=" + program, "LEVEL=" + level, "SHELL=/bin/sh", "WARM=" + os.Getenv("WARM")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if user != os.Geteuid() {
		if err := os.Chown(base, user, user); err != nil {
			t.Fatal(err)
		}
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(user), Gid: uint32(user)}
	}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	out, _ := cmd.CombinedOutput() // what it prints counts, and not how it exits
	if ctx.Err() != nil {
		t.Errorf("uid %d, %s: %v", user, level, ctx.Err())
	}
	return string(out)
}

// warmCache makes a build cache with the packages that the script's tests are built from, and names it to the script.
func warmCache(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	cache := filepath.Join(dir, "cache")
	source := "package warm\n\nimport (\n\t_ \"crypto/sha256\"\n\t_ \"encoding/hex\"\n\t_ \"os/exec\"\n\t_ \"path/filepath\"\n\t\"testing\"\n)\n\nfunc TestNothing(*testing.T) {}\n"
	for name, text := range map[string]string{"go.mod": "module warm\n\ngo 1.26\n", "warm_test.go": source} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("go", "test", ".")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOCACHE="+cache, "CGO_ENABLED=0", "GOFLAGS=-mod=mod", "GOPROXY=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for at := dir; at != os.TempDir() && at != "/"; at = filepath.Dir(at) {
		if err := os.Chmod(at, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("chmod", "-R", "a+rX", cache).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Setenv("WARM", cache)
}
