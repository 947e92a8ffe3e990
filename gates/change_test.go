package gates_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sheratan/sheratan/gates"
	"github.com/sheratan/sheratan/pipeline/job"
)

func changeOf(kind string, params map[string]string, more string) string {
	b, _ := json.Marshal(params)
	return `{"payload":{"kind":"` + kind + `","params":` + string(b) + `}` + more + `}`
}

func patchOf(path, diff string) string {
	return changeOf("file_patch", map[string]string{"path": path, "diff": diff}, "")
}

func editOf(path, old, text string) string {
	return changeOf("file_edit", map[string]string{"path": path, "old": old, "new": text}, "")
}

const oneToTwo = "@@ -1,2 +1,2 @@\n-one\n+1\n two\n"

// TestChange tries edits and diffs against the files of a root: what does not fit is refused before anybody is asked.
func TestChange(t *testing.T) {
	b := newBench(t, nil)
	put := func(name, text string) {
		if err := os.WriteFile(filepath.Join(b.dir, "work", name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	put("f", "one\ntwo\ntwo\n")
	put("large", strings.Repeat("one\ntwo\n", 1<<19)+"x")
	if err := unix.Mkfifo(filepath.Join(b.dir, "work/fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	const manual = "MANUAL_KIND /payload/kind"
	b.ask(t, "G3", []gateTest{
		{"fits", patchOf("f", oneToTwo), []string{manual}},
		{"does not fit", patchOf("f", "@@ -1,2 +1,2 @@\n-zero\n+1\n two\n"), []string{manual, "DOES_NOT_APPLY /payload/params/diff"}},
		{"a new file", patchOf("n", "--- /dev/null\n+++ b/n\n@@ -0,0 +1 @@\n+x\n"), []string{manual}},
		{"a new file that is there", patchOf("f", "--- /dev/null\n+++ b/f\n@@ -0,0 +1 @@\n+x\n"), []string{manual, "DOES_NOT_APPLY /payload/params/diff"}},
		{"no file", patchOf("none", oneToTwo), []string{manual, "DOES_NOT_APPLY /payload/params/diff"}},
		{"too large", patchOf("large", oneToTwo), []string{manual, "NOT_TRIED /payload/params/path"}},
		{"outside", patchOf("/etc/passwd", oneToTwo), []string{manual, "OUTSIDE_ROOTS /payload/params/path"}},
		{"a folder", patchOf("sub", oneToTwo), []string{manual, "NOT_TRIED /payload/params/path"}},
		{"cannot be read", patchOf("f", "one"), []string{manual}},
		{"edited", editOf("f", "one", "1"), []string{manual}},
		{"edited twice", editOf("f", "two", "2"), []string{manual, "DOES_NOT_APPLY /payload/params/old"}},
		{"edited nowhere", editOf("f", "One", "1"), []string{manual, "DOES_NOT_APPLY /payload/params/old"}},
		{"edited, no file", editOf("none", "one", "1"), []string{manual, "DOES_NOT_APPLY /payload/params/old"}},
	}, nil)
	b.ask(t, "G1", []gateTest{
		{"fits", patchOf("f", oneToTwo), nil},
		{"no diff", patchOf("f", "one"), []string{"SCHEMA_VIOLATION /payload/params/diff"}},
		{"text behind", patchOf("f", oneToTwo+"+three\n"), []string{"SCHEMA_VIOLATION /payload/params/diff"}},
		{"another file", patchOf("f", "--- a/g\n+++ b/g\n"+oneToTwo), []string{"SCHEMA_VIOLATION /payload/params/diff"}},
		{"two files", patchOf("f", oneToTwo+"--- a/g\n+++ b/g\n"+oneToTwo), []string{"SCHEMA_VIOLATION /payload/params/diff"}},
		{"nothing new", editOf("f", "one", "one"), []string{"SCHEMA_VIOLATION /payload/params/new"}},
		{"nothing old", editOf("f", "", "one"), []string{"SCHEMA_VIOLATION /payload/params/old"}},
	}, nil)

	// A FIFO is refused at once, also where nobody writes into it.
	done := make(chan job.Report, 1)
	go func() { done <- b.rules.Evaluate(context.Background(), input(patchOf("fifo", oneToTwo))) }()
	select {
	case r := <-done:
		if !has(r, "SPECIAL_FILE") || has(r, "NOT_TRIED") {
			t.Errorf("%+v", r.Gates[3])
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the gate waits for a FIFO")
	}

	// Jobs that this one waits for may write the file.
	wrong := changeOf("file_edit", map[string]string{"path": "none", "old": "a", "new": "b"}, `,"depends_on":["job-1"]`)
	for _, c := range []struct {
		depends gates.Known
		want    string
	}{
		{gates.Known{ID: "job-1"}, "NOT_TRIED"},
		{gates.Known{ID: "job-1", Exists: true, Status: job.StatusRunning}, "NOT_TRIED"},
		{gates.Known{ID: "job-1", Exists: true, Status: job.StatusCompleted}, "DOES_NOT_APPLY"},
	} {
		in := input(wrong)
		in.Facts.Depends = []gates.Known{c.depends}
		if r := b.rules.Evaluate(context.Background(), in); !has(r, c.want) {
			t.Errorf("%+v: %+v", c.depends, r.Gates[3])
		}
	}

	// What nobody may propose is no way to ask what a file has.
	b = newBench(t, func(c *gates.Config) { c.Gates.Kinds.Manual, c.Gates.Kinds.Forbid = nil, []string{"file_edit"} })
	put("f", "one\n")
	for _, kind := range []string{"file_edit", "file_patch"} {
		raw := editOf("f", "secret", "x")
		if kind == "file_patch" {
			raw = patchOf("f", "@@ -1 +1 @@\n-secret\n+x\n")
		}
		if r := b.gate(raw); has(r, "DOES_NOT_APPLY") || !has(r, "FORBIDDEN_KIND") {
			t.Errorf("%s: %+v", kind, r.Gates[3])
		}
	}
}

func has(r job.Report, code string) bool {
	for _, g := range r.Gates {
		for _, x := range g.Reasons {
			if x.Code == code {
				return true
			}
		}
	}
	return false
}

// TestDiffCasesAtTheGates puts the diffs that models wrote through the gates: each is refused, or would be applied whole.
func TestDiffCasesAtTheGates(t *testing.T) {
	text, err := os.ReadFile("../../shared/cases/diffs/diffs.json")
	if err != nil {
		t.Skipf("the collected cases are not here: %v", err)
	}
	var file struct {
		Path, Before string
		Cases        []struct{ Name, Diff, Want string }
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	b := newBench(t, nil)
	name := filepath.Join(b.dir, "work", file.Path)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(file.Before), 0o644); err != nil {
		t.Fatal(err)
	}
	whole := map[string]bool{"right": true, "hunk only": true, "no newline at the end": true}
	for _, c := range file.Cases {
		r := b.gate(patchOf(file.Path, c.Diff))
		if asked := r.NextAction != job.Quarantine; asked != whole[c.Name] {
			t.Errorf("%s: %s, want %s: %+v", c.Name, r.NextAction, c.Want, r.Gates)
		}
	}
}
