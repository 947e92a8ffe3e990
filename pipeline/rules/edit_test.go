package rules

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestInsertLeavesTheRestAlone(t *testing.T) {
	const rule = `{ "program": "x" }`
	for name, c := range map[string][2]string{
		"empty file":   {"{}", "{\n  \"gates\": {\n    \"exec\": [\n      RULE\n    ]\n  }\n}"},
		"no gates":     {"{\n  \"host\": {}\n}\n", "{\n  \"host\": {},\n  \"gates\": {\n    \"exec\": [\n      RULE\n    ]\n  }\n}\n"},
		"no exec":      {"{\n\t\"gates\": {\n\t\t\"roots\": [\"w\"]\n\t}\n}\n", "{\n\t\"gates\": {\n\t\t\"roots\": [\"w\"],\n\t\t\"exec\": [\n\t\t\tRULE\n\t\t]\n\t}\n}\n"},
		"empty exec":   {"{ \"gates\": { \"exec\": [] } }", "{ \"gates\": { \"exec\": [\n  RULE\n] } }"},
		"one rule":     {"{\n  \"gates\": {\n    \"exec\": [\n      { \"program\": \"y\" }\n    ]\n  }\n}", "{\n  \"gates\": {\n    \"exec\": [\n      { \"program\": \"y\" },\n      RULE\n    ]\n  }\n}"},
		"on one line":  {`{"gates":{"exec":[{"program":"y","match":[["]"]]}]},"host":{}}`, "{\"gates\":{\"exec\":[{\"program\":\"y\",\"match\":[[\"]\"]]},\n  RULE\n]},\"host\":{}}"},
		"exec not it":  {`{"exec":[1],"gates":{"kinds":{"exec":[2]},"exec":[]}}`, "{\"exec\":[1],\"gates\":{\"kinds\":{\"exec\":[2]},\"exec\":[\n  RULE\n]}}"},
		"escaped name": {`{"g\u0061tes":{"exec":[]}}`, "{\"g\\u0061tes\":{\"exec\":[\n  RULE\n]}}"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := insert([]byte(c[0]), []string{"gates", "exec"}, rule)
			if err != nil {
				t.Fatal(err)
			}
			if want := strings.Replace(c[1], "RULE", rule, 1); string(got) != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
	for _, bad := range []string{"", "[]", `{"gates":[]}`, `{"gates":{"exec":{}}}`, `{"gates":{"exec":1}}`, `{`} {
		if got, err := insert([]byte(bad), []string{"gates", "exec"}, rule); err == nil {
			t.Errorf("%s became %s", bad, got)
		}
	}
}

func TestAddExecRule(t *testing.T) {
	ws := newWorkspace(t)
	old := read(t, ws.Config())
	rule := `{"program":"true","args":["a<b"],"decision":"ask","match":[["true","a<b"]]}`
	if err := AddExecRules(t.Context(), ws, []byte(rule)); err != nil {
		t.Fatal(err)
	}
	text := read(t, ws.Config())
	added := `{ "program": "true", "args": ["a<b"], "decision": "ask", "match": [["true", "a<b"]] }`
	i := strings.Index(text, added)
	if i < 0 {
		t.Fatalf("the rule is not there:\n%s", text)
	}
	// Without the rule, and the comma and line break before it, the file is what it was.
	start := strings.LastIndex(text[:i], ",")
	if rest := text[:start] + text[i+len(added):]; rest != old {
		t.Errorf("the rest of the file has changed:\n%s", rest)
	}
	if d := mustLoad(t, ws).Gates.Exec([]string{"true", "a<b"}); d.Decision != "ask" {
		t.Errorf("%+v", d)
	}
	info, err := os.Stat(ws.Config())
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	for _, bad := range []string{`{"program":"x"}`, `{"program":"x","decision":"allow","typo":1}`, `x`, `{"program":"x","decision":"allow"} {}`} {
		if err := AddExecRules(t.Context(), ws, []byte(bad)); err == nil {
			t.Errorf("%s was added", bad)
		}
	}
	if read(t, ws.Config()) != text {
		t.Error("a refused rule changed the file")
	}
}

// TestEditLoadsFirst: rules that fit the schema and do not load are never written, nor is a good one beside a bad one.
func TestEditLoadsFirst(t *testing.T) {
	ws := newWorkspace(t)
	old := read(t, ws.Config())
	const good = `{"program":"true","args":["x"],"decision":"allow"}`
	inRoot := filepath.Join(ws.Work(), "run.sh")
	write(t, inRoot, "#!/bin/sh\n")
	if err := os.Chmod(inRoot, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]string{
		"relative path":       `{"program":"./run.sh","args":["x"],"decision":"allow"}`,
		"virtual environment": `{"program":".venv/bin/python","args":["x.py"],"decision":"allow"}`,
		"path in a root":      `{"program":"` + inRoot + `","args":["x"],"decision":"allow"}`,
		"expression":          `{"program":"true","args":["("],"decision":"allow"}`,
		"example":             `{"program":"true","args":["x"],"decision":"allow","match":[["true","y"]]}`,
		"unsafe":              `{"program":"env","args":["..."],"decision":"allow"}`,
	} {
		err := AddExecRules(t.Context(), ws, []byte(good), []byte(bad))
		var invalid *InvalidError
		if !errors.As(err, &invalid) {
			t.Errorf("%s: %v", name, err)
		}
		if read(t, ws.Config()) != old {
			t.Fatalf("%s: the config was changed", name)
		}
	}
	if err := AddExecRules(t.Context(), ws, []byte(good), []byte(`{"program":"./run.sh","args":["x"],"decision":"allow","in_root":true}`)); err != nil {
		t.Error(err)
	}
	if d := mustLoad(t, ws).Gates.Exec([]string{"./run.sh", "x"}); d.Decision != "allow" || d.Program != inRoot || !d.InRoot {
		t.Errorf("%+v", d)
	}
}

// TestProgramsLieWhereNoJobWrites: neither the program nor a link on the way to it.
func TestProgramsLieWhereNoJobWrites(t *testing.T) {
	ws := newWorkspace(t)
	outside, cache := t.TempDir(), t.TempDir()
	for _, dir := range []string{outside, cache, ws.Work(), ws.Jobs()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, dir+"/tool", "#!/bin/sh\n")
		if err := os.Chmod(dir+"/tool", 0o755); err != nil {
			t.Fatal(err)
		}
	}
	link := func(target, name string) string {
		t.Helper()
		if err := os.Symlink(target, name); err != nil {
			t.Fatal(err)
		}
		return name
	}
	hop := link(outside+"/tool", ws.Work()+"/hop")
	folder := link(outside, ws.Work()+"/folder")
	if err := Edit(t.Context(), ws, func([]byte) ([]byte, error) { return []byte(`{"sandbox":{"caches":["` + cache + `"]}}`), nil }); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		program string
		loads   bool
	}{
		{outside + "/tool", true}, // the control
		{link(outside+"/tool", outside+"/link"), true},
		{cache + "/tool", false},
		{link(cache+"/tool", outside+"/to-cache"), false},
		{link(hop, outside+"/through-root"), false},
		{link(folder+"/tool", outside+"/through-folder"), false},
		{ws.Jobs() + "/tool", false},
	} {
		err := AddExecRules(t.Context(), ws, []byte(`{"program":"`+tt.program+`","args":["x"],"decision":"allow"}`))
		if (err == nil) != tt.loads {
			t.Errorf("%s: %v", tt.program, err)
		}
	}
}

// TestSameProgram: a program is compared with what it was, without being read where nothing about it has changed.
func TestSameProgram(t *testing.T) {
	ws := newWorkspace(t)
	tool := filepath.Join(t.TempDir(), "tool")
	write(t, tool, "#!/bin/sh\n")
	if err := os.Chmod(tool, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := AddExecRules(t.Context(), ws, []byte(`{"program":"`+tool+`","args":[],"decision":"allow"}`)); err != nil {
		t.Fatal(err)
	}
	r := mustLoad(t, ws)
	d := r.Gates.Exec([]string{tool})
	if err := r.SameProgram(d.Program, d.SHA256); err != nil {
		t.Errorf("unchanged: %v", err)
	}
	write(t, tool, "#!/bin/no\n")
	var changed *ProgramChangedError
	if err := r.SameProgram(d.Program, d.SHA256); !errors.As(err, &changed) || !changed.Temporary() {
		t.Errorf("changed: %v", err)
	}
	write(t, tool, "#!/bin/sh\n")
	if err := r.SameProgram(d.Program, d.SHA256); err != nil {
		t.Errorf("as it was: %v", err)
	}
}

func TestPrettyPrintsTheSameDocument(t *testing.T) {
	for in, want := range map[string]string{
		`{"a":1}`:                  "{\n  \"a\": 1\n}",
		`{"a":{"b":[1,{"c":{}}]}}`: "{\n  \"a\": { \"b\": [1, { \"c\": {} }] }\n}",
		`{}`:                       `{}`,
		`{"a":"{\"}"}`:             "{\n  \"a\": \"{\\\"}\"\n}",
	} {
		if got := string(pretty([]byte(in))); got != want {
			t.Errorf("%s became\n%s", in, got)
		}
	}
}
