package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sheratan/sheratan/hosts/agent"
	"github.com/sheratan/sheratan/hosts/sandbox"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/index"
	"github.com/sheratan/sheratan/runtime/ledger"
	"github.com/sheratan/sheratan/runtime/workspace"
)

// testConfig allows a few programs that every system has. echo is not safe to run again.
const testConfig = `{
  "$schema": "sheratan.config/v1",
  "sources": {
    "*": {"max_jobs_per_minute": 10, "max_concurrent_jobs": 5, "max_priority": "high"},
    "operator": {"max_jobs_per_minute": 0, "max_concurrent_jobs": 0, "max_priority": "critical"}
  },
  "gates": {"roots": ["work"], "exec": [
    {"program": "true", "args": [], "decision": "allow", "rerun": "safe"},
    {"program": "false", "args": [], "decision": "allow", "rerun": "safe"},
    {"program": "sleep", "args": ["[0-9.]+"], "decision": "allow", "rerun": "safe"},
    {"program": "echo", "args": ["..."], "decision": "allow"}
  ]},
  "operators": {"scripts": true},
  "sandbox": {"minimum": "none"}
}`

// world is a workspace with a clock that goes on, and can be put forward.
type world struct {
	t      *testing.T
	p      *Pipeline
	ws     *workspace.Workspace
	ahead  *atomic.Int64
	warned []string
}

// template is a workspace as init makes it, with testConfig. It is made once: probing the machine takes longer than most tests.
var template = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "sheratan-pipeline-")
	if err != nil {
		return dir, err
	}
	made, err := Init(context.Background(), workspace.InitOptions{Cwd: dir, Dir: dir}, Options{NoCommit: true})
	if err != nil {
		return dir, err
	}
	return dir, os.WriteFile(made.Workspace.Config(), []byte(testConfig), 0o600)
})

// workerArg makes the test binary the process that executes file kinds.
const workerArg = "test-worker"

func TestMain(m *testing.M) {
	sandbox.Main()
	if len(os.Args) > 1 && os.Args[1] == workerArg {
		if err := agent.WorkerMain(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if len(os.Args) > 2 && os.Args[1] == trialArg {
		dieInTrial(os.Args[2], os.Args[3])
	}
	code := m.Run()
	if dir, _ := template(); dir != "" {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

func newWorld(t *testing.T) *world {
	t.Helper()
	t.Parallel()
	w := &world{t: t, ahead: new(atomic.Int64)}
	from, err := template()
	w.check(err)
	dir := t.TempDir()
	w.check(os.CopyFS(dir, os.DirFS(from)))
	w.check(os.Remove(filepath.Join(dir, "runtime", ".sheratan", "places.json"))) // a copy, and no workspace that was moved
	w.ws, err = workspace.Open(dir)
	w.check(err)
	w.p = w.open()
	return w
}

// open makes another process's hold on the workspace, as far as one process can.
func (w *world) open() *Pipeline {
	p, err := Open(context.Background(), w.ws, Options{Now: w.now, NoCommit: true, Worker: []string{os.Args[0], workerArg}, Notify: func(n Notice) {
		if n.Level == "warning" && !strings.Contains(n.Text, "without a sandbox") {
			w.warned = append(w.warned, n.Text)
		}
	}})
	w.check(err)
	w.t.Cleanup(func() { w.check(p.Close(context.Background())) })
	return p
}

func (w *world) now() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) }

func (w *world) forward(d time.Duration) { w.ahead.Add(int64(d)) }

func (w *world) check(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) write(path, text string) {
	w.t.Helper()
	w.check(os.MkdirAll(filepath.Dir(path), 0o700))
	w.check(os.WriteFile(path, []byte(text), 0o600))
}

// drop puts a file into the inbox of a source, "" being the inbox itself.
func (w *world) drop(source, name, text string) {
	w.t.Helper()
	w.write(filepath.Join(w.ws.Inbox(), source, name), text)
}

// gate takes the inbox in and returns the lines by job.
func (w *world) gate() []GateLine {
	w.t.Helper()
	var lines []GateLine
	_, err := w.p.Gate(context.Background(), GateOptions{}, func(l GateLine) error {
		lines = append(lines, l)
		return nil
	})
	w.check(err)
	return lines
}

// propose gates one proposal of the operator and returns what became of it.
func (w *world) propose(text string) GateLine {
	w.t.Helper()
	return w.proposeAs("operator", text)
}

func (w *world) proposeAs(source, text string) GateLine {
	w.t.Helper()
	w.drop(source, "p.json", text)
	lines := w.gate()
	if len(lines) != 1 {
		w.t.Fatalf("%s: %d lines", text, len(lines))
	}
	return lines[0]
}

func (w *world) tick() {
	w.t.Helper()
	w.check(w.p.Tick(context.Background(), TickOptions{}, nil))
}

func (w *world) row(id string) indexRow {
	w.t.Helper()
	row, err := w.p.row(context.Background(), id)
	w.check(err)
	return row
}

// is checks the status and the error of a job, and that its files lie in one place only.
func (w *world) is(id string, status job.Status, text string) {
	w.t.Helper()
	row := w.row(id)
	if row.Status != status || row.Error != text {
		w.t.Errorf("%s is %s, %q; want %s, %q", id, row.Status, row.Error, status, text)
	}
	w.onePlace(id)
}

// onePlace checks that the files of a job lie where its zone is and nowhere else.
func (w *world) onePlace(id string) {
	w.t.Helper()
	var found []string
	for _, dir := range []string{filepath.Dir(w.ws.Approved("x")), filepath.Dir(w.ws.Blocked("x")), w.ws.Results()} {
		w.check(filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && (d.Name() == id+".json" || d.Name() == id && d.IsDir()) {
				found = append(found, path)
			}
			return err
		}))
	}
	if want := []string{w.p.placeOf(w.row(id))}; !slices.Equal(found, want) {
		w.t.Errorf("%s lies in %q, want %q", id, found, want)
	}
}

// events returns the events of a job, in order.
func (w *world) events(id string) []ledger.Event {
	w.t.Helper()
	var list []ledger.Event
	w.check(w.p.Events(context.Background(), index.EventFilter{Job: id}, func(_ []byte, ev ledger.Event) error {
		list = append(list, ev)
		return nil
	}))
	return list
}

func (w *world) names(id string) []job.EventName {
	var names []job.EventName
	for _, ev := range w.events(id) {
		names = append(names, ev.Event)
	}
	return names
}

func (w *world) review(ids ...string) []Review {
	w.t.Helper()
	list, err := w.p.Pending(context.Background(), ids)
	w.check(err)
	return list
}

// verify checks the ledger, the index and that nobody was warned.
func (w *world) verify() {
	w.t.Helper()
	v, err := w.p.Verify(context.Background(), VerifyOptions{})
	w.check(err)
	if !v.OK {
		w.t.Errorf("findings: %+v", v.Findings)
	}
	if len(w.warned) > 0 {
		w.t.Errorf("warnings: %q", w.warned)
	}
}

// codes are the reasons in a line, each once, in order.
func codes(l GateLine) []string {
	list := []string{}
	for _, g := range l.Reports {
		for _, r := range g.Reasons {
			if !slices.Contains(list, r.Code) {
				list = append(list, r.Code)
			}
		}
	}
	return list
}

func ignoreLine(GateLine) error { return nil }
func ignoreJob(JobLine) error   { return nil }

// noop and exec print proposals; more is further members, each with a comma behind it.
func noop(id, more string) string {
	return fmt.Sprintf(`{"id": %q, %s "payload": {"kind": "noop", "params": {}}}`, id, more)
}

func exec(id, more string, argv ...string) string {
	list, _ := json.Marshal(argv)
	return fmt.Sprintf(`{"id": %q, %s "payload": {"kind": "exec", "params": {"argv": %s}}}`, id, more, list)
}

// holding lists the files below runtime that have text in them or in their name.
func (w *world) holding(text string) []string {
	w.t.Helper()
	var found []string
	w.check(filepath.WalkDir(w.ws.Runtime(), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		has := strings.Contains(d.Name(), text)
		if d.Type().IsRegular() {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			has = has || bytes.Contains(b, []byte(text))
		}
		if has {
			found = append(found, w.ws.Rel(path))
		}
		return nil
	}))
	return found
}

func asError[T error](err error, target *T) bool { return errors.As(err, target) }

// read returns what a file of the workspace holds.
func (w *world) read(rel string) string {
	w.t.Helper()
	b, err := os.ReadFile(filepath.Join(w.ws.Root(), rel))
	w.check(err)
	return string(b)
}

// loop calls fn while a tick loops, and ends that.
func (w *world) loop(fn func()) {
	w.t.Helper()
	p := w.open()
	ctx, stop := context.WithCancelCause(w.t.Context())
	done := make(chan error, 1)
	go func() {
		done <- p.Tick(ctx, TickOptions{Loop: true, Interval: 50 * time.Millisecond}, func(TickLine) error { return nil })
	}()
	defer func() {
		stop(ErrInterrupted)
		w.check(<-done)
	}()
	fn()
}
