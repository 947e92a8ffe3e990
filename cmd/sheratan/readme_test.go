package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestReadme runs the commands of the README, one after the other in a fresh folder, and compares what they print with
// what is shown below them. Blocks that begin with "```sh run" are run; the others are for reading.
func TestReadme(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"git", "du"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("the README shows %s, which is not installed here", program)
		}
	}
	name := filepath.Join("..", "..", "README.md")
	readme, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	sh := newShell(t)
	ran := 0
	got := runBlock.ReplaceAllStringFunc(string(readme), func(block string) string {
		m := runBlock.FindStringSubmatch(block)
		var b strings.Builder
		for _, c := range commands(m[1]) {
			ran++
			out := asOrdinaryUser(sh.run(t, c.line))
			if stable(out) == stable(c.output) {
				out = c.output // so that an update changes only what is different
			}
			b.WriteString("$ " + c.line + "\n" + out)
		}
		return "```sh run\n" + b.String() + "```\n"
	})
	if ran < 10 {
		t.Fatalf("%d commands were run", ran)
	}
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	was := strings.Split(string(readme), "\n")
	for i, line := range strings.Split(got, "\n") {
		if i >= len(was) || line != was[i] {
			t.Fatalf("README.md:%d: shows %q, the command prints %q; go test ./cmd/sheratan -run TestReadme -update rewrites it",
				i+1, was[min(i, len(was)-1)], line)
		}
	}
}

// asOrdinaryUser leaves out the warnings that only root is given: the README shows what everybody else sees.
func asOrdinaryUser(out string) string {
	if os.Geteuid() != 0 {
		return out
	}
	return rootWarning.ReplaceAllString(out, "")
}

var rootWarning = regexp.MustCompile(`(?m)^sheratan: warning: the operator is root: .*\n`)

// TestReadmeLinks: what the README links to is there.
func TestReadmeLinks(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	links := regexp.MustCompile(`\]\(([^):]+)\)`).FindAllStringSubmatch(string(readme), -1)
	if len(links) < 5 {
		t.Errorf("%d links", len(links))
	}
	for _, m := range links {
		if _, err := os.Stat(filepath.Join(root, m[1])); err != nil {
			t.Error(err)
		}
	}
}

var runBlock = regexp.MustCompile("(?ms)^```sh run\n(.*?)^```\n")

// command is one line after a "$ ", and what is shown below it.
type command struct{ line, output string }

func commands(block string) []command {
	var list []command
	for line := range strings.Lines(block) {
		if c, ok := strings.CutPrefix(line, "$ "); ok {
			list = append(list, command{line: strings.TrimSuffix(c, "\n")})
		} else if n := len(list); n > 0 {
			list[n-1].output += line
		}
	}
	return list
}

// stable replaces in an output what is another each time: ids, digests, times, durations and sizes.
func stable(out string) string {
	for _, r := range volatile {
		out = r.pattern.ReplaceAllString(out, r.with)
	}
	return out
}

var volatile = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`), "UUID"},
	{regexp.MustCompile(`\b[0-9a-f]{64}\b`), "SHA256"},
	{regexp.MustCompile(`\b[0-9a-f]{10,12}\b`), "DIGEST"},
	{regexp.MustCompile(`[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z`), "TIME"},
	{regexp.MustCompile(`[0-9]{4}/[0-9]{2}/[0-9]{2}`), "DATE"},
	{regexp.MustCompile(`\b[0-9]{2}:[0-9]{2}:[0-9]{2}\b`), "TIME"},
	{regexp.MustCompile(`\b[0-9.]+(µs|ms|s)\b`), "DURATION"},
	{regexp.MustCompile(`\buid [0-9]+`), "uid UID"},
	{regexp.MustCompile(`(?m)^[0-9]+\t\.$`), "SIZE\t."},
}

// shell runs lines as a person types them: the folder and the exit code of one are there for the next.
type shell struct {
	home, dir string
	code      string
}

func newShell(t *testing.T) *shell {
	t.Helper()
	home, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return &shell{home: home, dir: home, code: "0"}
}

// shownHome is what the README shows for the folder that the commands run in.
const shownHome = "/home/you"

func (s *shell) run(t *testing.T, line string) string {
	t.Helper()
	state := filepath.Join(s.home, ".state")
	cmd := exec.Command("sh", "-c", "(exit "+s.code+"); "+line+"\n{ echo $?; pwd -P; } >"+state)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "SHERATAN_WORKSPACE=", "SHERATAN_JOB_ID=", "TZ=UTC", "NO_COLOR=1", "GIT_CONFIG_NOSYSTEM=1")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("$ %s: %v\n%s", line, err, out.Bytes())
	}
	text, err := os.ReadFile(state)
	if err != nil {
		t.Fatal(err)
	}
	after := strings.SplitN(strings.TrimSuffix(string(text), "\n"), "\n", 2)
	if len(after) != 2 {
		t.Fatalf("$ %s: left %q", line, text)
	}
	s.code, s.dir = after[0], after[1]
	return strings.ReplaceAll(out.String(), s.home, shownHome)
}
