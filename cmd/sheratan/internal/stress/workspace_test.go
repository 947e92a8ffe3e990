package stress_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// site is a workspace, and a file beside it in which jobs leave marks.
type site struct {
	t     *testing.T
	dir   string
	marks string

	mu   sync.Mutex
	said []string // stderr of all processes, for when something fails
}

// newSite makes a workspace without rate limits, with slots jobs at a time, and rules for the programs of these tests.
func newSite(t *testing.T, slots int) *site {
	t.Helper()
	return newSiteIn(t, t.TempDir(), slots)
}

// newSiteIn is newSite in a folder.
func newSiteIn(t *testing.T, dir string, slots int) *site {
	t.Helper()
	s := &site{t: t, dir: filepath.Join(dir, "ws"), marks: filepath.Join(dir, "left", "marks")}
	s.must("init", s.dir)
	t.Cleanup(s.leaveNothing)
	if err := os.MkdirAll(filepath.Dir(s.marks), 0o700); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s.configure(func(config map[string]any) {
		config["sources"] = map[string]any{
			"*":        map[string]any{"max_jobs_per_minute": 0, "max_concurrent_jobs": 0, "max_priority": "high"},
			"operator": map[string]any{"max_jobs_per_minute": 0, "max_concurrent_jobs": 0, "max_priority": "critical"},
		}
		config["host"] = map[string]any{"max_concurrent": slots}
		config["operators"] = map[string]any{"scripts": true}
		gates := config["gates"].(map[string]any)
		gates["roots"] = append(gates["roots"].([]any), filepath.Dir(s.marks))
		gates["exec"] = append(gates["exec"].([]any),
			map[string]any{"program": "tee", "args": []string{"-a", "/.*"}, "decision": "allow", "write": true},
			map[string]any{"program": "tee", "args": []string{"-a", "/.*", "/.*"}, "decision": "allow", "write": true},
			map[string]any{"program": self, "args": []string{"mark", "/.*", ".*", "[0-9]+", "[0-9]+"}, "decision": "allow", "write": true})
	})
	if err := os.WriteFile(filepath.Join(s.dir, "work", "in.txt"), []byte("text\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *site) configure(change func(map[string]any)) {
	s.t.Helper()
	path := filepath.Join(s.dir, "config", "sheratan.json")
	text, err := os.ReadFile(path)
	var config map[string]any
	if err == nil {
		err = json.Unmarshal(text, &config)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	change(config)
	if text, err = json.MarshalIndent(config, "", "  "); err == nil {
		err = os.WriteFile(path, text, 0o600)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) path(parts ...string) string {
	return filepath.Join(append([]string{s.dir, "runtime"}, parts...)...)
}

// process is a running command.
type process struct {
	*exec.Cmd
	s        *site
	out, err bytes.Buffer
	done     chan struct{} // closed when it has ended
}

// start begins a command in a process group of its own.
func (s *site) start(stdin string, args ...string) *process {
	s.t.Helper()
	p := &process{Cmd: exec.Command(binary, args...), s: s, done: make(chan struct{})}
	p.Env = append(os.Environ(), "SHERATAN_WORKSPACE="+s.dir, "HOME="+filepath.Dir(s.dir), "GIT_CONFIG_NOSYSTEM=1")
	p.Stdin, p.Stdout, p.Stderr = strings.NewReader(stdin), &p.out, &p.err
	p.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// A grandchild that holds the pipe of a killed process must not hold up the test.
	p.WaitDelay = 5 * time.Second
	if err := p.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() {
		p.Wait()
		close(p.done)
	}()
	return p
}

// patience is how long a process may take, on a machine that has other things to do as well.
const patience = 5 * time.Minute

// wait returns the exit code, -1 after a signal. A process that takes too long is killed, and fails the test.
func (p *process) wait() int {
	select {
	case <-p.done:
	case <-time.After(patience):
		p.Process.Signal(syscall.SIGQUIT) // for the stacks of its goroutines
		<-p.done
		p.s.t.Errorf("%v: did not end\n%s", p.Args[1:], p.err.String())
	}
	if text := p.err.String(); text != "" {
		p.s.mu.Lock()
		p.s.said = append(p.s.said, strings.Join(p.Args[1:], " ")+": "+text)
		p.s.mu.Unlock()
		if strings.Contains(text, "DATA RACE") || strings.Contains(text, "panic:") {
			p.s.t.Errorf("%v:\n%s", p.Args[1:], text)
		}
	}
	return p.ProcessState.ExitCode()
}

// kill ends the process as a power switch would, and waits for that.
func (p *process) kill() {
	p.Process.Kill()
	p.wait()
}

// run runs a command and returns its exit code and output.
func (s *site) run(args ...string) (code int, stdout, stderr string) {
	s.t.Helper()
	p := s.start("", args...)
	code = p.wait()
	return code, p.out.String(), p.err.String()
}

// must is run for a command that has to end with 0.
func (s *site) must(args ...string) string {
	s.t.Helper()
	code, stdout, stderr := s.run(args...)
	if code != 0 {
		s.t.Fatalf("sheratan %s: exit %d\n%s%s", strings.Join(args, " "), code, stdout, stderr)
	}
	return stdout
}

// lines decodes JSON lines.
func lines[T any](t *testing.T, text string) []T {
	t.Helper()
	var list []T
	sc := bufio.NewScanner(strings.NewReader(text))
	sc.Buffer(nil, 16<<20)
	for sc.Scan() {
		var v T
		if err := json.Unmarshal(sc.Bytes(), &v); err != nil {
			t.Fatalf("%q: %v", sc.Text(), err)
		}
		list = append(list, v)
	}
	return list
}

// quiet ticks until there is nothing more to do.
func (s *site) quiet() {
	s.t.Helper()
	for range 100 {
		if s.must("tick", "--json") == "" && len(s.inbox()) == 0 {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	s.t.Fatalf("there is still something to do; in the inbox: %v", s.inbox())
}

// inbox lists what waits in the inbox.
func (s *site) inbox() []string {
	var names []string
	err := filepath.WalkDir(s.path("inbox"), func(path string, d os.DirEntry, err error) error {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err == nil && !d.IsDir() && !strings.HasPrefix(d.Name(), ".") {
			names = append(names, path)
		}
		return err
	})
	if err != nil {
		s.t.Error(err)
	}
	return names
}

// put writes a proposal file in one go that others can see half done, as cp does.
func (s *site) put(name, text string) {
	s.t.Helper()
	path := s.path("inbox", name)
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	if err == nil {
		err = os.WriteFile(path, []byte(text), 0o600)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// until waits for a condition, and fails the test when it does not come.
func (s *site) until(what string, within time.Duration, cond func() bool) time.Duration {
	s.t.Helper()
	start := time.Now()
	for !cond() {
		if time.Since(start) > within {
			s.t.Fatalf("after %v: still not %s", within, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
	return time.Since(start)
}

// marked counts the marks that jobs left, by what they wrote.
func (s *site) marked() map[string]int {
	count := map[string]int{}
	for _, path := range []string{s.marks, filepath.Join(s.dir, "work", "written.txt")} {
		text, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			s.t.Fatal(err)
		}
		for _, line := range strings.Fields(string(text)) {
			count[line]++
		}
	}
	return count
}

// gitLog is the history of the ledger.
func (s *site) gitLog() string {
	out, err := exec.Command("git", "-C", s.path(), "log").Output()
	if err != nil {
		s.t.Error(err)
	}
	return strings.ReplaceAll(string(out), "    ", "")
}

// jobProcesses lists the processes of attempts of this workspace.
func (s *site) jobProcesses() []string {
	var pids []string
	names, err := os.ReadDir("/proc")
	if err != nil {
		return nil // no such thing on this system
	}
	for _, n := range names {
		env, err := os.ReadFile("/proc/" + n.Name() + "/environ")
		if err == nil && bytes.Contains(env, []byte("SHERATAN_ATTEMPT="+s.path())) {
			pids = append(pids, n.Name())
		}
	}
	return pids
}

// leaveNothing fails the test where processes of its jobs outlive it, and ends them.
func (s *site) leaveNothing() {
	for _, pid := range s.jobProcesses() {
		s.t.Errorf("process %s of a job was left", pid)
	}
	if s.t.Failed() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for i, text := range s.said[max(0, len(s.said)-20):] {
			s.t.Logf("stderr %d: %s", i, text)
		}
	}
}
