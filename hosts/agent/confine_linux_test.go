package agent

import (
	"bufio"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/sheratan/sheratan/hosts/roots"
	"github.com/sheratan/sheratan/hosts/sandbox"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/pipeline/kind"
)

// sandboxed are the levels that this machine has.
func sandboxed(t *testing.T, test func(t *testing.T, level sandbox.Level)) {
	for _, level := range []sandbox.Level{sandbox.LevelFull, sandbox.LevelRestricted} {
		t.Run(string(level), func(t *testing.T) {
			if f := sandbox.Probe(); f.Level != sandbox.LevelFull && f.Level != level {
				t.Skipf("this machine has no level %s: %s", level, strings.Join(f.Missing, "; "))
			}
			test(t, level)
		})
	}
}

func TestExecIsConfined(t *testing.T) {
	sandboxed(t, func(t *testing.T, level sandbox.Level) {
		var access Access
		f := newFixture(t, func(o *Options) {
			o.Sandbox, o.Access = level, func(job.Job) Access { return access }
		})
		for name, content := range map[string]string{"config/secret": "s", "work/input": "data"} {
			if err := os.WriteFile(filepath.Join(f.ws, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		script := func(s string) job.Result { return f.do(t, "exec", kind.Exec{Argv: []string{"sh", "-c", s}}, 10) }
		r := script(`cat input && echo x > "$HOME/f" && echo y > "$TMPDIR/f" && echo z > "$SHERATAN_WORK/f" && pwd`)
		if r.Status != job.StatusCompleted || r.Sandbox != string(level) ||
			!strings.HasPrefix(r.Stdout.Text, "data") || !strings.Contains(r.Stdout.Text, f.ws+"/work") {
			t.Fatalf("%+v", r)
		}
		for _, s := range []string{"cat ../config/secret", "cat " + f.ws + "/config/secret", "echo x > new", "ls ../config",
			"rm input", "cat /etc/shadow"} {
			if r := script(s); r.Status == job.StatusCompleted {
				t.Errorf("%s: %+v", s, r)
			}
		}
		access.WriteRoots = true
		if r := script("echo x > new && rm new"); r.Status != job.StatusCompleted {
			t.Errorf("%+v", r)
		}
		if r := script("cat " + f.ws + "/config/secret"); r.Status == job.StatusCompleted {
			t.Errorf("%+v", r)
		}
		access.Limits.Disk = 1 << 20
		if r := script("head -c 4M /dev/zero > $TMPDIR/f; sleep 5"); r.ErrorCode != CodeDisk || r.Retryable {
			t.Errorf("%+v", r)
		}
		access.Limits.Disk, access.Limits.CPU = 0, 2
		if r := script("while :; do :; done"); r.ErrorCode != CodeCPU || r.Retryable {
			t.Errorf("%+v", r)
		}
		access.Limits.CPU = 0
		access.Read = []string{"/no/such/toolchain"}
		if r := script("true"); r.ErrorCode != CodeSandbox || r.ExitCode != -1 || r.Retryable {
			t.Errorf("%+v", r)
		}
	})
}

// TestExecInRootAroundWorkspace has a root that contains the workspace itself, with all that is closed to jobs.
func TestExecInRootAroundWorkspace(t *testing.T) {
	if sandbox.Probe().Level != sandbox.LevelFull {
		t.Skip("this machine has no level full")
	}
	f := newFixture(t, func(o *Options) {
		r, err := roots.Open(o.Workspace, []string{"."}, []string{"config", "runtime", "missions"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { r.Close() })
		o.Roots, o.Sandbox = r, sandbox.LevelFull
		if err := os.WriteFile(filepath.Join(o.Workspace, "config/secret"), []byte("s"), 0o600); err != nil {
			t.Fatal(err)
		}
	})
	const script = `test -d work && test -z "$(ls config)" && ! cat config/secret && echo x > "$HOME/f" && ! ls runtime/outbox`
	if r := f.do(t, "exec", kind.Exec{Argv: []string{"sh", "-c", script}}, 10); r.Status != job.StatusCompleted {
		t.Fatalf("%+v", r)
	}
}

// TestWritableRootKeeps: a job that may change a root changes neither the workspace nor a repository in it, wherever that
// is, carries none of them away, and makes nothing where something closed is missing.
func TestWritableRootKeeps(t *testing.T) {
	if sandbox.Probe().Level != sandbox.LevelFull {
		t.Skip("this machine has no level full")
	}
	for name, c := range map[string]struct {
		root, script string
		free         bool // not kept: the script does what it can do
	}{
		"the workspace is moved":           {"..", "mv ws other", false},
		"a new file in the workspace":      {"..", "echo x >ws/AGENTS.md", false},
		"rules":                            {"..", "mkdir -p ws/config/policies", false},
		"missions that are missing":        {".", "echo x >missions/m.json || mkdir missions && echo x >missions/m.json", false},
		"hooks":                            {"..", "echo x >repo/.git/hook", false},
		"a repository further down":        {"..", "echo x >a/b/c/.git/hook", false},
		"the folder of a repository":       {"..", "mv a/b/c a/b/d", false},
		"folders above it":                 {"..", "mv a d", false},
		"a linked work tree":               {"..", "echo gitdir: /tmp/x >linked/.git", false},
		"a linked work tree is replaced":   {"..", "rm linked/.git && mkdir linked/.git", false},
		"a bare repository":                {"..", "echo x >bare/hook", false},
		"a link to a repository":           {"..", "rm byname/.git && mkdir byname/.git", false},
		"what a link to a repository says": {"..", "echo x >elsewhere/hook", false},
		"everything":                       {"..", "rm -rf a", false},
		"other files":                      {"..", "echo x >repo/new && mv repo/new a/b/c/new && mkdir a/e && rm -r a/e", true},
		"the work folder of the workspace": {"work", "echo x >new", true},
		"beside what is closed":            {".", "echo x >work/new && mkdir other && rm -r other", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, level := range []sandbox.Level{sandbox.LevelFull, sandbox.LevelNone} {
				var base string
				f := newFixture(t, func(o *Options) {
					base, o.Workspace = o.Workspace, filepath.Join(o.Workspace, "ws")
					o.WorkDir = filepath.Join(o.Workspace, "runtime/.sheratan/jobs")
					for _, d := range []string{"config", "runtime", "work"} {
						if err := os.MkdirAll(filepath.Join(o.Workspace, d), 0o755); err != nil {
							t.Fatal(err)
						}
					}
					for _, f := range []string{"repo/.git/config", "a/b/c/.git/config", "linked/.git", "bare/HEAD", "bare/refs/x",
						"bare/objects/x", "elsewhere/config", "elsewhere/HEAD", "elsewhere/refs/x", "elsewhere/objects/x", "byname/file", "ws/runtime/secret"} {
						put(t, filepath.Join(base, f), "x")
					}
					if err := os.Symlink("../elsewhere", base+"/byname/.git"); err != nil {
						t.Fatal(err)
					}
					r, err := roots.Open(o.Workspace, []string{c.root}, []string{"config", "runtime", "missions"})
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { r.Close() })
					o.Roots, o.Sandbox, o.Access = r, level, func(job.Job) Access { return Access{WriteRoots: true} }
				})
				r := f.do(t, "exec", kind.Exec{Argv: []string{"sh", "-c", c.script}}, 10)
				if done := r.Status == job.StatusCompleted; done != (c.free || level == sandbox.LevelNone) {
					t.Errorf("%s: %s", level, dump(r))
				}
				if _, err := os.Lstat(base + "/ws/missions/m.json"); err == nil && level == sandbox.LevelFull {
					t.Error("a mission was planted")
				}
			}
		})
	}
}

// TestConfinedArtifacts: a job that may change nothing in the roots leaves its outputs in its private folder.
func TestConfinedArtifacts(t *testing.T) {
	sandboxed(t, func(t *testing.T, level sandbox.Level) {
		f := newFixture(t, func(o *Options) { o.Sandbox = level })
		r := f.leave(t, `echo 1 >"$SHERATAN_WORK/x"`, job.Declared{Path: "x"})
		if r.Status != job.StatusCompleted || r.Sandbox != string(level) || len(r.Artifacts) != 1 || r.Artifacts[0].Bytes != 2 {
			t.Errorf("%+v", r)
		}
		want(t, f.leave(t, "echo 1 >x", job.Declared{Path: "x"}), CodeExit, "exit status")
	})
}

// TestWorkerIsRestricted: above none the process that executes file kinds has taken from itself what lies outside of the
// roots, does its work all the same, and goes on where a root is replaced.
func TestWorkerIsRestricted(t *testing.T) {
	if sandbox.Probe().Level == sandbox.LevelNone {
		t.Skip("this machine has no sandbox")
	}
	for level, confined := range map[sandbox.Level]string{sandbox.LevelRestricted: "restricted", sandbox.LevelNone: "none"} {
		f := newFixture(t, func(o *Options) { o.Sandbox = level })
		r := f.do(t, "file_write", object{"path": "a/new", "content": "x\n", "mode": "create"}, 5)
		if want(t, r, "", ""); r.Sandbox != confined {
			t.Fatal(dump(r))
		}
		want(t, f.do(t, "file_write", object{"path": "a/new", "content": "y\n", "mode": "append"}, 5), "", "")
		want(t, f.do(t, "file_patch", object{"path": "a/new", "diff": "--- a/a/new\n+++ b/a/new\n@@ -1,2 +1,2 @@\n-x\n+z\n y\n"}, 5), "", "")
		if r := f.do(t, "file_read", object{"path": "a/new"}, 5); r.Stdout.Text != "z\ny\n" {
			t.Fatal(dump(r))
		}
		status, err := os.ReadFile("/proc/" + strconv.Itoa(f.workers.idle[0].cmd.Process.Pid) + "/status")
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(status), "NoNewPrivs:\t1") != (level != sandbox.LevelNone) ||
			strings.Contains(string(status), "Seccomp:\t2") != (level != sandbox.LevelNone) {
			t.Errorf("%s:\n%s", level, status)
		}
		if err := os.Rename(f.ws+"/work", f.ws+"/old"); err != nil {
			t.Fatal(err)
		}
		put(t, f.ws+"/work/b", "other")
		if r := f.do(t, "file_read", object{"path": "b"}, 5); r.Stdout.Text != "other" {
			t.Fatal(dump(r))
		}
	}
}

// TestWorkerThatCannotBeRestricted does nothing.
func TestWorkerThatCannotBeRestricted(t *testing.T) {
	var out strings.Builder
	w := bufio.NewWriter(&out)
	f := newFixture(t)
	put(t, f.ws+"/work/a", "text")
	err := serve(f.opt.Roots, errors.New("Landlock: not here"), request{Read: &kind.FileRead{Path: "a"}, Limit: 100}, w)
	if err != nil || strings.Contains(out.String(), "text") || !strings.Contains(out.String(), CodeSandbox) {
		t.Fatal(err, out.String())
	}
}
