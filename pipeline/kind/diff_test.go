package kind_test

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/sheratan/sheratan/pipeline/kind"
)

// TestDiffCases reads the diffs that models wrote. What is applied is applied whole: the file is then the one that the first
// case, which is right, makes of it.
func TestDiffCases(t *testing.T) {
	name := "../../../shared/cases/diffs/diffs.json"
	text, err := os.ReadFile(name)
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
	var right []byte
	for i, c := range file.Cases {
		after, err := kind.FilePatch{Path: file.Path, Diff: c.Diff}.Change([]byte(file.Before), true)
		if i == 0 {
			right = after
		}
		switch {
		case c.Want == "applies":
			if err != nil || !strings.Contains(string(after), "if b == 0") {
				t.Errorf("%s: %v, %q", c.Name, err, after)
			}
		case err == nil && (!strings.Contains(c.Want, "applied whole") || string(after) != string(right)):
			t.Errorf("%s: is applied, and makes %q", c.Name, after)
		case err != nil:
			t.Logf("%s: %v", c.Name, err)
		}
	}
	if len(file.Cases) < 14 {
		t.Errorf("%s: only %d cases", name, len(file.Cases))
	}
}

// TestDiff has what is no fault of counting.
func TestDiff(t *testing.T) {
	const before = "one\ntwo\n\nthree\nfour"
	for name, c := range map[string]struct{ diff, want string }{
		"two hunks":           {"@@ -1,2 +1,1 @@ func x\n-one\n two\n@@ -5 +4 @@\n-four\n\\ No newline at end of file\n+4\n", "two\n\nthree\n4\n"},
		"an empty line":       {"@@ -2,3 +2,3 @@\n two\n\n-three\n+3\n", "one\ntwo\n\n3\nfour"},
		"behind the end":      {"@@ -4,2 +4,3 @@\n three\n-four\n\\ No newline at end of file\n+four\n+five\n\\ No newline at end of file\n", "one\ntwo\n\nthree\nfour\nfive"},
		"empty lines behind":  {"@@ -1 +1 @@\n-one\n+1\n\n\n", "1\ntwo\n\nthree\nfour"},
		"dates":               {"--- a/f\t2024-01-01 10:00\n+++ b/f\t2024-01-01 11:00\n@@ -1 +1 @@\n-one\n+1\n", "1\ntwo\n\nthree\nfour"},
		"quoted":              {"--- \"a/f\"\n+++ \"b/f\"\n@@ -1 +1 @@\n-one\n+1\n", "1\ntwo\n\nthree\nfour"},
		"joined lines":        {"@@ -1,2 +1,2 @@\n-one\n+1\n\\ No newline at end of file\n two\n", "!only the last line"},
		"ends too early":      {"@@ -1 +1 @@\n-one\n+1\n\\ No newline at end of file\n", "!the file goes on"},
		"hunk behind the end": {"@@ -1 +1 @@\n-one\n+1\n\\ No newline at end of file\n@@ -2 +2 @@\n-two\n+2\n", "!another hunk after the end"},
		"other line break":    {"@@ -5 +5 @@\n-four\n+4\n", "!hunk 1 does not fit: line 5"},
		"shifted":             {"@@ -3,2 +3,2 @@\n one\n-two\n+2\n", "!its lines stand at line 1"},
		"beyond":              {"@@ -9 +9 @@\n-nine\n+9\n", "!the file has 5 lines"},
		"a place twice":       {"@@ -1 +1 @@\n-one\n+1\n@@ -1 +1 @@\n-one\n+1\n", "!hunk 2 begins before the end"},
		"only adds":           {"@@ -2,0 +3 @@\n+x\n", "!only adds lines"},
		"to an empty file":    {"@@ -0,0 +1 @@\n+x\n", "!the file is not empty"},
		"no change":           {"@@ -1 +1 @@\n one\n", "!changes nothing"},
		"no hunk":             {"--- a/f\n+++ b/f\n", "!changes nothing"},
		"one name":            {"--- a/f\n@@ -1 +1 @@\n-one\n+1\n", "!+++ is missing"},
		"other name":          {"+++ b/f\n@@ -1 +1 @@\n-one\n+1\n", "!belong together"},
		"another file":        {"--- a/f\n+++ b/g\n@@ -1 +1 @@\n-one\n+1\n", `!the diff is for "b/g"`},
		"signature":           {"@@ -1 +1 @@\n-one\n+1\n-- \n2.39\n", "!line 4 of the diff stands behind"},
		"prose between":       {"@@ -1 +1 @@\n-one\n+1\nand then\n@@ -2 +2 @@\n-two\n+2\n", "!line 4 of the diff is no part"},
		"prose behind":        {"@@ -1 +1 @@\n-one\n+1\nThat is all.\n", "!line 4 of the diff is no part"},
		"marker alone":        {"@@ -1 +1 @@\n\\ No newline at end of file\n-one\n+1\n", "!only the last line"},
		"a huge count":        {"@@ -1,999999999 +1,999999999 @@\n-one\n+1\n", "!says that it has 999999999 lines"},
		"a number too long":   {"@@ -9999999999 +1 @@\n-one\n+1\n", "!looks like @@"},
		"empty":               {"\n", "!changes nothing"},
	} {
		after, err := kind.FilePatch{Path: "f", Diff: c.diff}.Change([]byte(before), true)
		if want, refused := strings.CutPrefix(c.want, "!"); refused {
			if err == nil || !strings.Contains(err.Error(), want) || after != nil {
				t.Errorf("%s: %q, %v", name, after, err)
			}
			if err != nil && strings.Contains(err.Error(), "four") {
				t.Errorf("%s: tells what the file has: %v", name, err)
			}
		} else if err != nil || string(after) != c.want {
			t.Errorf("%s: %q, %v", name, after, err)
		}
	}
	creates := kind.FilePatch{Path: "f", Diff: "--- /dev/null\n+++ b/f\n@@ -0,0 +1,2 @@\n+x\n+y\n"}
	if after, err := creates.Change(nil, false); err != nil || string(after) != "x\ny\n" {
		t.Errorf("%q, %v", after, err)
	}
	var c *kind.ChangeError
	if _, err := creates.Change(nil, true); !errors.As(err, &c) || !c.Exists {
		t.Errorf("over a file that is there: %v", err)
	}
	if _, err := (kind.FilePatch{Path: "f", Diff: "@@ -1 +1 @@\n-a\n+b\n"}).Change(nil, false); !errors.As(err, &c) || !c.Missing {
		t.Errorf("without a file: %v", err)
	}
}

// TestDiffAgainstGit compares with what git makes: diffs of git are applied with the same result.
func TestDiffAgainstGit(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	dir := t.TempDir()
	line := rapid.SampledFrom([]string{"a\n", "b\n", "\n", "-x\n", "+y\n", "--- a/f\n", "@@ -1 +1 @@\n", "\\ z\n"})
	file := rapid.Custom(func(t *rapid.T) string {
		text := strings.Join(rapid.SliceOfN(line, 0, 12).Draw(t, "lines"), "")
		if rapid.Bool().Draw(t, "no line break at the end") {
			text = strings.TrimSuffix(text, "\n")
		}
		return text
	})
	rapid.Check(t, func(t *rapid.T) {
		before, after := file.Draw(t, "before"), file.Draw(t, "after")
		a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
		for name, text := range map[string]string{a: before, b: after} {
			if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		out, _ := exec.Command("git", "diff", "--no-index", "--no-color", a, b).Output() // it exits 1 where there is a difference
		if before == after {
			return
		}
		_, hunks, _ := strings.Cut(string(out), "\n@@")
		hunks = "@@" + hunks
		got, err := kind.FilePatch{Path: "f", Diff: hunks}.Change([]byte(before), true)
		if err != nil || string(got) != after {
			t.Fatalf("%q to %q by %q: %q, %v", before, after, hunks, got, err)
		}
	})
}

// TestEdit changes a text that is there once.
func TestEdit(t *testing.T) {
	for name, c := range map[string]struct{ old, new, want string }{
		"once":        {"two", "2", "one\n2\none\n"},
		"taken out":   {"two\n", "", "one\none\n"},
		"over lines":  {"two\none", "2", "one\n2\n"},
		"twice":       {"one", "1", "!more than once, at line 1 and at line 3"},
		"overlapping": {"n", "m", "!more than once"},
		"never":       {"Two", "2", "!does not have"},
	} {
		after, err := kind.FileEdit{Path: "f", Old: c.old, New: c.new}.Change([]byte("one\ntwo\none\n"), true)
		if want, refused := strings.CutPrefix(c.want, "!"); refused {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q, %v", name, after, err)
			}
		} else if err != nil || string(after) != c.want {
			t.Errorf("%s: %q, %v", name, after, err)
		}
	}
	if _, err := (kind.FileEdit{Old: "aa", New: "b"}).Change([]byte("aaa"), true); err == nil {
		t.Error("two places that overlap are taken for one")
	}
	if _, err := (kind.FileEdit{Old: "a", New: "b"}).Change(nil, false); err == nil {
		t.Error("a file that does not exist is edited")
	}
}
