package agent

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sheratan/sheratan/hosts/roots"
	"github.com/sheratan/sheratan/pipeline/job"
)

func TestFileRead(t *testing.T) {
	f := newFixture(t)
	long := strings.Repeat("0123456789", 30000)
	put(t, f.ws+"/work/short", "hello")
	put(t, f.ws+"/work/long", long)
	put(t, f.ws+"/work/empty", "")
	r := f.do(t, "file_read", object{"path": "short"}, 5)
	want(t, r, "", "")
	if r.Stdout.Text != "hello" || r.Stdout.Truncated || r.ExitCode != 0 || len(r.Programs) != 0 {
		t.Fatal(dump(r))
	}
	r = f.do(t, "file_read", object{"path": "long"}, 5)
	want(t, r, "", "")
	if f.stdout(t, r) != long || r.Stdout.Bytes != 300000 || r.Stdout.Truncated {
		t.Fatal(r.Stdout.Bytes)
	}
	r = f.do(t, "file_read", object{"path": "long", "max_bytes": 7}, 5)
	want(t, r, "", "")
	if f.stdout(t, r) != "0123456" || r.Stdout.Bytes != 300000 || !r.Stdout.Truncated {
		t.Fatal(dump(r))
	}
	r = f.do(t, "file_read", object{"path": "empty"}, 5)
	want(t, r, "", "")
	if r.Stdout != (job.Output{}) {
		t.Fatal(dump(r))
	}
	for path, code := range map[string]roots.Code{"none": roots.NotFound, "../config/x": roots.Traversal,
		"/etc/passwd": roots.OutsideRoots, ".": roots.NotAFile} {
		r := f.do(t, "file_read", object{"path": path}, 5)
		want(t, r, string(code), strconv.Quote(path))
		if r.Retryable != (code == roots.NotFound) || r.ExitCode != -1 {
			t.Error(dump(r))
		}
	}
}

func TestFileList(t *testing.T) {
	f := newFixture(t)
	for _, name := range []string{"b", "a/x", "a/.git/config", ".git"} {
		put(t, filepath.Join(f.ws, "work", name), "")
	}
	r := f.do(t, "file_list", object{"path": "."}, 5)
	if want(t, r, "", ""); r.Stdout.Text != "a/\nb\n" {
		t.Fatal(dump(r))
	}
	r = f.do(t, "file_list", object{"path": ".", "recursive": true}, 5)
	if want(t, r, "", ""); r.Stdout.Text != "a/\na/x\nb\n" {
		t.Fatal(dump(r))
	}
	put(t, f.ws+"/work/many/0", "")
	for i := range 10050 {
		if err := os.Link(f.ws+"/work/many/0", filepath.Join(f.ws, "work/many", strconv.Itoa(i+1))); err != nil {
			t.Fatal(err)
		}
	}
	r = f.do(t, "file_list", object{"path": "many"}, 5)
	want(t, r, "", "")
	if lines := strings.Split(strings.TrimSpace(f.stdout(t, r)), "\n"); len(lines) != 10001 || !strings.HasPrefix(lines[10000], "… more") {
		t.Fatal(len(lines))
	}
}

func TestFileWrite(t *testing.T) {
	f := newFixture(t)
	for i, c := range []struct {
		mode, code, content string
	}{
		{"", "", "0"}, {"create", "EXISTS", "0"}, {"overwrite", "", "2"}, {"append", "", "23"},
	} {
		params := object{"path": "reports/out.md", "content": strconv.Itoa(i)}
		if c.mode != "" {
			params["mode"] = c.mode
		}
		want(t, f.do(t, "file_write", params, 5), c.code, "")
		if b, err := os.ReadFile(f.ws + "/work/reports/out.md"); string(b) != c.content || err != nil {
			t.Fatalf("%d: %q, %v", i, b, err)
		}
	}
	r := f.do(t, "file_write", object{"path": "../config/policies/x.json", "content": "{}"}, 5)
	if want(t, r, "TRAVERSAL", ""); r.Retryable {
		t.Fatal(dump(r))
	}
}

func TestFilePatch(t *testing.T) {
	const before = "one\ntwo\nthree\n"
	const hunk = "@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n"
	const after = "one\n2\nthree\n"
	for name, c := range map[string]struct {
		diff, code, text, after string
	}{
		"only hunks":   {hunk, "", "", after},
		"plain":        {"--- a/d/f.txt\n+++ b/d/f.txt\n" + hunk, "", "", after},
		"no prefix":    {"--- d/f.txt\n+++ d/f.txt\n" + hunk, "", "", after},
		"git":          {"diff --git a/d/f.txt b/d/f.txt\nindex 123..456 100644\n--- a/d/f.txt\n+++ b/d/f.txt\n" + hunk, "", "", after},
		"no newline":   {strings.TrimSuffix(hunk, "\n"), "", "", after},
		"conflict":     {"@@ -1,3 +1,3 @@\n one\n-zwei\n+2\n three\n", CodeConflict, "hunk 1 does not fit", ""},
		"shifted":      {"@@ -2,3 +2,3 @@\n one\n-two\n+2\n three\n", CodeConflict, "stand at line 1", ""},
		"other file":   {"--- a/x\n+++ b/x\n" + hunk, CodeRefused, `x"`, ""},
		"escape":       {"--- a/d/f.txt\n+++ b/../../config/x\n" + hunk, CodeRefused, "config", ""},
		"two files":    {"--- a/d/f.txt\n+++ b/d/f.txt\n" + hunk + "--- a/x\n+++ b/x\n" + hunk, CodeRefused, "begins another file", ""},
		"prose":        {"Here is the patch:\n--- a/d/f.txt\n+++ b/d/f.txt\n" + hunk, CodeRefused, "text before", ""},
		"no diff":      {"hello\n", CodeRefused, "text before", ""},
		"broken":       {"@@ -1,3 +1,9 @@\n one\n", CodeRefused, "says that it has 3 lines", ""},
		"delete":       {"--- a/d/f.txt\n+++ /dev/null\n@@ -1,3 +0,0 @@\n-one\n-two\n-three\n", CodeRefused, "deletes", ""},
		"rename":       {"diff --git a/d/f.txt b/d/g.txt\nsimilarity index 100%\nrename from d/f.txt\nrename to d/g.txt\n", CodeRefused, "renames", ""},
		"mode":         {"diff --git a/d/f.txt b/d/f.txt\nold mode 100644\nnew mode 100755\n", CodeRefused, "mode", ""},
		"link":         {"diff --git a/d/f.txt b/d/f.txt\nnew file mode 120000\n--- /dev/null\n+++ b/d/f.txt\n@@ -0,0 +1 @@\n+/etc/passwd\n\\ No newline at end of file\n", CodeRefused, "mode", ""},
		"binary":       {"diff --git a/d/f.txt b/d/f.txt\nBinary files a/d/f.txt and b/d/f.txt differ\n", CodeRefused, "binary", ""},
		"create again": {"--- /dev/null\n+++ b/d/f.txt\n@@ -0,0 +1 @@\n+x\n", string(roots.Exists), "exists", ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			file := filepath.Join(f.ws, "work/d/f.txt")
			put(t, file, before)
			r := f.do(t, "file_patch", object{"path": "d/f.txt", "diff": c.diff}, 5)
			want(t, r, c.code, c.text)
			expect := c.after
			if c.code != "" {
				expect = before
				if r.Retryable {
					t.Error("a patch that does not fit will not fit later")
				}
			}
			if b, err := os.ReadFile(file); string(b) != expect || err != nil {
				t.Fatalf("%q, %v", b, err)
			}
			if e, _ := os.ReadDir(filepath.Dir(file)); len(e) != 1 {
				t.Fatal("left behind:", e)
			}
		})
	}
	f := newFixture(t)
	r := f.do(t, "file_patch", object{"path": "n/new", "diff": "--- /dev/null\n+++ b/n/new\n@@ -0,0 +1 @@\n+x\n"}, 5)
	want(t, r, "", "")
	if b, _ := os.ReadFile(f.ws + "/work/n/new"); string(b) != "x\n" {
		t.Fatalf("%q", b)
	}
	want(t, f.do(t, "file_patch", object{"path": "none", "diff": hunk}, 5), "NOT_FOUND", "does not create")
	put(t, f.ws+"/work/abs", before)
	r = f.do(t, "file_patch", object{"path": f.ws + "/work/abs", "diff": "--- a/abs\n+++ b/abs\n" + hunk}, 5)
	want(t, r, "", "")
}

func TestFileEdit(t *testing.T) {
	f := newFixture(t)
	file := f.ws + "/work/d/f.txt"
	put(t, file, "one\ntwo\ntwo\n")
	for _, c := range []struct{ path, old, new, code, text, after string }{
		{"d/f.txt", "one\ntwo\n", "1\n", "", "", "1\ntwo\n"},
		{"d/f.txt", "one", "1", CodeConflict, "does not have the text", "1\ntwo\n"},
		{"d/f.txt", "\n", "", CodeConflict, "at line 1 and at line 2", "1\ntwo\n"},
		{"d/f.txt", "two\n", "", "", "", "1\n"},
		{"d/none", "x", "", string(roots.NotFound), "no such file", "1\n"},
		{"d/f.txt", "1", "1", CodeRefused, "nothing would change", "1\n"},
	} {
		want(t, f.do(t, "file_edit", object{"path": c.path, "old": c.old, "new": c.new}, 5), c.code, c.text)
		if b, err := os.ReadFile(file); string(b) != c.after || err != nil {
			t.Fatalf("%q, %v", b, err)
		}
		if e, _ := os.ReadDir(filepath.Dir(file)); len(e) != 1 {
			t.Fatal("left behind:", e)
		}
	}
}

// TestWorkerIsReused checks that jobs that follow each other share a process, and jobs at the same time do not wait.
func TestWorkerIsReused(t *testing.T) {
	f := newFixture(t)
	put(t, f.ws+"/work/f", "x")
	for range 5 {
		want(t, f.do(t, "file_read", object{"path": "f"}, 5), "", "")
	}
	if n := len(f.workers.idle); n != 1 {
		t.Fatal(n, "workers")
	}
	pid := f.workers.idle[0].cmd.Process.Pid
	want(t, f.do(t, "file_read", object{"path": "none"}, 5), "NOT_FOUND", "")
	if f.workers.idle[0].cmd.Process.Pid != pid {
		t.Fatal("a job that failed cost the worker its life")
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { f.do(t, "file_list", object{"path": "."}, 5) })
	}
	wg.Wait()
	if n := len(f.workers.idle); n < 1 || n > 4 {
		t.Fatal(n, "workers")
	}
}

// TestHangingWorker is the case of a file system that does not answer.
func TestHangingWorker(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.Worker[1] = hangArg })
	start := time.Now()
	r := f.do(t, "file_write", object{"path": "f", "content": strings.Repeat("x", 1<<20)}, 1)
	want(t, r, CodeTimeout, "Job timed out after 1s")
	if d := time.Since(start); d < time.Second || d > 3*time.Second || !r.Retryable {
		t.Fatal(d, dump(r))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	r = f.Attempt(ctx, newJob(t, "j", "file_read", object{"path": "f"}, 60), 1)
	want(t, r, CodeCancelled, "")
	if len(f.workers.idle) != 0 {
		t.Fatal("a worker that hangs is offered to the next job")
	}
	// With a worker that answers, the same agent works again.
	f.workers.argv[1] = workerArg
	put(t, f.ws+"/work/f", "x")
	want(t, f.do(t, "file_read", object{"path": "f"}, 5), "", "")
}

func TestDyingWorker(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.Worker[1] = dieArg })
	r := f.do(t, "file_read", object{"path": "f"}, 5)
	if want(t, r, CodeWorker, "died"); !r.Retryable {
		t.Fatal(dump(r))
	}
	f.workers.argv = nil
	want(t, f.do(t, "file_read", object{"path": "f"}, 5), CodeWorker, "no program")
}
