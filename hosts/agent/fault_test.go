package agent

import (
	"os"
	"path/filepath"
	"testing"
)

// What the machine cannot make for an attempt before it begins is no start: nothing of it runs, nothing says that it did,
// and as soon as the machine can, it runs.
func TestHostFault(t *testing.T) {
	script := func(f fixture) map[string]any {
		return map[string]any{"argv": []string{"sh", "-c", "echo x; touch " + filepath.Join(f.ws, "work/ran")}}
	}
	for name, obstacle := range map[string]func(ws string) string{
		"folder": func(ws string) string { return filepath.Join(ws, "runtime/.sheratan/jobs") },
		"marker": func(ws string) string { return filepath.Join(ws, "runtime/.sheratan/jobs/started") },
		"output": func(ws string) string { return filepath.Dir(attemptBase(ws, "job-1", 1)) },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			path := obstacle(f.ws)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			res := f.do(t, "exec", script(f), 10)
			_, ran := os.Stat(filepath.Join(f.ws, "work/ran"))
			marked, _ := Marked(f.opt.WorkDir, "job-1", 1)
			if !res.NotStarted || res.ErrorCode != CodeHost || res.Error == "" || ran == nil || marked {
				t.Errorf("not started %v, ran %v, marked %v: %+v", res.NotStarted, ran == nil, marked, res)
			}
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if res = f.do(t, "exec", script(f), 10); res.NotStarted || res.ExitCode != 0 || res.Stdout.Bytes != 2 {
				t.Errorf("afterwards: %+v", res)
			}
		})
	}
}

// A file for output that was made beforehand, and not used, is used by a later attempt, and holds nothing of another one.
func TestOutputSpares(t *testing.T) {
	f := newFixture(t)
	for i, argv := range [][]string{{"true"}, {"echo", "one"}, {"sh", "-c", "echo two >&2"}, {"true"}, {"echo", "three"}} {
		res := f.Attempt(t.Context(), newJob(t, "job-1", "exec", map[string]any{"argv": argv}, 10), i%2+1)
		for _, out := range []struct{ path, text string }{{res.Stdout.Path, res.Stdout.Text}, {res.Stderr.Path, res.Stderr.Text}} {
			if out.path == "" && out.text == "" {
				continue
			}
			if b, err := os.ReadFile(filepath.Join(f.ws, out.path)); err != nil || string(b) != out.text {
				t.Errorf("%q: the file has %q, the result %q: %v", argv, b, out.text, err)
			}
		}
	}
	if n := len(f.spares.idle) + len(f.spares.held); n > 2 {
		t.Errorf("%d files are left open for one attempt at a time", n)
	}
}
