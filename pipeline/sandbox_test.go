package pipeline

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sheratan/sheratan/gates"
	"github.com/sheratan/sheratan/hosts/agent"
	"github.com/sheratan/sheratan/hosts/sandbox"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/pipeline/kind"
	"github.com/sheratan/sheratan/pipeline/rules"
	"github.com/sheratan/sheratan/runtime/workspace"
)

// weak is a machine without user namespaces.
var weak = sandbox.Facts{Level: sandbox.LevelRestricted, Gaps: []sandbox.Gap{
	{Primitive: "Landlock ABI 9", Lost: "at restricted, jobs have no Unix sockets"},
	{Primitive: "user namespace", Level: sandbox.LevelFull, Lost: "operation not permitted", Enable: "sysctl -w user.max_user_namespaces=10000"},
}}

func sandboxRules(minimum, level string) *rules.Rules {
	cfg := rules.DefaultConfig()
	cfg.Sandbox.Minimum, cfg.Sandbox.Level = minimum, level
	strict := gates.DefaultSource()
	strict.Sandbox = "full"
	cfg.Sources["strict"] = strict
	return &rules.Rules{Config: cfg}
}

// TestDemand: who wants more than the machine gives is told what it lacks and the line that brings it; nobody else is
// refused.
func TestDemand(t *testing.T) {
	t.Parallel()
	from := func(source string, needs ...string) (j job.Job) {
		j.Provenance.Source, j.RequiredCapabilities = source, needs
		return j
	}
	for _, c := range []struct {
		name  string
		rules *rules.Rules
		level sandbox.Level
		job   job.Job
		want  []string // nil is no refusal
	}{
		{"enough", sandboxRules("restricted", ""), sandbox.LevelRestricted, from("operator"), nil},
		{"other capabilities", sandboxRules("restricted", ""), sandbox.LevelRestricted, from("operator", "exec", "sandbox:restricted"), nil},
		{"none is allowed", sandboxRules("none", "none"), sandbox.LevelNone, from("operator"), nil},
		{"config", sandboxRules("full", ""), sandbox.LevelRestricted, from("operator"),
			[]string{"sandbox.minimum demands the sandbox level full", "this machine gives restricted", "user namespace: no level full", "sysctl -w user.max_user_namespaces"}},
		{"source", sandboxRules("restricted", ""), sandbox.LevelRestricted, from("strict"),
			[]string{"sources.strict.sandbox demands the sandbox level full", "user namespace", "sysctl"}},
		{"job", sandboxRules("restricted", ""), sandbox.LevelRestricted, from("operator", "sandbox:full"),
			[]string{"required_capabilities of the job demands the sandbox level full", "user namespace"}},
		{"level set higher", sandboxRules("restricted", "full"), sandbox.LevelFull, from("operator"),
			[]string{"sandbox.level is full, and this machine gives restricted", "user namespace", "sysctl"}},
	} {
		got := demand(c.rules, weak, c.level, c.job)
		if (got == "") != (c.want == nil) {
			t.Errorf("%s: %q", c.name, got)
		}
		for _, w := range c.want {
			if !strings.Contains(got, w) {
				t.Errorf("%s: %q does not say %q", c.name, got, w)
			}
		}
		if strings.Contains(got, "Landlock ABI 9") {
			t.Errorf("%s: what the level does not need is said to be missing: %q", c.name, got)
		}
	}
}

// TestLadder: doctor calls the sandbox bad where no program would start.
func TestLadder(t *testing.T) {
	w := newWorld(t)
	base, err := w.p.Rules(t.Context())
	w.check(err)
	for _, c := range []struct {
		minimum, level string
		status         workspace.Health
		says           string
	}{
		{"restricted", "", workspace.HealthOK, "programs run at the level restricted, and not below restricted"},
		{"none", "none", workspace.HealthWarn, "jobs run without a sandbox (level none)"},
		{"full", "", workspace.HealthBad, "no program is started: the config demands the level full, and this machine gives restricted"},
		{"restricted", "full", workspace.HealthBad, "no program is started"},
	} {
		r := *base
		r.Config.Sandbox.Minimum, r.Config.Sandbox.Level = c.minimum, c.level
		got := ladderCheck(&r, weak)
		if got.Status != c.status || !strings.Contains(got.Detail, c.says) || got.Status != workspace.HealthOK && got.Fix == "" {
			t.Errorf("%+v: %+v", c, got)
		}
	}
}

// TestDoctorNamesSockets: whoever has an agent listen in a root is told, and nobody else.
func TestDoctorNamesSockets(t *testing.T) {
	w := newWorld(t)
	r, err := w.p.Rules(t.Context())
	w.check(err)
	if got := specialChecks(r); len(got) > 0 {
		t.Fatalf("%+v", got)
	}
	root := r.Roots.Paths()[0]
	w.check(os.MkdirAll(filepath.Join(root, "a"), 0o755))
	for _, file := range []struct {
		name string
		mode uint32
	}{{"a/agent.sock", unix.S_IFSOCK}, {"a/pipe", unix.S_IFIFO}} {
		w.check(unix.Mknod(filepath.Join(root, file.name), file.mode|0o600, 0))
		checks, err := w.p.Doctor(t.Context())
		w.check(err)
		if !slices.ContainsFunc(checks, func(c workspace.Check) bool {
			return c.Status == workspace.HealthWarn && strings.Contains(c.Detail, filepath.Join(root, file.name)) && c.Fix != ""
		}) {
			t.Errorf("%s: %+v", file.name, checks)
		}
	}
}

// TestUnprotect: a rule opens to its program what it names of the settings in the roots, and no rule opens git's folder.
func TestUnprotect(t *testing.T) {
	w := newWorld(t)
	rule := func(args, more string) string {
		return `{"program":"true","args":[` + args + `],"decision":"allow"` + more + `}`
	}
	open := slices.DeleteFunc(slices.Clone(agent.Protected), func(name string) bool { return name == ".git" })
	all := `"` + strings.Join(open, `","`) + `"`
	w.check(os.WriteFile(w.ws.Config(), []byte(`{"gates":{"roots":["work"],"exec":[`+strings.Join([]string{
		rule(`"a|b|c"`, `,"write":true,"unprotect":[`+all+`]`), rule(`"b"`, `,"write":true,"unprotect":[".idea"]`), rule(`"c|d"`, `,"write":true`),
	}, ",")+`]}}`), 0o600))
	r, err := w.p.Rules(t.Context())
	w.check(err)
	for arg, want := range map[string][]string{"a": open, "b": {".idea"}, "c": {}, "d": {}} {
		params, err := json.Marshal(kind.Exec{Argv: []string{"true", arg}})
		w.check(err)
		var j job.Job
		j.Payload.Kind, j.Payload.Params = "exec", params
		if a := access(r, &caches{}, j); !a.WriteRoots || !slices.Equal(a.Unprotect, want) {
			t.Errorf("%s: %+v", arg, a)
		}
	}
	for text, says := range map[string]string{
		rule(`"a"`, `,"write":true,"unprotect":[".git"]`): "unprotect",
		rule(`"a"`, `,"unprotect":[".idea"]`):             "without \"write\": true",
	} {
		w.check(os.WriteFile(w.ws.Config(), []byte(`{"gates":{"roots":["work"],"exec":[`+text+`]}}`), 0o600))
		if _, err := rules.Load(t.Context(), w.ws, rules.Options{}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
