package agent

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sheratan/sheratan/hosts/sandbox"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/pipeline/kind"
)

// writer is a fixture whose jobs may change the root; sh runs a script in it.
func writer(t *testing.T, level sandbox.Level, more Access) (f fixture, sh func(script string) job.Result) {
	more.WriteRoots = true
	f = newFixture(t, func(o *Options) {
		o.Sandbox, o.Access = level, func(job.Job) Access { return more }
	})
	return f, func(script string) job.Result {
		t.Helper()
		return f.do(t, "exec", kind.Exec{Argv: []string{"sh", "-c", script}}, 20)
	}
}

// TestLeftBehind: whatever a job leaves in a root, the next one sees nothing that lies elsewhere, and starts.
func TestLeftBehind(t *testing.T) { sandboxed(t, leftBehind) }

func leftBehind(t *testing.T, level sandbox.Level) {
	f, sh := writer(t, level, Access{})
	outside := filepath.Join(f.ws, "outside")
	put(t, outside+"/secret", "s")
	put(t, f.ws+"/work/a", "x")
	put(t, f.ws+"/config/secret", "s")
	long := strings.Repeat("x", 200)
	for name, script := range map[string]string{
		"a link out":            "ln -s " + outside + " x/.git",
		"a link to a file":      "ln -s " + outside + "/secret x/.git",
		"a link to all":         "ln -s / x/.git",
		"a link to config":      "ln -s " + f.ws + "/config x/.git",
		"a link to a link":      "ln -s " + outside + " y && ln -s y x/.git",
		"a link to nowhere":     "ln -s /nowhere x/.git",
		"a link to itself":      "ln -s .git x/.git",
		"a link in a bare one":  "mkdir x/objects x/refs && ln -s " + outside + " x/HEAD",
		"a bare root":           "mkdir objects refs && echo x >HEAD",
		"a long path":           "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25; do mkdir " + long + " && cd -P " + long + " || exit 1; done; mkdir .git",
		"a deep path":           "i=0; while [ $i -lt 300 ]; do mkdir d && cd d || exit 1; i=$((i+1)); done; mkdir .git",
		"many repositories":     "i=0; while [ $i -lt 200 ]; do mkdir -p x/$i/.git || exit 1; i=$((i+1)); done",
		"another case":          "mkdir x/.GIT x/.Idea",
		"a closed folder":       "mkdir x/.git && chmod 0 x/.git x",
		"a file for a folder":   "echo x >x/.git",
		"a name with odd bytes": `mkdir "$(printf 'x/a\nb\\\tc')" && mkdir "$(printf 'x/a\nb\\\tc/.git')"`,
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				dir, err := openDir(f.ws + "/work")
				if err != nil {
					t.Fatal(err)
				}
				defer dir.Close()
				if err := (&removal{}).empty(dir); err != nil {
					t.Fatal(err)
				}
				put(t, f.ws+"/work/a", "x")
			}()
			if r := sh("mkdir -p x && " + script); r.Status != job.StatusCompleted {
				t.Fatal(dump(r))
			}
			for _, s := range []string{"cat " + outside + "/secret", "ls " + outside, "cat " + f.ws + "/config/secret", "cat x/.git/secret", "cat x/HEAD/secret"} {
				if r := sh(s); r.Status == job.StatusCompleted || r.ErrorCode != CodeExit {
					t.Errorf("%s: %s", s, dump(r))
				}
			}
			if r := sh(map[sandbox.Level]string{sandbox.LevelFull: "echo x >new && rm new", sandbox.LevelRestricted: "echo y >a"}[level]); r.Status != job.StatusCompleted {
				t.Error(dump(r))
			}
		})
	}
}

// TestLinkStays: a link that git follows is not put anywhere else, though nothing follows it here.
func TestLinkStays(t *testing.T) { sandboxed(t, linkStays) }

func linkStays(t *testing.T, level sandbox.Level) {
	f, sh := writer(t, level, Access{})
	put(t, f.ws+"/work/r/src/file", "x")
	if err := os.MkdirAll(f.ws+"/work/r", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../store", f.ws+"/work/r/.git"); err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"rm r/.git", "mv r/.git r/x", "ln -sfn /tmp r/.git", "mv r s"} {
		if r := sh(s); r.Status == job.StatusCompleted {
			t.Error(s, dump(r))
		}
	}
	if r := sh("echo x >r/beside && rm r/beside"); (r.Status == job.StatusCompleted) != (level == sandbox.LevelFull) {
		t.Error(dump(r))
	}
	if r := sh("echo y >r/src/file && echo x >r/src/beside && rm r/src/beside"); r.Status != job.StatusCompleted {
		t.Error(dump(r))
	}
}

// TestTooManyRepositories names the folder, and tells the way out.
func TestTooManyRepositories(t *testing.T) { sandboxed(t, tooManyRepositories) }

func tooManyRepositories(t *testing.T, level sandbox.Level) {
	f, sh := writer(t, level, Access{})
	for i := range surveyEntries + 1 {
		if err := os.MkdirAll(fmt.Sprintf("%s/work/many/%d/.git", f.ws, i), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if r := sh("true"); r.ErrorCode != CodeSandbox || !strings.Contains(r.Error, f.ws+"/work/many: more than") {
		t.Error(dump(r))
	}
	if err := os.RemoveAll(f.ws + "/work/many/0"); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if r := sh("true"); r.Status != job.StatusCompleted {
		t.Error(dump(r))
	}
	t.Logf("%d repositories: %v", surveyEntries, time.Since(start))
}

// TestRepositoryMadeMeanwhile: a keeper that waits for the next job knows nothing of what came since.
func TestRepositoryMadeMeanwhile(t *testing.T) { sandboxed(t, repositoryMadeMeanwhile) }

func repositoryMadeMeanwhile(t *testing.T, level sandbox.Level) {
	f, sh := writer(t, level, Access{})
	if r := sh("mkdir -p repo && echo x >repo/file"); r.Status != job.StatusCompleted {
		t.Fatal(dump(r))
	}
	put(t, f.ws+"/work/repo/.git/hooks/readme", "x")
	if r := sh("echo x >repo/.git/hooks/pre-commit"); r.Status == job.StatusCompleted {
		t.Error(dump(r))
	}
}

// TestProtectedSettings: what an editor or direnv would execute stays, unless the rule gives it to its program.
func TestProtectedSettings(t *testing.T) { sandboxed(t, protectedSettings) }

func protectedSettings(t *testing.T, level sandbox.Level) {
	for _, name := range Protected {
		for _, open := range []bool{false, true} {
			more := Access{}
			if open {
				more.Unprotect = []string{name}
			}
			f, sh := writer(t, level, more)
			file := "work/p/" + name + "/tasks.json"
			if name == ".envrc" {
				file = "work/p/" + name
			}
			put(t, filepath.Join(f.ws, file), "x")
			for _, s := range []string{"echo y >../" + file, "rm -r p/" + name, "mv p q"} {
				if r := sh(s); (r.Status == job.StatusCompleted) != open {
					t.Errorf("%s, open %t: %s", s, open, dump(r))
				}
				if open {
					os.RemoveAll(f.ws + "/work/q")
					put(t, filepath.Join(f.ws, file), "x")
				}
			}
		}
	}
}

func runOutside(script string) (string, error) {
	out, err := exec.Command("sh", "-c", script).CombinedOutput()
	return string(out), err
}

// TestClosedFiles: FIFOs and devices of others that lie where a job looks cannot be opened, and what lies beside them can.
func TestClosedFiles(t *testing.T) {
	sandboxed(t, func(t *testing.T, level sandbox.Level) {
		for _, write := range []bool{false, true} {
			for _, where := range []string{"root", "repository", "read", "cache", "itself"} {
				for _, kindOf := range []string{"FIFO", "device"} {
					if kindOf == "device" && os.Geteuid() != 0 {
						continue
					}
					base := t.TempDir()
					var path string
					f := newFixture(t, func(o *Options) {
						path = map[string]string{"root": o.Workspace + "/work/a/b/f", "repository": o.Workspace + "/work/.git/f", "read": base + "/read/a/f",
							"cache": base + "/cache/f", "itself": base + "/itself"}[where]
						read := []string{base + "/read"}
						if where == "itself" {
							read = append(read, path)
						}
						o.Sandbox, o.Access = level, func(job.Job) Access {
							return Access{WriteRoots: write, Read: read, Write: []string{base + "/cache"}}
						}
					})
					put(t, base+"/read/file", "x")
					put(t, base+"/cache/file", "x")
					if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
						t.Fatal(err)
					}
					mode, device := uint32(unix.S_IFIFO), 0
					if kindOf == "device" {
						mode, device = unix.S_IFCHR, int(unix.Mkdev(1, 5)) // zero
					}
					if err := unix.Mknod(path, mode|0o666, device); err != nil {
						t.Skip(err)
					}
					name := fmt.Sprintf("write %t, %s in %s", write, kindOf, where)
					// Open for reading and writing, a FIFO does not wait for anybody.
					for _, open := range []string{"exec 3<>" + path, "dd if=" + path + " iflag=nonblock of=/dev/null count=1"} {
						if r := f.do(t, "exec", kind.Exec{Argv: []string{"sh", "-c", open}}, 10); r.ErrorCode != CodeExit {
							t.Errorf("%s: %s: %s", name, open, dump(r))
						}
					}
					if r := f.do(t, "exec", kind.Exec{Argv: []string{"cat", base + "/read/file"}}, 10); r.Status != job.StatusCompleted {
						t.Errorf("%s: %s", name, dump(r))
					}
					if out, err := runOutside("dd if=" + path + " iflag=nonblock of=/dev/null count=1"); err != nil {
						t.Fatalf("control: %s: %v %s", name, err, out)
					}
				}
			}
		}
	})
}

// TestGitByOtherNames: where case does not count, git opens .GIT as its own.
func TestGitByOtherNames(t *testing.T) {
	sandboxed(t, func(t *testing.T, level sandbox.Level) {
		for name, kept := range map[string]bool{".GIT": true, ".git ": true, "GIT~1": true, ".g\u200bit": true, ".Idea": true, ".gitignore": false, "git": false} {
			f, sh := writer(t, level, Access{})
			put(t, f.ws+"/work/"+name+"/config", "x")
			if r := sh("echo y >'" + name + "/config'"); (r.Status == job.StatusCompleted) == kept {
				t.Errorf("%q: %s", name, dump(r))
			}
		}
	})
}

// TestToldOfWhatIsLeft: at restricted, a repository that a job makes stops later ones from making files beside it, and the operator is told.
func TestToldOfWhatIsLeft(t *testing.T) {
	sandboxed(t, func(t *testing.T, level sandbox.Level) {
		if level != sandbox.LevelRestricted {
			return
		}
		var told []string
		f := newFixture(t, func(o *Options) {
			o.Sandbox, o.Access = level, func(job.Job) Access { return Access{WriteRoots: true} }
			o.Warn = func(format string, args ...any) { told = append(told, fmt.Sprintf(format, args...)) }
		})
		put(t, f.ws+"/work/old/.git/config", "x")
		put(t, f.ws+"/work/new/file", "x")
		for _, script := range []string{"echo x >new/more", "mkdir new/.git", "echo x >new/file"} {
			if r := f.do(t, "exec", kind.Exec{Argv: []string{"sh", "-c", script}}, 20); r.Status != job.StatusCompleted {
				t.Fatal(dump(r))
			}
		}
		if len(told) != 1 || !strings.Contains(told[0], "has made "+f.ws+"/work/new/.git:") {
			t.Errorf("%q", told)
		}
	})
}
