package gates_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sheratan/sheratan/gates"
)

// faultsOf compiles rules together, on a machine that has none of the programs, and returns by their index why they do not load.
func faultsOf(t *testing.T, b *bench, list []gates.ExecRule) map[int]string {
	t.Helper()
	c := b.cfg
	c.Gates.Exec = list
	_, err := b.compile(c)
	faults := map[int]string{}
	if err == nil {
		return faults
	}
	for line := range strings.Lines(err.Error()) {
		rest, ok := strings.CutPrefix(line, "/gates/exec/")
		number, fault, found := strings.Cut(rest, "/")
		i, err := strconv.Atoi(number)
		if !ok || !found || err != nil {
			t.Fatalf("an error that is about no rule: %s", line)
		}
		faults[i] = fault
	}
	return faults
}

func loads(t *testing.T, b *bench, r gates.ExecRule) error {
	t.Helper()
	if fault, bad := faultsOf(t, b, []gates.ExecRule{r})[0]; bad {
		return errors.New(fault)
	}
	return nil
}

// TestGuard has rules by which a job could run any program, and rules for the same programs by which it could not.
func TestGuard(t *testing.T) {
	b := newBench(t, nil)
	tests := []struct {
		program string
		args    []string
		loads   bool
	}{
		// Whatever comes, in all its spellings, of all versions and builds.
		{"bash", []string{"(.*)..."}, false},
		{"env", []string{"(.*)..."}, false},
		{"find", []string{"(.*)..."}, false},
		{"python3", []string{"-c", ".*"}, false},
		{"rg", []string{"-n", ".*", ".*"}, false},
		{"/usr/bin/perl5.36-x86_64-linux-gnu", []string{"..."}, false},
		{"vim.basic", []string{"..."}, false},
		{"ssh-agent", []string{"..."}, false},
		{"diff3", []string{"..."}, false},
		{"gcc", []string{"..."}, false},
		{"gcc-12", []string{"..."}, false},
		{"x86_64-linux-gnu-gcc-12", []string{"..."}, false},
		{"arm-none-eabi-gcc", []string{".*"}, false},
		{"/opt/x/python3.11", []string{"..."}, false},
		{"python3.13t", []string{"..."}, false},
		{"luajit-2.1.0-beta3", []string{"..."}, false},
		{"busybox.static", []string{"..."}, false},
		{"nc.openbsd", []string{"..."}, false},
		{"latexmk", []string{"..."}, false},
		{"yt-dlp", []string{".+", ".+"}, false},
		// Interpreters.
		{"bash", []string{`-[a-z]+`, `\w+`}, false},
		{"bash", []string{`-l?c`, `.+`}, false},
		{"bash", []string{`-euo`, `pipefail`, `-c`, `.*`}, false},
		{"python3", []string{`-c.+`}, false},
		{"python3", []string{`-u`, `-c`, `[^;]+`}, false},
		{"python3", []string{`-m`, `\w+`}, false},
		{"python3", []string{`-`}, false},
		{"python3", []string{}, false},
		{"bash", []string{`-x`}, false},
		{"bash", []string{`[\w/.]+`}, false}, // /dev/stdin
		{"node", []string{`(--\w+=.*)...`}, false},
		{"perl", []string{`-[pne]+`, `.*`}, false},
		{"php", []string{`-r`, `.*`}, false},
		{"python3", []string{`-m`, `unittest`, `(-[bcfqv]+|\./\w+)...`}, true}, // options of the module
		{"python3", []string{`tools/report\.py`, `...`}, true},
		{"python3", []string{`\w+\.py`, `(.*)...`}, true},
		{"python3", []string{`-c`, `print\(1\)`}, true}, // word for word
		{"python3", []string{`--version`}, true},
		{"bash", []string{`scripts/\w+\.sh`}, true},
		{"bash", []string{`-eu`, `scripts/test\.sh`, `...`}, true},
		// Wrappers: by their first operand, and by what that one can do.
		{"timeout", []string{`[0-9]+`, `.*`}, false},
		{"timeout", []string{`[0-9]+`, `bash`, `-c`, `.*`}, false},
		{"env", []string{`[A-Z]+=[a-z]+`, `\w+`}, false},
		{"env", []string{`-S`, `.*`}, false},
		{"env", []string{`-i`, `python3`, `-c`, `.*`}, false},
		{"sudo", []string{`-u`, `postgres`, `psql`, `-c`, `.*`}, false},
		{"nice", []string{`-n`, `5`, `(\w+)...`}, false},
		{"xargs", []string{`-n1`, `sh`, `-c`, `.*`}, false},
		{"timeout", []string{`[0-9]+`, `go`, `vet`, `\./\.\.\.`}, true},
		{"timeout", []string{`60`, `python3`, `tools/x\.py`, `.*`}, true},
		{"env", []string{`--null`}, true},
		{"env", []string{`[A-Z]+=[0-9]+`, `wc`, `-l`, `\w+`}, true},
		// Options that name programs, or write anywhere.
		{"find", []string{`\.`, `-name`, `.*`, `.*`, `.*`}, false},
		{"find", []string{`\.`, `-exec`, `\w+`, `\{\}`, `;`}, false},
		{"tar", []string{`-cf`, `x\.tar`, `(-.*|\w+)...`}, false},
		{"tar", []string{`-I`, `.*`, `-cf`, `x\.tar`, `x`}, false},
		{"sort", []string{`(-.*|\w+)...`}, false},
		{"sort", []string{`-o`, `/.*`}, false},
		{"git", []string{`-c`, `.*`, `status`}, false},
		{"git", []string{`[a-z]+`}, false}, // an alias
		{"git", []string{`log`, `(--.*)...`}, false},
		{"gcc", []string{`-Wall`, `-o`, `/.*`, `\w+\.c`}, false},
		{"gcc", []string{`(-.*|\w+\.c)...`}, false},
		{"make", []string{`(\S+)...`}, false},
		{"npm", []string{`[a-z]+`}, false},
		{"npm", []string{`exec`, `\w+`}, false},
		{"docker", []string{`\w+`, `\w+`}, false},
		{"sed", []string{`-n`, `.*`, `\w+`}, false},
		{"sqlite3", []string{`\w+\.db`, `.*`}, false},
		{"find", []string{`\.`, `-name`, `[\w.*]+`}, true},
		{"rg", []string{`-n`, `--`, `.*`, `(\w+)...`}, true}, // no option behind --
		{"rg", []string{`-n`, `[^-].*`, `(\w+)...`}, true},
		{"tar", []string{`-tf`, `\w+\.tar`}, true},
		{"sort", []string{`(-[bcdfghiMnrRuV]+|\w+)...`}, true},
		{"git", []string{`diff`, `(--stat|HEAD|\w+)...`}, true},
		{"gcc", []string{`-Wall`, `-o`, `\w+`, `\w+\.c`}, true},
		{"make", []string{`test|check`}, true},
		{"npm", []string{`run`, `test|lint`}, true},
		{"sed", []string{`-n`, `1,[0-9]+p`, `\w+`}, true},
		// They run what lies in the root, which is what they are for.
		{"go", []string{`vet|test|build`, `...`}, true},
		{"cargo", []string{`test`, `...`}, true},
		// No programs that run others.
		{"wc", []string{`...`}, true},
		{"md5sum", []string{`...`}, true},
		{"clang-format-14", []string{`...`}, true},
	}
	rules := make([]gates.ExecRule, len(tests))
	for i, tt := range tests {
		rules[i] = gates.ExecRule{Program: tt.program, Args: tt.args, Decision: gates.DecisionAllow}
	}
	faults := faultsOf(t, b, rules)
	for i, tt := range tests {
		fault, bad := faults[i]
		if bad == tt.loads {
			t.Errorf("%s %q: %q, loads should be %t", tt.program, tt.args, fault, tt.loads)
		}
		if bad && (!strings.Contains(fault, `"unsafe": true`) || !strings.HasPrefix(fault, "args: ")) {
			t.Errorf("%s %q: %q", tt.program, tt.args, fault)
		}
	}
	for i := range rules {
		rules[i].Unsafe = true
	}
	if faults := faultsOf(t, b, rules); len(faults) > 0 {
		t.Errorf("with unsafe: %v", faults)
	}
	for i := range rules {
		rules[i].Unsafe, rules[i].Decision = false, gates.DecisionForbid
	}
	if faults := faultsOf(t, b, rules); len(faults) > 0 {
		t.Errorf("forbidden without unsafe: %v", faults)
	}
}

// TestGuardKnowsTheNames: every name of the list is one of a program for which "..." is not enough, in another version too.
func TestGuardKnowsTheNames(t *testing.T) {
	text, err := os.ReadFile("programs/names.txt")
	if err != nil {
		t.Fatal(err)
	}
	var rules []gates.ExecRule
	for line := range strings.Lines(string(text)) {
		name := strings.TrimSpace(line)
		if name == "" || strings.HasPrefix(name, "#") || name == "go" || name == "cargo" {
			continue
		}
		for _, program := range []string{name, "/opt/bin/" + name + "-12"} {
			rules = append(rules, gates.ExecRule{Program: program, Args: []string{"..."}, Decision: gates.DecisionAllow})
		}
	}
	faults := faultsOf(t, newBench(t, nil), rules)
	for i, r := range rules {
		if _, bad := faults[i]; !bad {
			t.Errorf("%s: every argument is allowed", r.Program)
		}
	}
	if len(rules) < 2*290 {
		t.Errorf("only %d names", len(rules)/2)
	}
}

// TestGuardOfLinks: a harmless name does not hide what the file is.
func TestGuardOfLinks(t *testing.T) {
	b, dir := newBench(t, nil), t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "python3.11"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("python3.11", filepath.Join(dir, "report")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "python3.11"), filepath.Join(b.dir, "work/report")); err != nil {
		t.Fatal(err)
	}
	for _, r := range []gates.ExecRule{
		{Program: filepath.Join(dir, "report"), Args: []string{"..."}, Decision: gates.DecisionAllow},
		{Program: filepath.Join(b.dir, "work/report"), Args: []string{"..."}, Decision: gates.DecisionAllow, InRoot: true},
	} {
		if loads(t, b, r) == nil {
			t.Errorf("%s loads", r.Program)
		}
		if r.Args = []string{`x\.py`}; loads(t, b, r) != nil {
			t.Errorf("%s does not load with a script", r.Program)
		}
	}
}

// TestDocumentedExecRules: what the documents show loads.
func TestDocumentedExecRules(t *testing.T) {
	b, n := newBench(t, nil), 0
	files, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	rule := regexp.MustCompile(`(?s)\{\s*"program":.*?\}`)
	for _, name := range append(files, "../README.md") {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, example := range rule.FindAll(text, -1) {
			var r gates.ExecRule
			if err := json.Unmarshal(example, &r); err != nil {
				t.Errorf("%s: %s: %v", name, example, err)
			}
			if err := loads(t, b, r); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			n++
		}
	}
	if n == 0 {
		t.Error("the documents show no rule")
	}
	if !slices.Contains(files, "../docs/GATES.md") {
		t.Error("docs/GATES.md is not looked at")
	}
}
