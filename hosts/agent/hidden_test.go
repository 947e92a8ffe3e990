package agent

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sheratan/sheratan/pipeline/job"
)

const hidden = "ghp_Zq8vN3xK7mW2pL9tR4yB6cD1fG5hJ0sAvXeT"

func (f fixture) hide(t *testing.T, script string, outputs ...job.Declared) job.Result {
	t.Helper()
	j := newJob(t, "job-1", "exec", sh(script), 20)
	j.Hidden, j.Outputs = []string{hidden}, outputs
	return f.Attempt(t.Context(), j, 1)
}

// What a job may not repeat is in nothing that it leaves: not in streams and outputs, in no clothes, and not in errors.
func TestHidden(t *testing.T) {
	f := newFixture(t)
	coded := base64.StdEncoding.EncodeToString([]byte(hidden))
	r := f.hide(t, "echo before "+hidden+" after; echo "+coded+" >&2; echo "+hidden+" >out.txt; echo 1 >plain",
		job.Declared{Path: "out.txt"}, job.Declared{Path: "plain"})
	want(t, r, "", "")
	if got := f.stdout(t, r); got != "before [redacted waived] after\n" || r.Stdout.Text != got || r.Stdout.Truncated ||
		r.Stdout.Bytes != int64(len(got)) {
		t.Errorf("%q, %+v", got, r.Stdout)
	}
	if strings.Contains(r.Stderr.Text, coded[:20]) || len(r.Artifacts) != 2 {
		t.Error(dump(r))
	}
	for _, a := range r.Artifacts {
		text, err := os.ReadFile(filepath.Join(f.ws, a.Path))
		if err != nil || int64(len(text)) != a.Bytes || (a.Name == "out.txt") != (string(text) == "[redacted waived]\n") {
			t.Errorf("%s: %q, %v", a.Name, text, err)
		}
	}
	if err := Sync(f.ws, []job.Result{r}); err != nil {
		t.Error(err)
	}
	// The control: without it, all of this is as the job wrote it.
	r = newFixture(t).do(t, "exec", sh("echo before "+hidden), 20)
	if r.Stdout.Text != "before "+hidden+"\n" {
		t.Error(dump(r))
	}
}

// Names of processes are masked, also where the kernel has cut them off within a value.
func TestHiddenInNames(t *testing.T) {
	j := job.Job{Hidden: []string{hidden}}
	name := "x-" + hidden[:nameBytes-2]
	r := job.Result{Programs: []string{"/bin/" + hidden}, SurvivorNames: []string{name, "sh"}, Killed: []string{hidden, name, "ordinary-name-1"}}
	hidingOf(j).result(&r)
	if text := dump(r); strings.Contains(text, hidden[:4]) || strings.Count(text, "[redacted waived]") != 4 || !strings.Contains(text, "ordinary-name-1") {
		t.Error(text)
	}
}

// All outputs of a job together are searched up to a bound.
func TestHiddenOutputsTogether(t *testing.T) {
	f := newFixture(t)
	r := f.hide(t, "for i in 1 2 3; do head -c 100000 /dev/zero >$i; done", job.Declared{Path: "[123]"})
	want(t, r, CodeArtifactLarge, "waived")
}

// A stream that is cut off does not end with the beginning of a value.
func TestHiddenAtTheEnd(t *testing.T) {
	for n := range 3 {
		f := newFixture(t, func(o *Options) { o.Limit = 4096 })
		r := f.hide(t, "head -c "+[]string{"4056", "4080", "4090"}[n]+" /dev/zero | tr '\\0' x; printf '%s' "+hidden+hidden)
		want(t, r, "", "")
		if got := f.stdout(t, r); !r.Stdout.Truncated || strings.Contains(got, hidden[:4]) || len(got) < 3000 || strings.Trim(got, "x") != "" {
			t.Errorf("%d: %q, %+v", n, got[len(got)-50:], r.Stdout)
		}
	}
}

// Outputs that cannot be searched, and names that would tell, are refused.
func TestHiddenRefuses(t *testing.T) {
	for name, c := range map[string]struct{ script, output, code string }{
		"too large": {"head -c 262145 /dev/zero >big", "big", CodeArtifactLarge},
		"name":      {"touch " + hidden + ".txt", "*.txt", CodeArtifact},
	} {
		f := newFixture(t)
		r := f.hide(t, c.script, job.Declared{Path: c.output})
		want(t, r, c.code, "waived")
		if strings.Contains(dump(r), hidden) || len(r.Artifacts) > 0 {
			t.Error(name, dump(r))
		}
		left, err := filepath.Glob(filepath.Join(f.ws, "runtime/outbox/results/2026/01/02/*"))
		if err != nil || len(left) > 0 {
			t.Errorf("%s: %q, %v", name, left, err)
		}
	}
}
