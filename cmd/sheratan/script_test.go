package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sheratan/sheratan/hosts/sandbox"
)

var update = flag.Bool("update", false, "rewrite what scripts compare with")

// TestMain makes this binary the programs that the scripts call.
func TestMain(m *testing.M) {
	sandbox.Main()
	testscript.Main(m, map[string]func(){
		"sheratan": main,
		"notty":    withoutTerminal,
	})
}

// withoutTerminal runs a command in a session of its own, so that it has no terminal to ask on even where the tests were
// started from one.
func withoutTerminal() {
	_, _ = syscall.Setsid() // fails only for the leader of a group, which has no terminal here either
	path, err := exec.LookPath(os.Args[1])
	if err == nil {
		err = syscall.Exec(path, os.Args[1:], os.Environ())
	}
	fmt.Fprintln(os.Stderr, "notty:", err)
	os.Exit(127)
}

// TestScript runs the topics of the command line: one file each, in testdata/script.
func TestScript(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:           filepath.Join("..", "..", "testdata", "script"),
		UpdateScripts: *update,
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("XDG_STATE_HOME", filepath.Join(env.WorkDir, ".state"))
			env.Setenv("TZ", "UTC")
			env.Setenv("LEVEL", string(sandbox.Probe().Level))
			env.Setenv("GIT_CONFIG_NOSYSTEM", "1")
			return nil
		},
		Condition: func(cond string) (bool, error) {
			if cond == "long" {
				return os.Getenv("SHERATAN_LONG") != "", nil
			}
			level, ok := strings.CutPrefix(cond, "sandbox:")
			if !ok {
				return false, fmt.Errorf("no condition %q", cond)
			}
			return string(sandbox.Probe().Level) == level, nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits":  cmdExits,
			"json":   cmdJSON,
			"until":  cmdUntil,
			"signal": cmdSignal,
			"setcfg": cmdSetConfig,
		},
	})
}

// cmdExits is `exits CODE PROGRAM ARG...`: the program must exit with that code.
func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	if err != nil || neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARG...")
	}
	got := 0
	err = ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// cmdJSON is `json PATH VALUE`: some line of stdout is a JSON object that has this value, as JSON or as text, at PATH
// (names and numbers separated by dots). `json PATH` wants the member to be there, `! json` that no line has it.
func cmdJSON(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: json PATH [VALUE]")
	}
	text := strings.TrimSpace(ts.ReadFile("stdout"))
	found, n := false, 0
	for line := range strings.SplitSeq(text, "\n") {
		var v any
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			ts.Fatalf("line %q: %v", line, err)
		}
		n++
		got, ok := at(v, strings.Split(args[0], "."))
		found = found || ok && (len(args) == 1 || equal(got, args[1]))
	}
	if n == 0 {
		ts.Fatalf("stdout is empty")
	}
	if found == neg {
		ts.Fatalf("%v: found %t in\n%s", args, found, text)
	}
}

// at follows a path of names and numbers into a JSON value.
func at(v any, path []string) (any, bool) {
	for _, step := range path {
		switch x := v.(type) {
		case map[string]any:
			var ok bool
			if v, ok = x[step]; !ok {
				return nil, false
			}
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(x) {
				return nil, false
			}
			v = x[i]
		default:
			return nil, false
		}
	}
	return v, true
}

func equal(got any, want string) bool {
	if s, ok := got.(string); ok && s == want {
		return true
	}
	b, err := json.Marshal(got)
	return err == nil && string(b) == want
}

// cmdUntil is `until PATTERN PROGRAM ARG...`: runs the program again until its stdout matches, for at most 20 seconds.
func cmdUntil(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until PATTERN PROGRAM ARG...")
	}
	pattern, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if err := ts.Exec(args[1], args[2:]...); err == nil && pattern.MatchString(ts.ReadFile("stdout")) {
			return
		}
	}
	ts.Fatalf("no match of %s", args[0])
}

// cmdSignal is `signal NAME PIDFILE`: sends a signal to the process whose number is in a file.
func cmdSignal(ts *testscript.TestScript, neg bool, args []string) {
	signals := map[string]syscall.Signal{"INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP, "KILL": syscall.SIGKILL}
	if neg || len(args) != 2 || signals[args[0]] == 0 {
		ts.Fatalf("usage: signal INT|TERM|HUP|KILL PIDFILE")
	}
	pid, err := strconv.Atoi(strings.TrimSpace(ts.ReadFile(args[1])))
	ts.Check(err)
	ts.Check(syscall.Kill(pid, signals[args[0]]))
}

// cmdSetConfig is `setcfg FILE PATH VALUE`: sets a member of a JSON file, as an operator would with an editor.
func cmdSetConfig(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: setcfg FILE PATH VALUE")
	}
	var doc map[string]any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &doc))
	var value any
	ts.Check(json.Unmarshal([]byte(args[2]), &value))
	obj, path := doc, strings.Split(args[1], ".")
	for _, step := range path[:len(path)-1] {
		next, ok := obj[step].(map[string]any)
		if !ok {
			next = map[string]any{}
			obj[step] = next
		}
		obj = next
	}
	obj[path[len(path)-1]] = value
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	ts.Check(enc.Encode(doc))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b.Bytes(), 0o600))
}
