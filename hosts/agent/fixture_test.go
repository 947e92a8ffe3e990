package agent

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sheratan/sheratan/hosts/roots"
	"github.com/sheratan/sheratan/hosts/sandbox"
	"github.com/sheratan/sheratan/pipeline/job"
)

// The test binary is its own worker: with one argument of these it is none of the tests.
const (
	workerArg = "test-worker"      // WorkerMain
	hangArg   = "test-hang-worker" // reads and never answers, like a worker in a system call that does not return
	dieArg    = "test-die-worker"  // ends at the first request
)

func TestMain(m *testing.M) {
	sandbox.Main()
	if len(os.Args) == 2 {
		switch os.Args[1] {
		case workerArg:
			if err := WorkerMain(os.Stdin, os.Stdout); err != nil {
				os.Exit(1)
			}
			os.Exit(0)
		case hangArg:
			time.Sleep(time.Hour)
		case dieArg:
			os.Stdin.Read(make([]byte, 1))
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// fixture is a workspace with an agent.
type fixture struct {
	*Agent
	ws string
}

func newFixture(t testing.TB, change ...func(*Options)) fixture {
	t.Helper()
	ws, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{"work", "config", "runtime", "missions"} {
		if err := os.MkdirAll(filepath.Join(ws, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	r, err := roots.Open(ws, []string{"work"}, []string{"config", "runtime", "missions"})
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	opt := Options{
		Roots: r, Workspace: ws, WorkDir: filepath.Join(ws, "runtime/.sheratan/jobs"),
		Output: func(id string, attempt int) (string, string) {
			base := attemptBase(ws, id, attempt)
			return base + ".stdout", base + ".stderr"
		},
		Artifacts: func(id string, attempt int) string { return attemptBase(ws, id, attempt) + ".artifacts" },
		Last:      func(_ job.Job, res job.Result) bool { return res.Status == job.StatusCompleted || !res.Retryable },
		Resolve: func(_ job.Job, _ string, argv []string) (string, string, error) {
			if argv[0] == "forbidden" {
				return "", "", errors.New("forbidden: no rule allows this program")
			}
			path, err := exec.LookPath(argv[0])
			if err != nil && strings.HasPrefix(argv[0], "/") {
				return argv[0], "none", nil
			}
			return path, strings.Repeat("0", 64), err
		},
		Env: []string{"PATH=" + os.Getenv("PATH"), "LANG=C"}, EnvAllowed: func(name, _ string) bool { return name == "GREETING" },
		Host: "local", Worker: []string{self, workerArg},
	}
	for _, f := range change {
		f(&opt)
	}
	f := fixture{Agent: New(opt), ws: ws}
	t.Cleanup(func() {
		f.Close()
		r.Close()
	})
	return f
}

// do executes params as a job with a timeout in seconds.
func attemptBase(ws, id string, attempt int) string {
	return filepath.Join(ws, "runtime/outbox/results/2026/01/02", id+"."+strconv.Itoa(attempt))
}

func (f fixture) do(t testing.TB, kind string, params any, timeout int) job.Result {
	t.Helper()
	return f.Attempt(t.Context(), newJob(t, "job-1", kind, params, timeout), 1)
}

func newJob(t testing.TB, id, kind string, params any, timeout int) job.Job {
	t.Helper()
	raw, err := json.Marshal(params)
	if err != nil {
		t.Fatal(err)
	}
	return job.Job{ID: id, TimeoutSeconds: timeout, Payload: job.Payload{Kind: kind, Params: raw}}
}

type object = map[string]any

func sh(script string) object { return object{"argv": []string{"sh", "-c", script}} }

func (f fixture) stdout(t testing.TB, r job.Result) string {
	t.Helper()
	if r.Stdout.Path == "" {
		return ""
	}
	b, err := os.ReadFile(filepath.Join(f.ws, r.Stdout.Path))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// want checks the outcome of an attempt: its code ("" is success) and a part of its error.
func want(t *testing.T, r job.Result, code, text string) {
	t.Helper()
	status := job.StatusCompleted
	switch code {
	case "":
	case CodeCancelled:
		status = job.StatusCancelled
	default:
		status = job.StatusFailed
	}
	if r.ErrorCode != code || r.Status != status || !strings.Contains(r.Error, text) {
		t.Fatalf("got %s %s %q, want %s %s with %q\n%s", r.Status, r.ErrorCode, r.Error, status, code, text, dump(r))
	}
}

func dump(r job.Result) string {
	b, _ := json.MarshalIndent(r, "", "  ")
	return string(b)
}

func put(t testing.TB, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
