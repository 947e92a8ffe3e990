package agent

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/sheratan/sheratan/hosts/roots"
	"github.com/sheratan/sheratan/pipeline/job"
)

func (f fixture) leave(t *testing.T, script string, outputs ...job.Declared) job.Result {
	t.Helper()
	j := newJob(t, "job-1", "exec", sh(script), 5)
	j.Outputs = outputs
	return f.Attempt(t.Context(), j, 1)
}

func TestArtifacts(t *testing.T) {
	f := newFixture(t)
	r := f.leave(t, "mkdir -p a/b .git; echo 1 >a/b/x.txt; echo 22 >a/b/y.txt; echo 3 >a/b/z.log; echo 4 >top",
		job.Declared{Path: "a/*/*.txt"}, job.Declared{Path: "./top"}, job.Declared{Path: "a/b/x.txt"},
		job.Declared{Path: "none/*", Optional: true}, job.Declared{Path: "none", Optional: true})
	want(t, r, "", "")
	const base = "runtime/outbox/results/2026/01/02/job-1.artifacts/"
	got := map[string]string{}
	for _, a := range r.Artifacts {
		b, err := os.ReadFile(filepath.Join(f.ws, a.Path))
		if err != nil || int64(len(b)) != a.Bytes || len(a.SHA256) != 64 || a.Path != base+a.Name {
			t.Error(a, err)
		}
		got[a.Name] = string(b)
	}
	if len(got) != 3 || len(r.Artifacts) != 3 || got["a/b/x.txt"] != "1\n" || got["a/b/y.txt"] != "22\n" || got["top"] != "4\n" {
		t.Error(dump(r))
	}
	if err := Sync(f.ws, []job.Result{r}); err != nil {
		t.Error(err)
	}
}

func TestArtifactsRefused(t *testing.T) {
	big := "dd if=/dev/zero of=big bs=1024 count=4 2>/dev/null"
	for name, c := range map[string]struct {
		script string
		output string
		code   string
		text   string
	}{
		"missing":         {"true", "x", CodeArtifactMissing, "no such file"},
		"no match":        {"touch y", "x*", CodeArtifactMissing, "no such file"},
		"a folder":        {"mkdir x", "x", string(roots.NotAFile), "is a directory"},
		"a link":          {"echo 1 >y; ln -s y x", "x", string(roots.Symlink), "symbolic link"},
		"a matched link":  {"echo 1 >y; ln -s y x", "x*", string(roots.Symlink), "symbolic link"},
		"a link before":   {"mkdir d; echo 1 >d/x; ln -s d e", "e/x", string(roots.Symlink), "symbolic link"},
		"out of root":     {"ln -s /etc e", "e/passwd", string(roots.Symlink), "symbolic link"},
		"two names":       {"echo 1 >y; ln y x", "x", string(roots.HardLink), "hard links"},
		"a fifo":          {"mkfifo x", "x", string(roots.SpecialFile), "FIFO"},
		"traversal":       {"true", "a/../../x", string(roots.Traversal), "leads out"},
		"absolute":        {"true", "/etc/passwd", CodeRefused, "relative"},
		"too large":       {big, "big", CodeArtifactLarge, "limits.artifact_bytes"},
		"an own link":     {`ln -s /etc/passwd "$SHERATAN_WORK/x"`, "x", string(roots.Symlink), "symbolic link"},
		"own link folder": {`ln -s /etc "$SHERATAN_WORK/e"`, "e/passwd", string(roots.Symlink), "symbolic link"},
		"own two names":   {`cd "$SHERATAN_WORK"; echo 1 >y; ln y x`, "x", string(roots.HardLink), "hard links"},
		"own too large":   {`cd "$SHERATAN_WORK"; ` + big, "big", CodeArtifactLarge, "limits.artifact_bytes"},
		"nowhere":         {"true", "x", CodeArtifactMissing, "$SHERATAN_WORK or /"},
		"too many":        {"touch x1 x2 x3", "x*", CodeArtifactMany, "limits.artifacts"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, func(o *Options) { o.ArtifactBytes, o.ArtifactCount = 4000, 2 })
			r := f.leave(t, c.script, job.Declared{Path: c.output})
			want(t, r, c.code, c.text)
			if r.Artifacts != nil {
				t.Error(dump(r))
			}
			left, _ := filepath.Glob(filepath.Join(f.ws, "runtime/outbox/results/2026/01/02/*.artifacts"))
			if len(left) > 0 {
				t.Errorf("left: %q", left)
			}
		})
	}
}

// TestArtifactsOfPrivateFolder: what lies in the private folder goes before what lies in the folder that the job worked in.
func TestArtifactsOfPrivateFolder(t *testing.T) {
	f := newFixture(t)
	r := f.leave(t, `echo cwd >x; echo cwd >y; echo cwd >one.log
		cd "$SHERATAN_WORK"; echo own >x; mkdir sub; echo own >sub/z; echo own >two.log`,
		job.Declared{Path: "x"}, job.Declared{Path: "y"}, job.Declared{Path: "sub/z"}, job.Declared{Path: "*.log"})
	want(t, r, "", "")
	got := map[string]string{}
	for _, a := range r.Artifacts {
		b, _ := os.ReadFile(filepath.Join(f.ws, a.Path))
		got[a.Name] = string(b)
	}
	if len(got) != 4 || got["x"] != "own\n" || got["y"] != "cwd\n" || got["sub/z"] != "own\n" || got["two.log"] != "own\n" {
		t.Error(got, dump(r))
	}
	// The folder is another job's afterwards.
	want(t, f.leave(t, "rm x", job.Declared{Path: "x"}), CodeArtifactMissing, "no such file")
}

// TestArtifactsOfFailure: what a failed attempt left is kept where the job says so, and its own failure is the one that is told.
func TestArtifactsOfFailure(t *testing.T) {
	f := newFixture(t)
	r := f.leave(t, "echo 1 >x; echo 2 >y; exit 3", job.Declared{Path: "x", OnFailure: true}, job.Declared{Path: "y"},
		job.Declared{Path: "z", OnFailure: true})
	want(t, r, CodeExit, "exit status 3")
	if len(r.Artifacts) != 1 || r.Artifacts[0].Path != "runtime/outbox/results/2026/01/02/job-1.1.artifacts/x" {
		t.Error(dump(r))
	}
}
