package agent

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sheratan/sheratan/hosts/roots"
	"github.com/sheratan/sheratan/pipeline/job"
)

func TestNoop(t *testing.T) {
	f := newFixture(t)
	r := f.do(t, "noop", object{}, 1)
	want(t, r, "", "")
	if r.ExitCode != 0 || r.Sandbox != "none" || r.Host != "local" || r.Attempt != 1 || r.StartedAt == "" {
		t.Fatal(dump(r))
	}
	if _, err := os.Stat(filepath.Join(f.ws, "runtime/.sheratan")); err == nil {
		t.Fatal("noop touched the disk")
	}
}

func TestRefusals(t *testing.T) {
	f := newFixture(t)
	for name, c := range map[string]struct {
		kind   string
		params object
		text   string
	}{
		"unknown kind":   {"dance", object{}, "unknown kind"},
		"program":        {"exec", object{"argv": []string{"forbidden"}}, "no rule"},
		"unknown member": {"noop", object{"x": 1}, "x"},
		"variable":       {"exec", object{"argv": []string{"true"}, "env": object{"LD_PRELOAD": "x"}}, "LD_PRELOAD"},
		"own variable":   {"exec", object{"argv": []string{"true"}, "env": object{"HOME": "/"}}, "HOME"},
	} {
		t.Run(name, func(t *testing.T) {
			r := f.do(t, c.kind, c.params, 1)
			want(t, r, CodeRefused, c.text)
			if r.Retryable {
				t.Fatal("a refusal is not to be retried")
			}
		})
	}
	r := f.Attempt(t.Context(), newJob(t, "../x", "noop", object{}, 1), 1)
	want(t, r, CodeRefused, "not a valid name")
	r = f.do(t, "exec", object{"argv": []string{"true"}, "cwd": "../runtime"}, 1)
	want(t, r, string(roots.Traversal), "..")
}

func TestExec(t *testing.T) {
	f := newFixture(t)
	put(t, filepath.Join(f.ws, "work/sub/hello.txt"), "hello")
	r := f.do(t, "exec", object{
		"argv":  []string{"sh", "-c", "pwd; cat; echo $GREETING; cat hello.txt; echo oops >&2; exit 3"},
		"cwd":   "sub",
		"env":   object{"GREETING": "hi"},
		"stdin": "from stdin\n",
	}, 10)
	want(t, r, CodeExit, "exit status 3")
	if !r.Retryable || r.ExitCode != 3 {
		t.Fatal(dump(r))
	}
	out := filepath.Join(f.ws, "work/sub") + "\nfrom stdin\nhi\nhello"
	if got := f.stdout(t, r); got != out || r.Stdout.Text != out || r.Stdout.Bytes != int64(len(out)) {
		t.Fatalf("stdout %q, want %q\n%s", got, out, dump(r))
	}
	if r.Stderr.Text != "oops\n" || r.Stderr.Path != "runtime/outbox/results/2026/01/02/job-1.1.stderr" {
		t.Fatal(dump(r))
	}
	sh, _ := exec.LookPath("sh")
	if len(r.Programs) != 1 || !strings.HasPrefix(r.Programs[0], sh+" ") {
		t.Fatal(r.Programs)
	}
	if err := Sync(f.ws, []job.Result{r}); err != nil {
		t.Fatal(err)
	}
}

func TestEnvironmentIsExact(t *testing.T) {
	t.Setenv("SECRET_OF_THE_RUNNER", "x")
	f := newFixture(t)
	r := f.do(t, "exec", object{"argv": []string{"env"}}, 10)
	want(t, r, "", "")
	got := map[string]string{}
	for line := range strings.Lines(f.stdout(t, r)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		got[name] = value
	}
	folder := filepath.Join(f.ws, "runtime/.sheratan/jobs/0")
	for name, value := range map[string]string{"PATH": os.Getenv("PATH"), "LANG": "C", "SHERATAN_JOB_ID": "job-1",
		"SHERATAN_WORK": folder, "HOME": folder + "/home", "TMPDIR": folder + "/tmp", "PWD": f.ws + "/work",
		"SHERATAN_ATTEMPT": f.ws + "/runtime/.sheratan/jobs/started/job-1.1"} {
		if got[name] != value {
			t.Errorf("%s=%q, want %q", name, got[name], value)
		}
		delete(got, name)
	}
	if len(got) > 0 {
		t.Errorf("more than was given: %v", got)
	}
}

func TestMarker(t *testing.T) {
	f := newFixture(t)
	work := f.opt.WorkDir
	marked := func() bool {
		t.Helper()
		m, err := Marked(work, "job-1", 1)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	if f.do(t, "exec", object{"argv": []string{"forbidden"}}, 1); marked() {
		t.Fatal("a refused job left a marker")
	}
	r := f.do(t, "exec", sh("test -e $SHERATAN_WORK/../started/job-1.1"), 5)
	want(t, r, "", "")
	if !marked() {
		t.Fatal("the marker is gone before the result is recorded")
	}
	for range 2 {
		if err := Forget(work, "job-1", 1); err != nil || marked() {
			t.Fatal(err)
		}
	}
	if r := f.do(t, "file_write", object{"path": "x", "content": ""}, 5); r.ErrorCode != "" || !marked() {
		t.Fatal("a write needs a marker", dump(r))
	}
}

// TestFolders checks that whatever a job leaves in its folder is gone before the next one gets it.
func TestFolders(t *testing.T) {
	f := newFixture(t)
	const look = `ls -A $SHERATAN_WORK $HOME $TMPDIR | sort | sed "s|$SHERATAN_WORK||" | tr -d '\n'; stat -c %a $HOME`
	clean := ""
	for i, mess := range []string{
		"true",
		"touch $HOME/a $TMPDIR/b $SHERATAN_WORK/c",
		"mkdir -p $HOME/d/e && touch $HOME/d/e/f && chmod 500 $HOME/d/e && chmod 000 $HOME/d",
		"rmdir $TMPDIR && ln -s /etc $TMPDIR",
		"rmdir $HOME && touch $HOME",
		"chmod 777 $HOME; chmod 500 $SHERATAN_WORK",
		"mv $HOME $SHERATAN_WORK/x && mkdir $HOME",
		"rm -rf $SHERATAN_WORK",
	} {
		want(t, f.do(t, "exec", sh(mess), 5), "", "")
		r := f.do(t, "exec", sh(look), 5)
		want(t, r, "", "")
		if i == 0 {
			clean = r.Stdout.Text
		}
		if r.Stdout.Text != clean || r.Stderr.Bytes != 0 {
			t.Errorf("after %q: %q %q, want %q", mess, r.Stdout.Text, r.Stderr.Text, clean)
		}
	}
	if _, err := os.Stat("/etc/passwd"); err != nil {
		t.Fatal("cleaning followed a link")
	}
}

func TestTwoAgentsShareAWorkDir(t *testing.T) {
	f := newFixture(t)
	other := New(f.opt)
	defer other.Close()
	a, err := f.folders.take()
	if err != nil {
		t.Fatal(err)
	}
	b, err := other.folders.take()
	if err != nil {
		t.Fatal(err)
	}
	if a.path == b.path {
		t.Fatal("both have the folder", a.path)
	}
	f.folders.give(a)
	other.folders.give(b)
}

func TestTimeout(t *testing.T) {
	f := newFixture(t)
	start := time.Now()
	r := f.do(t, "exec", sh("trap '' TERM; sleep 30 & sleep 30"), 1)
	want(t, r, CodeTimeout, "Job timed out after 1s")
	if d := time.Since(start); d < time.Second || d > 3*time.Second || !r.Retryable {
		t.Fatal(d, dump(r))
	}
}

func TestCancel(t *testing.T) {
	f := newFixture(t)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	r := f.Attempt(ctx, newJob(t, "j", "exec", sh("sleep 30"), 60), 1)
	want(t, r, CodeCancelled, "cancelled")
	if d := time.Since(start); d > 10*time.Second {
		t.Fatal(d)
	}
}

func TestSignal(t *testing.T) {
	f := newFixture(t)
	r := f.do(t, "exec", sh("kill -SEGV $$"), 5)
	want(t, r, CodeSignal, "SIGSEGV")
	if r.Signal != "SIGSEGV" || r.ExitCode != -1 || !r.Retryable {
		t.Fatal(dump(r))
	}
}

func TestStartFailures(t *testing.T) {
	f := newFixture(t)
	script := filepath.Join(f.ws, "script")
	for name, c := range map[string]struct {
		content string
		mode    os.FileMode
		text    string
	}{
		"missing":     {"", 0, "no such program"},
		"permission":  {"#!/bin/sh\n", 0o644, "not executable"},
		"interpreter": {"#!/nowhere/sh\n", 0o755, "interpreter"},
		"format":      {"\x00\x01\x02", 0o755, "not a program"},
	} {
		t.Run(name, func(t *testing.T) {
			os.Remove(script)
			if c.mode != 0 {
				if err := os.WriteFile(script, []byte(c.content), c.mode); err != nil {
					t.Fatal(err)
				}
			}
			r := f.do(t, "exec", object{"argv": []string{script}}, 5)
			want(t, r, CodeStartFailed, c.text)
			if r.Retryable || r.ExitCode != -1 {
				t.Fatal(dump(r))
			}
		})
	}
}

func TestOutputText(t *testing.T) {
	const key = "AKIAABCDEFGHIJKLMNOP"
	f := newFixture(t, func(o *Options) {
		o.Limit = 20000
		o.Redact = func(s string) string { return strings.ReplaceAll(s, key, "[redacted]") }
	})
	// The credential lies across the end of the text, and the output is cut in the middle of a character.
	script := fmt.Sprintf(`printf '\377ok\n%%8180s%s' ''; i=0; while [ $i -lt 6000 ]; do printf 'ä'; i=$((i+1)); done`, key)
	r := f.do(t, "exec", sh(script), 10)
	want(t, r, "", "")
	if strings.Contains(r.Stdout.Text, "AKIA") || !strings.HasPrefix(r.Stdout.Text, "\uFFFDok\n") {
		t.Fatalf("%q", r.Stdout.Text[:20])
	}
	if len(r.Stdout.Text) > textBytes || len(r.Stdout.Text) < textBytes-4 {
		t.Fatal(len(r.Stdout.Text))
	}
	if b := r.Stdout.Bytes; b != 4+8180+20+12000 || !r.Stdout.Truncated || len(f.stdout(t, r)) != 20000 {
		t.Fatal(b, len(f.stdout(t, r)))
	}
}

func TestOutputCannotBeStored(t *testing.T) {
	f := newFixture(t)
	results := filepath.Join(f.ws, "runtime/outbox/results")
	// The folder was in order when the job began.
	r := f.do(t, "exec", sh("rm -r "+results+" && touch "+results+" && echo hello; echo more"), 5)
	want(t, r, CodeOutput, "not a directory")
	if r.Stdout.Path != "" || !r.Retryable {
		t.Fatal(dump(r))
	}
}

// TestAttemptsKeepTheirOutput: the last attempt has the name without a number, and none replaces what another one left.
func TestAttemptsKeepTheirOutput(t *testing.T) {
	f := newFixture(t)
	run := func(script string, attempt int) job.Result {
		return f.Attempt(t.Context(), newJob(t, "job-1", "exec", sh(script), 5), attempt)
	}
	for i, step := range []struct{ script, path string }{
		{"echo one; exit 1", "job-1.1.stdout"},
		{"echo two; exit 1", "job-1.2.stdout"},
		{"echo three", "job-1.stdout"},
		{"echo four", "job-1.4.stdout"}, // somebody repeated the job
	} {
		r := run(step.script, i+1)
		if filepath.Base(r.Stdout.Path) != step.path {
			t.Errorf("attempt %d: %s, want %s", i+1, r.Stdout.Path, step.path)
		}
		if err := Sync(f.ws, []job.Result{r}); err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range map[string]string{"job-1.1": "one", "job-1.2": "two", "job-1": "three", "job-1.4": "four"} {
		b, err := os.ReadFile(filepath.Join(f.ws, "runtime/outbox/results/2026/01/02", name+".stdout"))
		if err != nil || string(b) != content+"\n" {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
}

// TestClean kills a daemon that a dead runner left.
func TestClean(t *testing.T) {
	f := newFixture(t)
	r := f.do(t, "exec", sh("setsid sleep 300 </dev/null >/dev/null 2>&1 & sleep 0.1"), 5)
	want(t, r, "", "")
	killed, err := Clean(f.opt.WorkDir, "job-1", 1)
	if err != nil || killed != 1 {
		t.Fatal(killed, err)
	}
	if killed, err = Clean(f.opt.WorkDir, "job-1", 1); err != nil || killed != 0 {
		t.Fatal(killed, err)
	}
}
