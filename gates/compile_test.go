package gates_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sheratan/sheratan/gates"
	"github.com/sheratan/sheratan/gates/policy"
	"github.com/sheratan/sheratan/pipeline/job"
)

func TestCompileErrors(t *testing.T) {
	b := newBench(t, nil)
	inRoot := filepath.Join(b.dir, "work", "tool")
	inConfig := filepath.Join(b.dir, "config", "tool")
	for _, f := range []string{inRoot, inConfig} {
		if err := os.WriteFile(f, []byte("#!/bin/sh\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(t.TempDir(), "linked")
	if err := os.Symlink(inRoot, link); err != nil {
		t.Fatal(err)
	}
	rule := func(r gates.ExecRule) func(*gates.Config) {
		if r.Decision == "" {
			r.Decision = gates.DecisionAllow
		}
		return func(c *gates.Config) { c.Gates.Exec = []gates.ExecRule{r} }
	}
	rest := []string{"..."}
	tests := []struct {
		name   string
		change func(*gates.Config)
		want   string
	}{
		{"negative limit", func(c *gates.Config) { c.Limits.Depth = -1 }, "/limits/depth: -1 is negative"},
		{"source name", func(c *gates.Config) { c.Sources["../x"] = gates.DefaultSource() }, "/sources/..~1x: "},
		{"priority", func(c *gates.Config) { c.Sources["x"] = gates.Source{MaxPriority: "urgent"} }, "/sources/x/max_priority: "},
		{"signer", func(c *gates.Config) { c.Sources["x"] = gates.Source{MaxPriority: "low", Signers: []string{"me"}} }, "/sources/x/signers/0: "},
		{"kind", func(c *gates.Config) { c.Gates.Kinds.Allow = []string{"exce"} }, `/gates/kinds/allow/0: there is no kind "exce"; there are exec`},
		{"env *", func(c *gates.Config) { c.Gates.Env = []string{"*"} }, "/gates/env/0: "},
		{"env of ours", func(c *gates.Config) { c.Gates.Env = []string{"SHERATAN_JOB_ID"} }, "/gates/env/0: "},
		{"cross", func(c *gates.Config) { c.Gates.CrossSource = []gates.CrossSourceDependency{{From: "a", To: ""}} }, "/gates/cross_source_dependencies/0/to: "},
		{"marker", func(c *gates.Config) { c.Gates.Markers = []string{" \u200b "} }, "/gates/markers: "},
		{"level", func(c *gates.Config) { c.Gates.Levels["MARKER"] = "mild" }, `/gates/levels/MARKER: "mild" is none of`},
		{"level of nothing", func(c *gates.Config) { c.Gates.Levels["MARKERS"] = job.Soft }, "/gates/levels/MARKERS: there is no such reason"},
		{"level of no rule", func(c *gates.Config) { c.Gates.Levels["default/x"] = job.Soft }, "/gates/levels/default~1x: no policy"},
		{"decision", rule(gates.ExecRule{Program: "true", Decision: "maybe"}), "/gates/exec/0/decision: "},
		{"retries of what is not safe to rerun", rule(gates.ExecRule{Program: "true", Retries: &[]int{1}[0]}), "/gates/exec/0/max_retries: "},
		{"fewer retries than none", rule(gates.ExecRule{Program: "true", Rerun: "safe", Retries: &[]int{-1}[0]}), "/gates/exec/0/max_retries: "},
		{"rerun", rule(gates.ExecRule{Program: "true", Rerun: "yes"}), "/gates/exec/0/rerun: "},
		{"no program", rule(gates.ExecRule{}), "/gates/exec/0/program: is missing"},
		{"relative program", rule(gates.ExecRule{Program: "bin/true"}), "/gates/exec/0/program: "},
		{"program in a root", rule(gates.ExecRule{Program: inRoot}), "lies in a root"},
		{"link into a root", rule(gates.ExecRule{Program: link}), "lies in a root"},
		{"program in config", rule(gates.ExecRule{Program: inConfig}), "/gates/exec/0/program: "},
		{"expression", rule(gates.ExecRule{Program: "true", Args: []string{"("}}), "/gates/exec/0/args/0: "},
		{"expression that leaves its group", rule(gates.ExecRule{Program: "true", Args: []string{"a)|(b"}}), "/gates/exec/0/args/0: "},
		{"rest in the middle", rule(gates.ExecRule{Program: "true", Args: []string{"...", "x"}}), "/gates/exec/0/args/0: "},
		{"rest for a shell", rule(gates.ExecRule{Program: "sh", Args: rest}), `"sh" is a shell`},
		{"rest for a version of an interpreter", rule(gates.ExecRule{Program: "python3.99", Args: rest}), "is an interpreter"},
		{"match", rule(gates.ExecRule{Program: "true", Args: []string{"x"}, Match: [][]string{{"true", "y"}}}), "/gates/exec/0/match/0: "},
		{"match of another program", rule(gates.ExecRule{Program: "true", Args: rest, Match: [][]string{{"false"}}}), "/gates/exec/0/match/0: "},
		{"no match", rule(gates.ExecRule{Program: "true", Args: rest, NoMatch: [][]string{{"true", "y"}}}), "/gates/exec/0/no_match/0: "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := gates.DefaultConfig()
			tt.change(&cfg)
			r, err := b.compile(cfg)
			if err == nil || r != nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
	all := gates.DefaultConfig()
	all.Limits.Depth = -1
	all.Gates.Env = []string{"*"}
	if _, err := b.compile(all); err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("both faults are named in one error: %v", err)
	}
}

// TestFixedLevels lowers every reason. Those that are fixed must not load, the others must.
func TestFixedLevels(t *testing.T) {
	b := newBench(t, nil)
	for _, r := range gates.Reasons {
		cfg := b.cfg
		cfg.Gates.Levels = map[string]job.Level{r.Code: job.Advisory}
		_, err := b.compile(cfg)
		if r.Fixed != (err != nil) {
			t.Errorf("%s: fixed is %t, compile says %v", r.Code, r.Fixed, err)
		}
	}
	for _, code := range []string{"UNKNOWN_SOURCE", "SIGNATURE_INVALID", "ID_REUSED", "FORBIDDEN_KIND", "MANUAL_KIND", "TRAVERSAL", "OUTSIDE_ROOTS",
		"FORBIDDEN_PATH", "CREDENTIAL", "FIELD_NOT_SETTABLE", "SCHEMA_VIOLATION", "SYNTAX", "DUPLICATE_KEY", "GATE_ERROR"} {
		found := false
		for _, r := range gates.Reasons {
			found = found || r.Code == code && r.Fixed && !r.Waivable
		}
		if !found {
			t.Errorf("%s is not fixed, or waivable", code)
		}
	}
}

func TestLevels(t *testing.T) {
	b := newBench(t, func(c *gates.Config) {
		c.Gates.Levels = map[string]job.Level{"MARKER": job.Hard, "TIMEOUT_EXCEEDED": job.Soft, "NO_EXEC_RULE": job.Advisory, "default/deletes": job.Advisory}
	})
	for raw, want := range map[string]job.NextAction{
		execOf("true", "sudo"): job.Quarantine,
		`{"timeout_seconds":3601,"payload":{"kind":"noop","params":{}}}`: job.RequireOperatorAck,
		execOf("cat", "x"): job.Allow,
		execOf("rm", "x"):  job.RequireOperatorAck, // the exec rule asks
	} {
		if r := b.gate(raw); r.NextAction != want {
			t.Errorf("%s: %s, want %s\n%s", raw, r.NextAction, want, dump(r))
		}
	}
}

func TestNoPolicies(t *testing.T) {
	b := newBench(t, nil)
	b.files = nil
	if _, err := b.compile(b.cfg); !errors.Is(err, policy.ErrNoPolicies) {
		t.Errorf("without policies: %v", err)
	}
}

func TestSourcesFillDefaults(t *testing.T) {
	s := gates.Sources{"left": {}}
	if err := s.UnmarshalJSON([]byte(`{"a":{"max_priority":"low"},"b":{"max_jobs_per_minute":0}}`)); err != nil {
		t.Fatal(err)
	}
	a, b := s["a"], s["b"]
	if len(s) != 2 || a.MaxJobsPerMinute != 10 || a.MaxConcurrentJobs != 5 || a.MaxPriority != "low" || b.MaxJobsPerMinute != 0 || b.MaxPriority != "high" {
		t.Errorf("%+v", s)
	}
	if err := s.UnmarshalJSON([]byte(`{"a":{"max_prio":"low"}}`)); err == nil {
		t.Error("a misspelled member is accepted")
	}
}
