package gates_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sheratan/sheratan/gates"
	"github.com/sheratan/sheratan/gates/policy"
	"github.com/sheratan/sheratan/hosts/roots"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/pipeline/kind"
	"github.com/sheratan/sheratan/schemas"
)

// bench is a workspace with one root and the default rules, and an exec rule or two.
type bench struct {
	dir   string
	roots *roots.Roots
	cfg   gates.Config
	files []policy.File
	rules *gates.Rules
}

func newBench(t testing.TB, change func(*gates.Config)) *bench {
	t.Helper()
	b := &bench{dir: t.TempDir(), cfg: gates.DefaultConfig()}
	for _, d := range []string{"work/sub", "work/.git", "config", "runtime", "missions"} {
		if err := os.MkdirAll(filepath.Join(b.dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	b.roots, err = roots.Open(b.dir, []string{"work"}, []string{"config", "runtime", "missions"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.roots.Close() })
	f, err := policy.Parse("default.json", policy.Default())
	if err != nil {
		t.Fatal(err)
	}
	b.files = []policy.File{f}
	b.cfg.Gates.Exec = []gates.ExecRule{
		{Program: "true", Args: []string{"..."}, Decision: gates.DecisionAllow, Rerun: "safe", Match: [][]string{{"true"}, {"true", "x"}}},
		{Program: "cat", Args: []string{"[a-z]+\\.md"}, Decision: gates.DecisionAllow, Rerun: "safe",
			Match: [][]string{{"cat", "notes.md"}}, NoMatch: [][]string{{"cat", "/etc/passwd"}, {"cat"}}},
		{Program: "rm", Args: []string{"..."}, Decision: gates.DecisionAsk},
		{Program: "rm", Args: []string{"-rf", "/"}, Decision: gates.DecisionForbid},
	}
	if change != nil {
		change(&b.cfg)
	}
	b.rules, err = b.compile(b.cfg)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) compile(cfg gates.Config) (*gates.Rules, error) {
	return gates.Compile(cfg, gates.Environment{
		Kinds:    kind.Builtin(),
		Policies: b.files,
		Roots:    b.roots,
		Base:     filepath.Join(b.dir, "work"),
		Resolve:  resolve,
		Digest:   func(string) (string, error) { return "00", nil },
	})
}

// resolve has four programs, the same on every machine. Absolute paths elsewhere are looked up.
func resolve(program string) (gates.Found, error) {
	name := strings.TrimPrefix(program, "/usr/bin/")
	switch name {
	case "true", "false", "cat", "rm":
		return gates.Found{Path: "/usr/bin/" + name, Real: "/usr/bin/" + name}, nil
	}
	if !filepath.IsAbs(program) {
		return gates.Found{}, gates.ErrNoProgram
	}
	return gates.NewResolver(nil)(program)
}

// input is what the intake makes of raw bytes.
func input(raw string) gates.Input {
	in := gates.Input{Intake: job.Intake{
		Schema:     job.SchemaIntake,
		JobID:      "job-1",
		Provenance: job.Provenance{Zone: job.ZoneInbox, Source: "inbox", Token: "t", OwnerUID: 1000},
	}}
	in.Facts.Hosts = [][]string{{"noop", "exec", "file_read", "file_list", "file_write", "file_edit", "file_patch"}}
	v, canonical, err := schemas.ParseCanonical([]byte(raw), schemas.DefaultLimits)
	if err != nil {
		if !errors.As(err, &in.ParseErr) {
			panic(err)
		}
		in.Raw = []byte(raw)
		in.Intake.Raw = &job.Raw{SHA256: schemas.Digest([]byte(raw)), Bytes: int64(len(raw))}
		return in
	}
	in.Value, in.Intake.Proposal = v, canonical
	return in
}

func (b *bench) gate(raw string) job.Report {
	return b.rules.Evaluate(context.Background(), input(raw))
}

func kinds() []kind.Kind { return kind.Builtin() }

func dump(r job.Report) string {
	b, _ := json.MarshalIndent(r, "", "  ")
	return string(b)
}

func TestAllowed(t *testing.T) {
	b := newBench(t, nil)
	for _, raw := range []string{
		`{"payload":{"kind":"noop","params":{}}}`,
		`{"payload":{"kind":"exec","params":{"argv":["true"]}}}`,
		`{"payload":{"kind":"exec","params":{"argv":["cat","notes.md"],"cwd":"sub","env":{"LANG":"C","LC_ALL":"C"}}}}`,
		`{"payload":{"kind":"file_read","params":{"path":"sub/x.md"}}}`,
		`{"id":"a-1","priority":"high","timeout_seconds":3600,"max_retries":10,"payload":{"kind":"file_list","params":{"path":"."}}}`,
	} {
		if r := b.gate(raw); !r.Approved() || r.Verdict != job.Pass {
			t.Errorf("%s\n%s", raw, dump(r))
		}
	}
}

func kilobyte() string {
	text := ""
	for len(text) < 700 {
		text += "The quick brown fox jumps over the lazy dog. "
	}
	b, _ := json.Marshal(map[string]any{"id": "bench-1", "idempotency_key": "bench-1", "priority": 2, "timeout_seconds": 60,
		"payload": map[string]any{"kind": "exec", "params": map[string]any{"argv": []string{"true", "--note", text}, "cwd": "sub"}}})
	return string(b)
}

func BenchmarkEvaluate(b *testing.B) {
	bn := newBench(b, nil)
	in := input(kilobyte())
	if r := bn.rules.Evaluate(context.Background(), in); !r.Approved() {
		b.Fatal(dump(r))
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(in.Intake.Proposal)))
	for b.Loop() {
		bn.rules.Evaluate(context.Background(), in)
	}
}
