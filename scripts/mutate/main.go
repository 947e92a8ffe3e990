// Command mutate takes protections out of the program, one at a time, and says whether a test notices.
//
// A protection is a check, a sync or a limit that hands picked: mutations.txt lists them. The sources stay as they are: the
// go command gets the changed file by -overlay. Each test is run without a change first, for a test that fails anyway
// notices nothing. The exit code is 0 where each mutation was noticed, 1 where one was not or could not be tried, and 64
// for wrong arguments.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	only := flag.String("only", "", "mutations whose name or file matches this regular expression")
	list := flag.Bool("list", false, "print the names of the mutations and try none")
	flag.Parse()
	match, err := regexp.Compile(*only)
	if err != nil || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "usage: go run ./scripts/mutate [-list] [-only REGEXP]", err)
		os.Exit(64)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, ".", match, *list); err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, root string, only *regexp.Regexp, list bool) error {
	all, err := readMutations(filepath.Join(root, "scripts/mutate/mutations.txt"))
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(m mutation) bool { return !only.MatchString(m.name) && !only.MatchString(m.file) })
	if len(all) == 0 {
		return fmt.Errorf("no mutation matches %q", only)
	}
	if list {
		for _, m := range all {
			fmt.Printf("%s: %s (%s)\n", m.file, m.name, m.test)
		}
		return nil
	}
	dir, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	t := trials{root: root, dir: dir, healthy: map[string]bool{}}
	missed := 0
	for _, m := range all {
		start := time.Now()
		verdict, err := t.try(ctx, m)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			verdict = "NOT TRIED: " + err.Error()
		}
		if !strings.HasPrefix(verdict, "noticed") {
			missed++
		}
		fmt.Printf("%s: %s: %s (%.0f s)\n", m.file, m.name, verdict, time.Since(start).Seconds())
	}
	fmt.Printf("%d of %d noticed\n", len(all)-missed, len(all))
	if missed > 0 {
		return errors.New("not every protection has a test")
	}
	return nil
}

// mutation is one protection and how to take it out.
type mutation struct {
	name     string
	file     string // relative to the root of the module
	test     string // arguments of go test
	old, new string // whole lines
}

// readMutations reads blocks like this one, which an empty line ends. The lines that begin with - stand exactly once in the
// file, one after the other; those that begin with + take their place, and there may be none.
//
//	a lock is exclusive
//	file runtime/durable/lock.go
//	test ./runtime/durable -run TestLock
//	-	return unix.Flock(fd, unix.LOCK_EX)
//	+	return nil
func readMutations(path string) ([]mutation, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var all []mutation
	var m mutation
	end := func(line int) error {
		if m == (mutation{}) {
			return nil
		}
		if m.name == "" || m.file == "" || m.test == "" || m.old == "" || m.old == m.new {
			return fmt.Errorf("%s:%d: the block before this line needs a name, file, test and lines to take out", path, line)
		}
		all = append(all, m)
		m = mutation{}
		return nil
	}
	lines := bufio.NewScanner(bytes.NewReader(data))
	n := 0
	for lines.Scan() {
		n++
		line := lines.Text()
		file, isFile := strings.CutPrefix(line, "file ")
		test, isTest := strings.CutPrefix(line, "test ")
		switch {
		case line == "":
			err = end(n)
		case line[0] == '#':
		case line[0] == '-':
			m.old += line[1:] + "\n"
		case line[0] == '+':
			m.new += line[1:] + "\n"
		case isFile:
			m.file = file
		case isTest:
			m.test = test
		case m.name == "":
			m.name = line
		default:
			err = fmt.Errorf("%s:%d: %q is not part of a block", path, n, line)
		}
		if err != nil {
			return nil, err
		}
	}
	return all, errors.Join(lines.Err(), end(n+1))
}

// apply returns the file of the mutation with its lines taken out.
func (m mutation) apply(root string) ([]byte, error) {
	data, err := os.ReadFile(filepath.Join(root, m.file))
	if err != nil {
		return nil, err
	}
	before, after, found := strings.Cut("\n"+string(data), "\n"+m.old)
	if !found {
		return nil, errors.New("the lines to take out are not in the file")
	}
	if strings.Contains("\n"+after, "\n"+m.old) {
		return nil, errors.New("the lines to take out are in the file more than once")
	}
	return []byte((before + "\n" + m.new + after)[1:]), nil
}

// trials runs tests with and without a change.
type trials struct {
	root    string
	dir     string          // for overlays
	healthy map[string]bool // tests that pass without a change
}

// try says which test noticed a mutation. The error is about what kept it from being tried.
func (t *trials) try(ctx context.Context, m mutation) (verdict string, err error) {
	data, err := m.apply(t.root)
	if err != nil {
		return "", err
	}
	if !t.healthy[m.test] {
		out, err := t.goTest(ctx, m.test, "")
		if err != nil {
			return "", fmt.Errorf("go test %s fails without a change: %w\n%s", m.test, err, out)
		}
		if bytes.Contains(out, []byte("no tests to run")) {
			return "", fmt.Errorf("go test %s runs no test", m.test)
		}
		t.healthy[m.test] = true
	}
	overlay, err := t.overlay(m.file, data)
	if err != nil {
		return "", err
	}
	out, err := t.goTest(ctx, m.test, overlay)
	switch {
	case bytes.Contains(out, []byte("[build failed]")) || bytes.Contains(out, []byte("[setup failed]")):
		return "", fmt.Errorf("the change does not compile:\n%s", out)
	case err == nil:
		return "SURVIVED go test " + m.test, nil
	}
	if f := failed.FindSubmatch(out); f != nil {
		return "noticed by " + string(f[1]), nil
	}
	return "noticed", nil // a panic, or the deadline
}

var failed = regexp.MustCompile(`(?m)^ *--- FAIL: (\S+)`)

// overlay writes what the go command reads instead of the file, and returns the path of its list.
func (t *trials) overlay(file string, data []byte) (string, error) {
	path, err := filepath.Abs(filepath.Join(t.root, file))
	if err != nil {
		return "", err
	}
	changed, list := filepath.Join(t.dir, "changed.go"), filepath.Join(t.dir, "overlay.json")
	text, err := json.Marshal(map[string]map[string]string{"Replace": {path: changed}})
	if err != nil {
		return "", err
	}
	return list, errors.Join(os.WriteFile(changed, data, 0o600), os.WriteFile(list, text, 0o600))
}

// goTest runs go test. What tests build themselves gets the overlay as well, by GOFLAGS.
func (t *trials) goTest(ctx context.Context, arguments, overlay string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-failfast", "-count=1", "-timeout=5m"}, strings.Fields(arguments)...)...)
	cmd.Dir = t.root
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	if overlay != "" {
		cmd.Env = append(os.Environ(), "GOFLAGS="+strings.TrimSpace(os.Getenv("GOFLAGS")+" -overlay="+overlay))
	}
	return cmd.CombinedOutput()
}
