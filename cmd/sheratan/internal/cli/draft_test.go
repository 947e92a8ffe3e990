package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sheratan/sheratan/pipeline"
	"github.com/sheratan/sheratan/schemas"
)

// TestPrint builds proposals on the command line; every one of them fits the schema.
func TestPrint(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args string
		want string
	}{
		{"-- go vet ./...", `{"payload":{"kind":"exec","params":{"argv":["go","vet","./..."]}}}`},
		{"-- printf %s <&>", `{"payload":{"kind":"exec","params":{"argv":["printf","%s","<&>"]}}}`},
		{"--kind noop", `{"payload":{"kind":"noop","params":{}}}`},
		{"--param cwd=sub --param env={\"LANG\":\"C\"} -- true", `{"payload":{"kind":"exec","params":{"argv":["true"],"cwd":"sub","env":{"LANG":"C"}}}}`},
		{"--kind file_read --param path=42 --param max_bytes=42", `{"payload":{"kind":"file_read","params":{"max_bytes":42,"path":"42"}}}`},
		{"--kind file_write --param path=a --param content={\"b\":1} --param mode=create",
			`{"payload":{"kind":"file_write","params":{"content":"{\"b\":1}","mode":"create","path":"a"}}}`},
		{"--kind mine --param a=1 --param b=true --param c=x --param d=[1] --param e= --param f=null --param g=\"q\" --param h=1=2",
			`{"payload":{"kind":"mine","params":{"a":1,"b":true,"c":"x","d":[1],"e":"","f":"null","g":"\"q\"","h":"1=2"}}}`},
		{"--id a --key k --priority high --after x --after y --timeout 2m --retries 0 --kind noop",
			`{"id":"a","idempotency_key":"k","priority":1,"timeout_seconds":120,"max_retries":0,"depends_on":["x","y"],"payload":{"kind":"noop","params":{}}}`},
		{"--priority 0 --timeout 90 --kind noop", `{"priority":0,"timeout_seconds":90,"payload":{"kind":"noop","params":{}}}`},
	} {
		env := testEnv(append([]string{"submit", "--print"}, strings.Fields(c.args)...)...)
		code, stdout, stderr := runTest(env)
		if code != exitDone || stderr != "" || stdout != c.want+"\n" {
			t.Errorf("%s: exit %d, stderr %q\n got %swant %s", c.args, code, stderr, stdout, c.want)
			continue
		}
		v, err := schemas.Parse([]byte(stdout), schemas.DefaultLimits)
		if err != nil {
			t.Errorf("%s: %v", c.args, err)
			continue
		}
		for _, violation := range schemas.Validate("proposal", v) {
			t.Errorf("%s: %v", c.args, violation)
		}
	}
}

func TestShellWord(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"job-7": "job-7", "./...": "./...", "": "''", "a b": "'a b'", "it's": `'it'\''s'`, "$(x)": "'$(x)'", "a\nb": "'a\nb'",
	} {
		if got := shellWord(in); got != want {
			t.Errorf("shellWord(%q) = %s, want %s", in, got, want)
		}
	}
}

// What is longer than any proposal may be is not read to its end, whatever its length; a list of lines is read a batch at a time.
func TestDryRunReadsABoundedSize(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	huge := filepath.Join(dir, "huge.json")
	if err := os.WriteFile(huge, []byte(`{"payload":`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(huge, 1<<40); err != nil {
		t.Skipf("the file system has no sparse files of a terabyte: %v", err)
	}
	code, stdout, stderr := runTest(testEnv("gate", "--dry-run", "--json", huge))
	if code != exitBlocked || !strings.Contains(stdout, `"TOO_LARGE"`) {
		t.Errorf("exit %d, %.300s, %s", code, stdout, stderr)
	}
	code, _, stderr = runTest(testEnv("submit", huge))
	if code != exitError || stderr == "" {
		t.Errorf("submit: exit %d, %s", code, stderr)
	}

	lines := filepath.Join(dir, "many.jsonl")
	if err := os.WriteFile(lines, []byte(strings.Repeat("{}\n\n", 2*maxBatch)+strings.Repeat(" ", batchBytes)+"\n{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	a, batches, total, last := &app{env: testEnv().Env}, 0, 0, 0
	err := a.eachDraft(lines, func(list []pipeline.Draft) error {
		batches++
		total += len(list)
		last = list[len(list)-1].Line
		return nil
	})
	if err != nil || batches != 3 || total != 2*maxBatch+1 || last != 4*maxBatch+2 {
		t.Errorf("%d batches with %d lines, the last one %d, %v", batches, total, last, err)
	}
}
