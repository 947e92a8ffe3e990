package agent

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func digestOf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// kept puts a file where a job could have left it.
func (f fixture) kept(t *testing.T, name, content string) DependencyFile {
	t.Helper()
	path := filepath.Join(f.ws, "runtime/outbox", strings.ReplaceAll(name, "/", "-"))
	put(t, path, content)
	return DependencyFile{Name: name, Path: path, SHA256: digestOf(content)}
}

func TestDependencies(t *testing.T) {
	f := newFixture(t)
	deps := []Dependency{
		{ID: "a", Result: []byte(`{"job_id":"a"}`), Files: []DependencyFile{f.kept(t, "stdout", "from a\n"), {Name: "stderr"},
			f.kept(t, "artifacts/x/y.txt", "made")}},
		{ID: "b", Result: []byte(`{"job_id":"b"}`), Files: []DependencyFile{{Name: "stdout"}, {Name: "stderr"}}},
	}
	script := sh(`cd "$SHERATAN_DEPS" && cat a/result.json a/stdout a/artifacts/x/y.txt b/result.json b/stdout && find . -type d -perm 500 | wc -l`)
	r := f.Attempt(t.Context(), newJob(t, "job-1", "exec", script, 10), 1, deps...)
	want(t, r, "", "")
	if got, want := f.stdout(t, r), "{\"job_id\":\"a\"}\nfrom a\nmade{\"job_id\":\"b\"}\n5\n"; got != want {
		t.Errorf("stdout %q, want %q", got, want)
	}
	// The next job has the folder to itself, and no variable.
	r = f.Attempt(t.Context(), newJob(t, "job-2", "exec", sh(`ls "$SHERATAN_WORK"; echo "${SHERATAN_DEPS-none}"`), 10), 1)
	want(t, r, "", "")
	if got := f.stdout(t, r); got != "home\ntmp\nnone\n" {
		t.Errorf("left behind: %q", got)
	}
	// What a job does to its copies stays with it.
	r = f.Attempt(t.Context(), newJob(t, "job-3", "exec", sh(`chmod -R u+w "$SHERATAN_DEPS" && echo other > "$SHERATAN_DEPS/a/stdout"`), 10), 1, deps...)
	want(t, r, "", "")
	if b, err := os.ReadFile(deps[0].Files[0].Path); err != nil || string(b) != "from a\n" {
		t.Errorf("the original is %q, %v", b, err)
	}
}

func TestDependenciesRefused(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.DependencyBytes = 100 })
	good := f.kept(t, "stdout", "good")
	changed := f.kept(t, "stderr", "as it was")
	put(t, changed.Path, "as it is now")
	link := DependencyFile{Name: "stdout", Path: filepath.Join(f.ws, "runtime/link"), SHA256: good.SHA256}
	if err := os.Symlink(good.Path, link.Path); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		dep        Dependency
		code, text string
	}{
		"changed":  {Dependency{ID: "a", Files: []DependencyFile{good, changed}}, CodeDependencyDigest, "dependency a: " + changed.Path + " has the SHA-256"},
		"link":     {Dependency{ID: "a", Files: []DependencyFile{link}}, CodeDependencyDigest, "dependency a"},
		"folder":   {Dependency{ID: "a", Files: []DependencyFile{{Name: "x", Path: f.ws}}}, CodeDependencyDigest, "not a regular file"},
		"gone":     {Dependency{ID: "a", Files: []DependencyFile{{Name: "x", Path: f.ws + "/none"}}}, CodeDependencyGone, "not there any more"},
		"problem":  {Dependency{ID: "a", Problem: "it has no result"}, CodeDependencyGone, "sheratan retry a"},
		"too much": {Dependency{ID: "a", Files: []DependencyFile{f.kept(t, "artifacts/big", strings.Repeat("x", 101))}}, CodeDependencyLarge, "limits.dependency_bytes"},
		"in sum":   {Dependency{ID: "a", Result: []byte(strings.Repeat("x", 97)), Files: []DependencyFile{good}}, CodeDependencyLarge, "100 bytes"},
		"outside":  {Dependency{ID: "a", Files: []DependencyFile{{Name: "../../x"}}}, CodeRefused, "no name for a file"},
		"id":       {Dependency{ID: "../a"}, CodeRefused, "not an identifier"},
	} {
		t.Run(name, func(t *testing.T) {
			r := f.Attempt(t.Context(), newJob(t, "job-1", "exec", sh("echo ran"), 10), 1, c.dep)
			want(t, r, c.code, c.text)
			if r.Retryable || r.Stdout.Bytes > 0 {
				t.Error(dump(r))
			}
		})
	}
	exactly := Dependency{ID: "a", Result: []byte(strings.Repeat("x", 96)), Files: []DependencyFile{good}}
	want(t, f.Attempt(t.Context(), newJob(t, "job-1", "exec", sh("true"), 10), 1, exactly), "", "")
}
