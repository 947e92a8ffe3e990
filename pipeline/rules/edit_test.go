package rules

import (
	"os"
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
	if err := AddExecRule(ws.Config(), []byte(rule)); err != nil {
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
		if err := AddExecRule(ws.Config(), []byte(bad)); err == nil {
			t.Errorf("%s was added", bad)
		}
	}
	if read(t, ws.Config()) != text {
		t.Error("a refused rule changed the file")
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
