package cli

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

// processTest is a process for tests: no environment, no terminal, a folder that does not exist, and a clock that stands
// still.
type processTest struct {
	Env
	stdout, stderr bytes.Buffer
}

var testNow = time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)

func testEnv(args ...string) *processTest {
	p := &processTest{}
	p.Env = Env{
		Args: args, Dir: "/nowhere", Getenv: func(string) string { return "" }, Environ: func() []string { return nil },
		Stdin: strings.NewReader(""), Stdout: &p.stdout, Stderr: &p.stderr,
		Now:       func() time.Time { return testNow },
		Terminal:  func() (io.ReadWriteCloser, error) { return nil, errors.New("no terminal") },
		InsideJob: func(func(string) string) string { return "" },
	}
	return p
}

func (p *processTest) setenv(name, value string) *processTest {
	before := p.Getenv
	p.Getenv = func(n string) string {
		if n == name {
			return value
		}
		return before(n)
	}
	return p
}

// testApp is an app that has not been run.
func testApp(env *processTest) *app {
	a := &app{env: env.Env}
	a.people = newPeople(a)
	a.out = newOutput(a)
	return a
}

// TestUsageErrors: a wrong command line exits 64, says what is wrong in our own voice and what to type, and prints nothing
// on stdout.
func TestUsageErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		want string // on stderr
	}{
		{[]string{"frobnicate"}, "sheratan: error: frobnicate: no such command\nsheratan: hint: sheratan --help\n"},
		{[]string{"ledgre"}, "sheratan: error: ledgre: no such command\nsheratan: hint: sheratan ledger\n"},
		{[]string{"ledger", "lgo"}, "sheratan: error: lgo: no such command\nsheratan: hint: sheratan ledger log\n"},
		{[]string{"ledger"}, "sheratan: error: sheratan ledger: which command?\nsheratan: hint: sheratan ledger --help\n"},
		{[]string{"gate", "--frob"}, "sheratan: error: unknown flag: --frob\nsheratan: hint: sheratan gate --help\n"},
		{[]string{"--frob"}, "sheratan: error: unknown flag: --frob\nsheratan: hint: sheratan --help\n"},
		{[]string{"tick", "now"}, "hint: sheratan tick --help"},
		{[]string{"schema"}, "hint: sheratan schema --help"},
		{[]string{"why", "a", "b"}, "hint: sheratan why --help"},
		{[]string{"jobs", "--limit", "many"}, "invalid argument"},
		{[]string{"jobs", "--limit", "-1"}, "--limit -1: want 0 or more"},
		{[]string{"jobs", "--status", "open"}, `--status "open"`},
		{[]string{"jobs", "--columns", "id,colour"}, `--columns "colour"`},
		{[]string{"jobs", "--since", "yesterday"}, `--since "yesterday"`},
		{[]string{"jobs", "x.json"}, "x.json: this command takes ids of jobs, not files"},
		{[]string{"submit"}, "nothing to submit"},
		{[]string{"submit", "--"}, "no program"},
		{[]string{"submit", "a.json", "--", "true"}, "a.json: a proposal is made here or read from files, not both"},
		{[]string{"submit", "--key", "k", "a.json"}, "--key: applies to a proposal made here"},
		{[]string{"submit", "--kind", "noop", "--", "true"}, "--kind noop: a program after -- is a job of kind exec"},
		{[]string{"submit", "--id", "../x", "--", "true"}, `--id "../x"`},
		{[]string{"submit", "--id", "", "--", "true"}, `--id ""`},
		{[]string{"submit", "--after", "a b", "--", "true"}, `--after "a b"`},
		{[]string{"submit", "--priority", "urgent", "--", "true"}, `priority "urgent"`},
		{[]string{"submit", "--timeout", "soon", "--", "true"}, "--timeout soon"},
		{[]string{"submit", "--timeout", "0", "--", "true"}, "--timeout 0"},
		{[]string{"submit", "--timeout", "1500ms", "--", "true"}, "--timeout 1500ms: want whole seconds"},
		{[]string{"submit", "--param", "x", "--kind", "noop"}, `--param "x": want NAME=VALUE`},
		{[]string{"submit", "--param", "a=1", "--param", "a=2", "--kind", "noop"}, "--param a: given twice"},
		{[]string{"submit", "--source", "a/b", "--", "true"}, `--source "a/b"`},
		{[]string{"gate", "--dry-run", "--blocked"}, "--dry-run: goes with neither"},
		{[]string{"approve"}, "hint: sheratan approve --help"},
		{[]string{"cancel"}, "cancel: which jobs?"},
		{[]string{"cancel", "a", "--source", "b"}, "not both"},
		{[]string{"cancel", "--status", "gone"}, `--status "gone"`},
		{[]string{"tick", "--interval", "0"}, "want a time above zero"},
		{[]string{"wait", "a", "--timeout", "-1s"}, "want seconds or a duration"},
		{[]string{"ledger", "log", "--seq", "9-2"}, `--seq "9-2"`},
		{[]string{"ledger", "log", "--event", "PARTY"}, `--event "PARTY"`},
		{[]string{"ledger", "tail", "-n", "-3"}, "want 0 or more"},
	} {
		code, stdout, stderr := runTest(testEnv(c.args...))
		if code != exitUsage || stdout != "" || !strings.Contains(stderr, c.want) {
			t.Errorf("%q: exit %d, stdout %q, stderr %q; want exit 64 and %q", c.args, code, stdout, stderr, c.want)
		}
		if !strings.HasPrefix(stderr, "sheratan: error: ") {
			t.Errorf("%q: stderr %q: want our own voice", c.args, stderr)
		}
	}
}

// TestNoWorkspace: every command that needs a workspace exits 10 without one, and says how to make one.
func TestNoWorkspace(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"submit", "--", "true"}, {"gate"}, {"audit"}, {"dispatch"}, {"run"}, {"tick"}, {"jobs"}, {"status"}, {"why", "x"},
		{"wait", "x"}, {"logs", "x"}, {"ledger", "log"}, {"ledger", "show", "1"}, {"ledger", "tail"}, {"ledger", "verify"},
		{"approve", "x"}, {"reject", "x"}, {"revise", "x"}, {"cancel", "x"}, {"retry", "x"}, {"pause"}, {"resume"},
		{"policy", "test"}, {"policy", "replay"}, {"policy", "suggest", "x"}, {"config", "show"}, {"config", "check"},
		{"config", "lock"}, {"host", "list"}, {"index", "rebuild"}, {"index", "check"}, {"policy", "explain", "some-job"},
		{"gate", "--dry-run"}, {"doctor", "--workspace", "/nowhere"}, {"kinds", "list", "--workspace", "/nowhere"},
	} {
		code, stdout, stderr := runTest(testEnv(args...))
		if code != exitNoWorkspace || stdout != "" || !strings.Contains(stderr, "sheratan: hint: sheratan init") {
			t.Errorf("%q: exit %d, stdout %q, stderr %q", args, code, stdout, stderr)
		}
	}
	code, _, stderr := runTest(testEnv("status").setenv("SHERATAN_WORKSPACE", "/not/there"))
	if code != exitNoWorkspace || !strings.Contains(stderr, "$SHERATAN_WORKSPACE: /not/there: not a workspace") {
		t.Errorf("exit %d, stderr %q", code, stderr)
	}
}

// TestWithoutWorkspace: these need none.
func TestWithoutWorkspace(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		want string // on stdout
	}{
		{[]string{"version"}, "sheratan devel go1."},
		{[]string{"version", "--json"}, `"modules":{`},
		{[]string{"schema", "list"}, "proposal\n"},
		{[]string{"schema", "list", "--json"}, `{"name":"kind.exec"}` + "\n"},
		{[]string{"schema", "proposal"}, `"$id": "sheratan.proposal/v1"`},
		{[]string{"schema", "proposal", "--json"}, `"$id":"sheratan.proposal/v1"`},
		{[]string{"schema", "kind.exec"}, `"argv"`},
		{[]string{"kinds", "list"}, "file_write"},
		{[]string{"kinds", "list", "--json"}, `{"kind":"exec","effect":"process"`},
		{[]string{"kinds", "show", "exec"}, `"argv"`},
		{[]string{"policy", "explain", "traversal"}, "hard: nobody may allow it"},
		{[]string{"policy", "explain", "--json"}, `"code":"TRAVERSAL"`},
		{[]string{"man"}, `.SH "EXIT STATUS"`},
		{[]string{"submit", "--print", "--kind", "noop"}, `{"payload":{"kind":"noop","params":{}}}` + "\n"},
	} {
		code, stdout, stderr := runTest(testEnv(c.args...))
		if code != exitDone || stderr != "" || !strings.Contains(stdout, c.want) {
			t.Errorf("%q: exit %d, stderr %q, stdout %.300q; want %q", c.args, code, stderr, stdout, c.want)
		}
	}
	for _, args := range [][]string{{"schema", "nope"}, {"kinds", "show", "nope"}} {
		if code, _, stderr := runTest(testEnv(args...)); code != exitError || !strings.Contains(stderr, "nope: no such ") {
			t.Errorf("%q: exit %d, %q", args, code, stderr)
		}
	}
}

// TestStdoutFull: what could not be written is an error, and not success.
func TestStdoutFull(t *testing.T) {
	t.Parallel()
	env := testEnv("version")
	env.Stdout = fullDisk{}
	if code, _, stderr := runTest(env); code != exitError || !strings.Contains(stderr, "stdout: no space left") {
		t.Errorf("exit %d, stderr %q", code, stderr)
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

// TestColour: colours appear on a terminal only, and not where they are not wanted.
func TestColour(t *testing.T) {
	t.Parallel()
	coloured := func(change func(*processTest), args ...string) bool {
		env := testEnv(append(args, "--help")...)
		env.StdoutTTY = true
		change(env)
		_, stdout, _ := runTest(env)
		return strings.Contains(stdout, "\x1b[")
	}
	if !coloured(func(*processTest) {}) {
		t.Error("no colour on a terminal")
	}
	for name, off := range map[string]bool{
		"pipe":       coloured(func(e *processTest) { e.StdoutTTY = false }),
		"NO_COLOR":   coloured(func(e *processTest) { e.setenv("NO_COLOR", "1") }),
		"TERM=dumb":  coloured(func(e *processTest) { e.setenv("TERM", "dumb") }),
		"--no-color": coloured(func(*processTest) {}, "--no-color"),
	} {
		if off {
			t.Errorf("%s: coloured", name)
		}
	}
}

// TestQuiet: --quiet drops hints and notes, and keeps errors.
func TestQuiet(t *testing.T) {
	t.Parallel()
	_, _, stderr := runTest(testEnv("status", "--quiet"))
	if !strings.Contains(stderr, "error: ") || strings.Contains(stderr, "hint: ") {
		t.Errorf("stderr %q", stderr)
	}
}

// TestInsideJob: a job decides nothing, whatever else is wrong with the command.
func TestInsideJob(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"approve", "x"}, {"reject", "x"}, {"revise", "x"}, {"policy", "suggest", "x", "--write"},
		{"submit", "--source", "operator", "--", "true"}} {
		env := testEnv(args...)
		env.InsideJob = func(func(string) string) string { return "job-1" }
		code, stdout, stderr := runTest(env)
		if code != exitError || stdout != "" || !strings.Contains(stderr, "inside job job-1") {
			t.Errorf("%q: exit %d, stdout %q, stderr %q", args, code, stdout, stderr)
		}
	}
}
