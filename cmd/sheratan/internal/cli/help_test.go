package cli

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/spf13/cobra"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// commands returns all commands of the tree that a user can see.
func commands(c *cobra.Command) []*cobra.Command {
	list := []*cobra.Command{c}
	for _, sub := range inOrder(c) {
		list = append(list, commands(sub)...)
	}
	return list
}

// TestHelp compares the help of every command with its golden file, and the golden files with the commands.
func TestHelp(t *testing.T) {
	dir := filepath.Join("testdata", "help")
	seen := map[string]bool{}
	for _, c := range commands(newRoot(testApp(testEnv()))) {
		words := strings.Fields(c.CommandPath())[1:]
		name := strings.Join(append([]string{"sheratan"}, words...), "-") + ".txt"
		seen[name] = true
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := testEnv(append(words, "--help")...)
			code, stdout, stderr := runTest(env)
			if code != exitDone || stderr != "" {
				t.Fatalf("exit %d, stderr %q", code, stderr)
			}
			golden := filepath.Join(dir, name)
			if *update {
				if err := os.WriteFile(golden, []byte(stdout), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatalf("%v; go test -update writes it", err)
			}
			if stdout != string(want) {
				t.Errorf("%s: help differs from the golden file; go test -update rewrites it\n%s", c.CommandPath(), stdout)
			}
		})
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !seen[f.Name()] {
			if *update {
				_ = os.Remove(filepath.Join(dir, f.Name()))
				continue
			}
			t.Errorf("%s: there is no such command", f.Name())
		}
	}
}

// TestCommandTexts checks what every help text has to have.
func TestCommandTexts(t *testing.T) {
	for _, c := range commands(newRoot(testApp(testEnv()))) {
		path := c.CommandPath()
		if c.Example == "" || c.Long == "" {
			t.Errorf("%s: has no example or no description", path)
		}
		for line := range strings.SplitSeq(c.Example, "\n") {
			if !strings.Contains(line, "sheratan") {
				t.Errorf("%s: example %q does not call sheratan", path, line)
			}
		}
		if c.Short == "" || unicode.IsUpper(rune(c.Short[0])) || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: short text %q: want lower case and no full stop", path, c.Short)
		}
		if !strings.HasPrefix(c.Annotations[exitsKey], "0 1") || !strings.Contains(c.Annotations[exitsKey], "64") {
			t.Errorf("%s: exit codes %q: want at least 0, 1 and 64", path, c.Annotations[exitsKey])
		}
		for line := range strings.SplitSeq(c.Long, "\n") {
			if len(line) > helpWidth {
				t.Errorf("%s: line of %d columns: %q", path, len(line), line)
			}
		}
	}
}

// TestHelpForms: help can be asked for in three ways, and always goes to stdout.
func TestHelpForms(t *testing.T) {
	t.Parallel()
	_, want, _ := runTest(testEnv("gate", "--help"))
	for _, args := range [][]string{{"help", "gate"}, {"gate", "-h"}} {
		code, stdout, stderr := runTest(testEnv(args...))
		if code != exitDone || stdout != want || stderr != "" {
			t.Errorf("%v: exit %d, %d bytes, stderr %q", args, code, len(stdout), stderr)
		}
	}
	code, stdout, _ := runTest(testEnv())
	if code != exitDone || !strings.Contains(stdout, "Stages of a job:") {
		t.Errorf("no arguments: exit %d, stdout %q", code, stdout)
	}
}

// TestManual writes the manual pages and looks for what the generator does not do by itself.
func TestManual(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	code, _, stderr := runTest(testEnv("man", dir))
	if code != exitDone {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	n := len(commands(newRoot(testApp(testEnv()))))
	pages, err := filepath.Glob(filepath.Join(dir, "*.1"))
	if err != nil || len(pages) != n {
		t.Fatalf("%d pages for %d commands, %v", len(pages), n, err)
	}
	page, err := os.ReadFile(filepath.Join(dir, "sheratan-ledger-verify.1"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{".SH \"EXIT STATUS\"\n.TP\n\\fB0\\fR\ndone.", "the ledger does not verify", `"2026\-01\-02"`,
		"sheratan\\-ledger\\-verify \\- check the whole ledger"} {
		if !bytes.Contains(page, []byte(want)) {
			t.Errorf("manual page lacks %q in\n%s", want, page)
		}
	}
	if got, want := roff(`.x \n - 'y'`), `\&.x \en \- 'y'`; got != want {
		t.Errorf("roff: %q, want %q", got, want)
	}
}

// TestCompletion: each shell gets a script, another one an error, and words are completed.
func TestCompletion(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"bash", "zsh", "fish"} {
		code, stdout, _ := runTest(testEnv("completion", shell))
		if code != exitDone || !strings.Contains(stdout, "__complete") {
			t.Errorf("%s: exit %d, %d bytes", shell, code, len(stdout))
		}
	}
	if code, _, stderr := runTest(testEnv("completion", "tcsh")); code != exitUsage || !strings.Contains(stderr, "tcsh") {
		t.Errorf("tcsh: exit %d, %q", code, stderr)
	}
	_, stdout, _ := runTest(testEnv("__complete", "submit", "--priority", ""))
	if !strings.HasPrefix(stdout, "critical\nhigh\nnormal\nlow\n") {
		t.Errorf("completion of --priority: %q", stdout)
	}
	_, stdout, _ = runTest(testEnv("__complete", "le"))
	if !strings.HasPrefix(stdout, "ledger\t") {
		t.Errorf("completion of le: %q", stdout)
	}
}

// runTest runs a command line in the process env.
func runTest(env *processTest) (code int, stdout, stderr string) {
	code = Run(context.Background(), env.Env)
	return code, env.stdout.String(), env.stderr.String()
}
