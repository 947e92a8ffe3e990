package rules

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sheratan/sheratan/gates"
	"github.com/sheratan/sheratan/hosts/sandbox"
	"github.com/sheratan/sheratan/runtime/workspace"
	"github.com/sheratan/sheratan/schemas"
)

func newWorkspace(t *testing.T) *workspace.Workspace {
	t.Helper()
	m, err := Init(workspace.InitOptions{Cwd: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return m.Workspace
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func mustLoad(t *testing.T, ws *workspace.Workspace) *Rules {
	t.Helper()
	r, err := Load(t.Context(), ws, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func TestDefaultsAreThoseOfTheDesign(t *testing.T) {
	ws := newWorkspace(t)
	write(t, ws.Config(), "{}")
	c := mustLoad(t, ws).Config
	star, operator := c.Sources["*"], c.Sources["operator"]
	for name, ok := range map[string]bool{
		"sources.*":        star.MaxJobsPerMinute == 10 && star.MaxConcurrentJobs == 5 && star.MaxPriority == "high",
		"sources.operator": operator.MaxJobsPerMinute == 0 && operator.MaxConcurrentJobs == 0 && operator.MaxPriority == "critical",
		"limits":           c.Limits.TimeoutSeconds == 3600 && c.Limits.MaxRetries == 10 && c.Limits.PayloadBytes == 262144 && c.Limits.QueueDepth == 100000,
		"kinds.allow":      strings.Join(c.Gates.Kinds.Allow, " ") == "noop exec file_read file_list",
		"kinds.manual":     strings.Join(c.Gates.Kinds.Manual, " ") == "file_write file_edit file_patch",
		"kinds.forbid":     len(c.Gates.Kinds.Forbid) == 0,
		"roots":            strings.Join(c.Gates.Roots, " ") == "work",
		"exec":             len(c.Gates.Exec) == 0,
		"host":             c.Host.MaxConcurrent == 5,
		"sandbox":          c.Sandbox.Minimum == "restricted",
	} {
		if !ok {
			t.Errorf("%s is not what the design says: %+v", name, c)
		}
	}
}

// The schema tells people the defaults; the code has them.
func TestSchemaAgreesWithDefaults(t *testing.T) {
	text, ok := schemas.Source("config")
	if !ok {
		t.Fatal("no schema of the config")
	}
	var schema map[string]any
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	defaults, err := toValue(DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	var compare func(pointer string, schema map[string]any, value any)
	compare = func(pointer string, schema map[string]any, value any) {
		if want, ok := schema["default"]; ok {
			compared++
			a, _ := json.Marshal(want)
			b, _ := json.Marshal(value)
			if !bytes.Equal(a, b) {
				t.Errorf("%s: the schema says %s, the code %s", pointer, a, b)
			}
		}
		properties, _ := schema["properties"].(map[string]any)
		object, _ := value.(map[string]any)
		for name, sub := range properties {
			v, there := object[name]
			if !there && name != "signers" && name != "max_depth" && !slices.Contains([]string{"/sandbox/level", "/host/user"}, pointer+"/"+name) {
				t.Errorf("%s/%s: is in the schema and not in the code", pointer, name)
			}
			compare(pointer+"/"+name, sub.(map[string]any), v)
		}
		for name := range object {
			if properties != nil && properties[name] == nil {
				t.Errorf("%s/%s: is in the code and not in the schema", pointer, name)
			}
		}
	}
	compare("", schema, defaults)
	if compared < 15 {
		t.Errorf("only %d defaults were compared", compared)
	}
}

func TestInitialRules(t *testing.T) {
	ws := newWorkspace(t)
	r := mustLoad(t, ws)
	minimum := `"minimum": "` + string(sandbox.Probe().Level) + `"`
	if text := read(t, ws.Config()); !json.Valid([]byte(text)) || !strings.Contains(text, minimum) {
		t.Errorf("config:\n%s", text)
	}
	for line, want := range map[string]gates.Decision{
		"true":                               gates.DecisionAllow,
		"echo a b c -n":                      gates.DecisionAllow,
		"wc -l README.md":                    gates.DecisionAllow,
		"cat ./a/b/c.txt d.md":               gates.DecisionAllow,
		"head -5 x":                          gates.DecisionAllow,
		"ls -l .":                            gates.DecisionAllow,
		"sort -n -k2 x":                      gates.DecisionAllow,
		"grep -n TODO|x.*y main.go":          gates.DecisionAllow,
		"cat /etc/passwd":                    gates.NoRule,
		"cat ../x":                           gates.NoRule,
		"cat a/../x":                         gates.NoRule,
		"cat a/..":                           gates.NoRule,
		"cat .env":                           gates.NoRule,
		"cat a/.git/config":                  gates.NoRule,
		"cat --help":                         gates.NoRule,
		"wc --files0-from=/etc/passwd":       gates.NoRule,
		"sort -o x y":                        gates.NoRule,
		"sort -ro x y":                       gates.NoRule,
		"sort --output=x":                    gates.NoRule,
		"sort --compress-program=sh x":       gates.NoRule,
		"sort -T /tmp x":                     gates.NoRule,
		"uniq in out":                        gates.NoRule,
		"date -s 2001-01-01":                 gates.NoRule,
		"date --set=2001-01-01":              gates.NoRule,
		"tail -f x":                          gates.NoRule,
		"tail --pid=1 x":                     gates.NoRule,
		"grep -f /etc/passwd x":              gates.NoRule,
		"grep -n -f/etc/passwd x":            gates.NoRule,
		"grep -r x .":                        gates.NoRule,
		"grep x /etc/passwd":                 gates.NoRule,
		"diff --to-file=/etc/passwd x":       gates.NoRule,
		"diff x /etc/passwd":                 gates.NoRule,
		"sh -c true":                         gates.NoRule,
		"find . -delete":                     gates.NoRule,
		"rm x":                               gates.NoRule,
		"sleep infinity":                     gates.NoRule,
		"git status --short":                 gates.DecisionAllow,
		"git log --oneline -5":               gates.DecisionAllow,
		"git -c core.pager=x log":            gates.NoRule,
		"git log --output=x":                 gates.NoRule,
		"git diff --ext-diff":                gates.NoRule,
		"git diff --no-index a /etc/x":       gates.NoRule,
		"git status --git-dir=/x":            gates.NoRule,
		"git push":                           gates.NoRule,
		"git config core.editor x":           gates.NoRule,
		"go vet ./...":                       gates.DecisionAllow,
		"go test -race -run=TestX ./a/...":   gates.DecisionAllow,
		"go build ./cmd/x":                   gates.DecisionAllow,
		"go run x.go":                        gates.NoRule,
		"go vet -vettool=/bin/sh":            gates.NoRule,
		"go build -toolexec=sh ./...":        gates.NoRule,
		"go build --toolexec sh ./...":       gates.NoRule,
		"go test -exec=sh ./...":             gates.NoRule,
		"go test -o x ./...":                 gates.NoRule,
		"go test -coverprofile=x ./...":      gates.NoRule,
		"go build -overlay=x ./...":          gates.NoRule,
		"go build -C .. ./...":               gates.NoRule,
		"go vet ../x":                        gates.NoRule,
		"go vet /x":                          gates.NoRule,
		"gofmt -w x.go":                      gates.NoRule,
		"python3 -c print(1)":                gates.NoRule,
		"python3 -m http.server":             gates.NoRule,
		"python3 -m unittest -v":             gates.DecisionAllow,
		"python3 -m unittest a/test_b.py":    gates.DecisionAllow,
		"python3 -m unittest code.interact":  gates.NoRule,
		"python3 -m unittest pdb.set_trace":  gates.NoRule,
		"python3 -m unittest venv.__main__":  gates.NoRule,
		"python3 -m unittest antigravity":    gates.NoRule,
		"python3 -m unittest venv.main.py":   gates.NoRule,
		"python3 -m unittest discover tests": gates.DecisionAllow,
		"python3 -m unittest discover test":  gates.NoRule,
		"python3 -m unittest discover a.b":   gates.NoRule,
		"make -f x":                          gates.NoRule,
		"make SHELL=x test":                  gates.NoRule,
	} {
		argv := strings.Fields(line)
		d := r.Gates.Exec(argv)
		if want != gates.NoRule && (d.Decision == gates.NoRule || d.Missing) {
			if _, err := exec.LookPath(argv[0]); err != nil {
				continue // this machine does not have it
			}
		}
		if d.Decision != want {
			t.Errorf("%s: %s, want %s", line, d.Decision, want)
		}
	}
	for _, p := range r.Gates.Programs() {
		if p.Path == "" || len(p.SHA256) != 64 {
			t.Errorf("%+v", p)
		}
	}
	agents := read(t, ws.Agents())
	for _, want := range []string{"`runtime/inbox/`", "relative to `work`", `"kind": "exec"`, "`wc`", ".ready.jsonl", "REQUIRE_OPERATOR_ACK", "Anything else is refused"} {
		if !strings.Contains(agents, want) {
			t.Errorf("AGENTS.md does not say %s", want)
		}
	}
	if err := exec.Command("git", "version").Run(); err == nil && !strings.Contains(agents, "`git`") {
		t.Error("git is there and has no rules")
	}
}

// A program that lies in a root could be replaced by a job.
func TestInitWritesNoRuleForAProgramInARoot(t *testing.T) {
	cfg, _ := initialConfig(workspace.At(t.TempDir()), []string{"/usr"}, nil, "")
	for _, r := range cfg.Gates.Exec {
		if strings.HasPrefix(r.Program, "/usr/") || r.Program == "git" {
			t.Errorf("%+v", r)
		}
	}
}

// ownKind is the file of a kind.
func ownKind(name, program, unsafe string) string {
	return `{"$schema":"sheratan.kind/v1","name":"` + name + `","summary":"s","argv":["` + program + `"],"effect":"none","rerun":"safe","unsafe":` + unsafe +
		`,"examples":{"match":[{"params":{},"argv":["` + program + `"]}]}}`
}

func TestLoadReportsEverythingAtOnce(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"not JSON":      {map[string]string{"config/sheratan.json": `{"limits": {`}, []string{"config/sheratan.json: "}},
		"duplicate key": {map[string]string{"config/sheratan.json": `{"host":{},"host":{}}`}, []string{`"host"`}},
		"unknown and wrong": {map[string]string{"config/sheratan.json": `{"limit": {}, "limits": {"timeout_seconds": "x"}, "sandbox": {"minimum": "low"}}`},
			[]string{"config/sheratan.json: /limit: is not a member", "/limits/timeout_seconds: is a string", `/sandbox/minimum: is "low"`}},
		"rules": {map[string]string{"config/sheratan.json": `{"gates": {"exec": [
			{"program": "true", "args": ["("], "decision": "allow"},
			{"program": "sh", "args": ["..."], "decision": "allow"}],
			"kinds": {"allow": ["nope"]}, "levels": {"NO_SUCH_CODE": "soft"}}}`},
			[]string{"config/sheratan.json: /gates/exec/0/args/0: ", "/gates/exec/1/args: ", "/gates/kinds/allow/0: ", "/gates/levels"}},
		"example": {map[string]string{"config/sheratan.json": `{"gates": {"exec": [{"program": "true", "args": [], "decision": "allow", "match": [["true", "x"]]}]}}`},
			[]string{"/gates/exec/0/match/0: "}},
		"root in config": {map[string]string{"config/sheratan.json": `{"gates": {"roots": ["config"]}}`}, []string{"/gates/roots: "}},
		"root missing":   {map[string]string{"config/sheratan.json": `{"gates": {"roots": ["nowhere"]}}`}, []string{"/gates/roots: "}},
		"policy form":    {map[string]string{"config/policies/a.json": `{"$schema":"sheratan.policy/v1","id":"a","rules":[{"id":"r","when":"true","level":"medium","message":"m"}]}`}, []string{"config/policies/a.json: /rules/0/level: "}},
		"policy rule":    {map[string]string{"config/policies/a.json": `{"$schema":"sheratan.policy/v1","id":"a","rules":[{"id":"r","when":"no.such(","level":"soft","message":"m"}]}`}, []string{"config/policies/a.json: /rules/0/when: "}},
		"own kind":       {map[string]string{"config/kinds/mine.json": `{}`}, []string{"config/kinds/mine.json: /$schema: is not"}},
		"own kinds": {map[string]string{
			"config/kinds/a.json": ownKind("a", "sheratan-no-such-program", "false"), "config/kinds/b.json": ownKind("b", "sh", "false"),
			"config/kinds/d.json": ownKind("c", "true", "false"), "config/kinds/e.json": ownKind("e", "sh", "true")},
			[]string{`config/kinds/a.json: /argv/0: "sheratan-no-such-program" is in none`, `config/kinds/b.json: /argv/0: "sh" is a shell; write out`}},
		"own kind twice": {map[string]string{"config/kinds/a.json": ownKind("a", "true", "false"), "config/kinds/b.json": ownKind("a", "true", "false")},
			[]string{`config/kinds/b.json: /name: "a" is the name of the kind in config/kinds/a.json already`}},
	} {
		t.Run(name, func(t *testing.T) {
			ws := newWorkspace(t)
			for path, text := range c.files {
				write(t, filepath.Join(ws.Root(), path), text)
			}
			_, err := Load(t.Context(), ws, Options{})
			var invalid *InvalidError
			if !errors.As(err, &invalid) {
				t.Fatalf("%v", err)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%v\ndoes not say %s", err, want)
				}
			}
			problems, _, err := Check(t.Context(), ws, Options{})
			if err != nil || len(problems) != len(invalid.Problems) || len(problems) < len(c.want)-1 {
				t.Errorf("check: %v, %v", problems, err)
			}
		})
	}
}

func TestNoPoliciesIsAnError(t *testing.T) {
	ws := newWorkspace(t)
	if err := os.RemoveAll(ws.Policies()); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(t.Context(), ws, Options{}); err == nil {
		t.Error("rules without any policy are loaded")
	}
}

func TestDigestCoversWhatDecides(t *testing.T) {
	ws := newWorkspace(t)
	tool := filepath.Join(t.TempDir(), "tool")
	write(t, tool, "#!/bin/sh\n")
	if err := os.Chmod(tool, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := AddExecRules(t.Context(), ws, []byte(`{"program":"`+tool+`","args":[],"decision":"allow"}`)); err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	note := func(what string) *Rules {
		r := mustLoad(t, ws)
		if other, ok := seen[r.Digest]; ok {
			t.Errorf("%s: the digest is that of %s", what, other)
		}
		seen[r.Digest] = what
		if r.Gates.Digest() != r.Digest || schemas.Digest(r.Document) != r.Digest {
			t.Errorf("%s: digests differ", what)
		}
		return r
	}
	r := note("the beginning")
	if again := mustLoad(t, ws); again.Digest != r.Digest || r.Changed() {
		t.Errorf("loaded twice: %s and %s, changed %t", r.Digest, again.Digest, r.Changed())
	}
	config := read(t, ws.Config())
	// Spelled otherwise, it says the same.
	write(t, ws.Config(), strings.Replace(config, `"max_concurrent": 5`, `"max_concurrent":   5`, 1))
	if same := mustLoad(t, ws); same.Digest != r.Digest {
		t.Error("white space changes the digest")
	}
	if !r.Changed() {
		t.Error("a changed config is not seen")
	}
	for what, edit := range map[string]func(){
		"config": func() {
			write(t, ws.Config(), strings.Replace(config, `"max_concurrent": 5`, `"max_concurrent": 6`, 1))
		},
		"program": func() { write(t, tool, "#!/bin/sh\nexit 1\n") },
		"prompt": func() {
			if err := os.Mkdir(ws.Prompts(), 0o700); err != nil {
				t.Fatal(err)
			}
			write(t, ws.Prompts()+"/sort.txt", "Sort this.")
		},
		"policy": func() {
			write(t, ws.Policies()+"/more.json", `{"$schema":"sheratan.policy/v1","id":"more","rules":[{"id":"r","when":"kind == 'noop'","level":"soft","message":"m"}]}`)
		},
	} {
		before := mustLoad(t, ws)
		edit()
		if !before.Changed() {
			t.Errorf("%s: the change is not seen", what)
		}
		note(what)
	}
}

func TestProgramDigestsAreRemembered(t *testing.T) {
	ws := newWorkspace(t)
	first := mustLoad(t, ws)
	cached := read(t, ws.Programs())
	if !strings.Contains(cached, first.Gates.Programs()[0].Real) {
		t.Errorf("cache: %s", cached)
	}
	for _, damage := range []func(){
		func() { write(t, ws.Programs(), "\x00garbage") },
		func() { write(t, ws.Programs(), "null") },
		func() { write(t, ws.Programs(), `{"/bin/true":{"sha256":""}}`) },
		func() { os.Remove(ws.Programs()) },
		func() { os.Remove(ws.Programs()); os.Mkdir(ws.Programs(), 0o755) },
	} {
		damage()
		if r := mustLoad(t, ws); r.Digest != first.Digest {
			t.Error("the digest changed")
		}
	}
	// A program whose file has changed is read again, whatever the cache says of the old one.
	tool := filepath.Join(t.TempDir(), "tool")
	write(t, tool, "a")
	d := &digests{known: map[string]programDigest{}, now: func() time.Time { return time.Now().Add(time.Hour) }}
	a, err := d.digest(tool)
	if err != nil || !d.changed {
		t.Fatal(err, d.changed)
	}
	write(t, tool, "b")
	if b, err := d.digest(tool); err != nil || a == b {
		t.Errorf("%s and %s, %v", a, b, err)
	}
	// One that was written just now is not remembered: another write may leave the same times.
	young := &digests{known: map[string]programDigest{}, now: time.Now}
	if _, err := young.digest(tool); err != nil || young.changed {
		t.Errorf("%v, remembered %t", err, young.changed)
	}
}

func TestLock(t *testing.T) {
	ws := newWorkspace(t)
	digest, err := Lock(t.Context(), ws, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if r := mustLoad(t, ws); r.Digest != digest {
		t.Errorf("locked %s, loaded %s", digest, r.Digest)
	}
	config := read(t, ws.Config())
	write(t, ws.Config(), strings.Replace(config, `"max_retries": 10`, `"max_retries": 11`, 1))
	refused := func(what string) {
		t.Helper()
		_, err := Load(t.Context(), ws, Options{})
		var locked *LockedError
		if !errors.As(err, &locked) || !strings.Contains(err.Error(), "sheratan config lock") {
			t.Errorf("%s: %v", what, err)
		}
		if problems, _, err := Check(t.Context(), ws, Options{}); err != nil || len(problems) != 1 {
			t.Errorf("%s: check: %v, %v", what, problems, err)
		}
	}
	refused("changed")
	if r, err := Load(t.Context(), ws, Options{Unlocked: true}); err != nil || r.Digest == digest {
		t.Errorf("unlocked: %v", err)
	}
	other := filepath.Join(t.TempDir(), "other.json")
	write(t, other, config)
	if _, err := Load(t.Context(), ws, Options{Config: other}); err != nil {
		t.Errorf("another file: %v", err)
	}
	write(t, ws.Config(), config)
	mustLoad(t, ws)
	for _, garbage := range []string{"", "{}", "x", `{"$schema":"sheratan.config-lock/v1","rules_sha256":""}`} {
		write(t, ws.ConfigLock(), garbage)
		refused("garbage " + garbage)
	}
}

func TestSettings(t *testing.T) {
	ws := newWorkspace(t)
	write(t, ws.Config(), `{"sources": {"*": {"max_jobs_per_minute": 10}, "bot": {"max_priority": "low"}}, "limits": {"max_retries": 3},
		"gates": {"exec": [{"program": "true", "decision": "allow"}]}}`)
	settings, err := mustLoad(t, ws).Settings()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]Setting{}
	for _, s := range settings {
		if s.Description == "" {
			t.Errorf("%s has no description", s.Pointer)
		}
		got[s.Pointer] = s
	}
	for pointer, want := range map[string]struct {
		value           string
		isDefault, file bool
	}{
		"/limits/max_retries":                {"3", false, true},
		"/limits/timeout_seconds":            {"3600", true, false},
		"/sources/*/max_jobs_per_minute":     {"10", true, true},
		"/sources/bot/max_priority":          {`"low"`, false, true},
		"/sources/bot/max_jobs_per_minute":   {"10", false, false},
		"/gates/exec/0":                      {`{ "program": "true", "args": null, "decision": "allow" }`, false, true},
		"/gates/roots":                       {`["work"]`, true, false},
		"/host/max_concurrent":               {"5", true, false},
		"/gates/cross_source_dependencies/0": {`{"from":"operator","to":"*"}`, true, false},
	} {
		s, ok := got[pointer]
		if !ok || string(s.Value) != want.value || s.Default != want.isDefault || s.InFile != want.file {
			t.Errorf("%s: %+v (%s), want %+v", pointer, s, s.Value, want)
		}
	}
	if _, ok := got["/sources/operator/max_priority"]; ok {
		t.Error("a source that the file left out is still there")
	}
}

func TestMissingProgramIsAWarning(t *testing.T) {
	ws := newWorkspace(t)
	if err := AddExecRules(t.Context(), ws, []byte(`{"program":"no-such-program-here","args":[],"decision":"allow"}`)); err != nil {
		t.Fatal(err)
	}
	r := mustLoad(t, ws)
	if !strings.Contains(strings.Join(r.Warnings, "\n"), "no-such-program-here") {
		t.Errorf("warnings %q", r.Warnings)
	}
	if d := r.Gates.Exec([]string{"no-such-program-here"}); !d.Missing {
		t.Errorf("%+v", d)
	}
}

// TestSharedCacheIsAWarning: what a job may leave where this user's own programs look for what they built.
func TestSharedCacheIsAWarning(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CACHE_HOME", "")
	t.Setenv("GOCACHE", home+"/go-cache")
	ws := newWorkspace(t)
	for path, shared := range map[string]bool{home + "/.cache/go-build": true, home + "/.cache": true, home + "/go-cache": true,
		home: true, home + "/jobs": false, ws.Cache() + "/go-build": false} {
		text, err := json.Marshal(map[string]any{"sandbox": map[string]any{"caches": []string{path}}})
		if err != nil {
			t.Fatal(err)
		}
		write(t, ws.Config(), string(text))
		if warned := strings.Contains(strings.Join(mustLoad(t, ws).Warnings, "\n"), "sandbox.caches: "); warned != shared {
			t.Errorf("%s: warned %t", path, warned)
		}
	}
}

func TestAbsoluteProgramMakesItsFolderSearched(t *testing.T) {
	ws := newWorkspace(t)
	dir := t.TempDir()
	for _, name := range []string{"one", "two", "cat"} {
		write(t, dir+"/"+name, "#!/bin/sh\n")
		if err := os.Chmod(dir+"/"+name, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, rule := range []string{`{"program":"` + dir + `/one","args":[],"decision":"allow"}`, `{"program":"two","args":[],"decision":"allow"}`} {
		if err := AddExecRules(t.Context(), ws, []byte(rule)); err != nil {
			t.Fatal(err)
		}
	}
	r := mustLoad(t, ws)
	if d := r.Gates.Exec([]string{"two"}); d.Program == "" || filepath.Base(d.Program) != "two" {
		t.Errorf("%+v", d)
	}
	// It comes behind the folders of the system, so it cannot put another program in the place of one of theirs.
	if d := r.Gates.Exec([]string{"cat", "x"}); strings.HasPrefix(d.Program, dir) {
		t.Errorf("%+v", d)
	}
}

func TestBucketAndLimits(t *testing.T) {
	ws := newWorkspace(t)
	write(t, ws.Config(), `{"sources": {"*": {}, "bot": {}}, "limits": {"payload_bytes": 4000000}}`)
	r := mustLoad(t, ws)
	if r.Bucket("bot") != "bot" || r.Bucket("other") != "*" || r.Bucket("*") != "*" {
		t.Error("wrong buckets")
	}
	if n := r.ParseLimits().Bytes; n < 4000000 {
		t.Errorf("a payload that is allowed cannot be read: %d", n)
	}
}

func TestDefaultsWithoutAWorkspace(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(dir+"/config", 0o755); err != nil {
		t.Fatal(err)
	}
	r, err := Defaults(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.Roots.Check("config/x"); err != nil {
		t.Errorf("a folder that only has the name of a forbidden one: %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("looking made %v, %v", left, err)
	}
}

func TestCommit(t *testing.T) {
	tree := t.TempDir()
	git := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-C", tree, "-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"}, args...)...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Skipf("git %s: %v %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	git("init", "-q")
	m, err := Init(workspace.InitOptions{Cwd: tree})
	if err != nil {
		t.Fatal(err)
	}
	if c := mustLoad(t, m.Workspace).Commit(); c != "" {
		t.Errorf("before the first commit: %q", c)
	}
	git("add", ".")
	git("commit", "-q", "-m", "x")
	head := git("rev-parse", "HEAD")
	if c := mustLoad(t, m.Workspace).Commit(); c != head {
		t.Errorf("%q, want %q", c, head)
	}
	write(t, m.Workspace.Config(), strings.Replace(read(t, m.Workspace.Config()), `"max_retries": 10`, `"max_retries": 9`, 1))
	if c := mustLoad(t, m.Workspace).Commit(); c != head+"-dirty" {
		t.Errorf("%q, want %q", c, head+"-dirty")
	}
	if files := git("ls-files"); strings.Contains(files, "runtime/") {
		t.Errorf("runtime/ is in people's git:\n%s", files)
	}
}
