package kind_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sheratan/sheratan/pipeline/kind"
	"github.com/sheratan/sheratan/schemas"
)

// TestDocumentedKind tries the example of docs/KINDS.md.
func TestDocumentedKind(t *testing.T) {
	text, err := os.ReadFile("../../docs/KINDS.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "```json\n")
	example, _, closed := strings.Cut(rest, "```")
	if !ok || !closed {
		t.Fatal("there is no example")
	}
	if k, faults := kind.ParseFile([]byte(example)); len(faults) > 0 || k.Name != "word-count" || k.Examples() != 6 {
		t.Errorf("%s, %d examples: %v", k.Name, k.Examples(), faults)
	}
}

// TestShippedKinds reads the kinds that init writes, with their examples.
func TestShippedKinds(t *testing.T) {
	files, err := filepath.Glob("../rules/kinds/*.json")
	if err != nil || len(files) != 5 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		k, faults := kind.ParseFile(text)
		if len(faults) > 0 || k.Name+".json" != filepath.Base(name) || k.Examples() < 4 {
			t.Errorf("%s: %s, %d examples: %v", name, k.Name, k.Examples(), faults)
		}
	}
}

// say is a kind with one parameter of text; the arguments replace parts of it, old and new in turn.
func say(changes ...string) string {
	return strings.NewReplacer(changes...).Replace(`{"$schema": "sheratan.kind/v1", "name": "say", "summary": "says something",
  "argv": ["echo", "--text={text}"],
  "params": {"type": "object", "additionalProperties": false, "required": ["text"], "properties": {"text": {"description": "It.", "type": "string"}}},
  "effect": "none", "rerun": "safe",
  "examples": {"match": [{"params": {"text": "-x"}, "argv": ["echo", "--text=-x"]}], "no_match": [{}]}}`)
}

// TestKindFaults changes one thing at a time: each is found, with its place.
func TestKindFaults(t *testing.T) {
	if _, faults := kind.ParseFile([]byte(say())); len(faults) > 0 {
		t.Fatalf("the negative control: %v", faults)
	}
	for _, c := range []struct {
		text    string
		pointer string
		message string
	}{
		{`{`, "", ""},
		{`[]`, "", ""},
		{say("sheratan.kind/v1", "sheratan.kind/v2"), "/$schema", "sheratan.kind/v1"},
		{say(`"rerun": "safe",`, ""), "", "rerun"},
		{say(`"rerun": "safe",`, `"rerun": "never", "max_retries": 1,`), "/max_retries", "safe"},
		{say(`"rerun": "safe",`, `"rerun": "safe", "max_retries": -1,`), "/max_retries", ""},
		{say(`"rerun": "safe",`, `"rerun": "safe", "shell": true,`), "/shell", "not a member"},
		{say(`"name": "say"`, `"name": "exec"`), "/name", "built-in"},
		{say(`"name": "say"`, `"name": "llm"`), "/name", "built-in"},
		{say(`["echo", "--text={text}"]`, `["{text}"]`), "/argv/0", "never a parameter"},
		{say(`["echo", "--text={text}"]`, `["./echo", "--text={text}"]`), "/argv/0", "clean absolute path"},
		{say(`"--text={text}"]`, `"{text}"]`), "/argv/1", "taken for an option"},
		{say(`"--text={text}"]`, `"-t{text}"]`), "/argv/1", "another option"},
		{say(`"--text={text}"]`, `"--text={text}{text}"]`), "/argv/1", "all of an argument"},
		{say(`"--text={text}"]`, `"--text={other}"]`), "/argv/1", "no parameter"},
		{say(`"--text={text}"]`, `"--text=x"]`), "/params/properties/text", "does not use it"},
		{say(`"--text={text}"]`, `{"if": "text", "then": ["--"]}, "{text}"]`), "/argv/2", "taken for an option"},
		{say(`"type": "string"`, `"type": "string", "pattern": "^a|b$"`), "/params/properties/text/pattern", "may match a part"},
		{say(`"type": "string"`, `"type": "string", "pattern": "(["`), "/params/properties/text", ""},
		{say(`"type": "string"`, `"type": "integer", "enum": ["a"]`), "/params/properties/text", "type string"},
		{say(`"type": "string"`, `"type": "array"`), "/params/properties/text", "items"},
		{say(`"type": "string"`, `"type": "string", "default": "x"`), "/params/properties/text/default", "required"},
		{say(`"effect"`, `"paths": ["/none"], "effect"`), "/paths/0", "no parameter"},
		{say(`"effect"`, `"env": {"PATH": "/tmp"}, "effect"`), "/env/PATH", "set by Sheratan"},
		{say(`"effect"`, `"limits": {"timeout_seconds": 9, "max_timeout_seconds": 3}, "effect"`), "/limits/timeout_seconds", "more than"},
		{say(`["echo", "--text=-x"]}]`, `["echo", "--text=-y"]}]`), "/examples/match/0", "the example says"},
		{say(`{"text": "-x"}`, `{"text": 1}`), "/examples/match/0", "refused"},
		{say(`[{}]`, `[{"text": "fine"}]`), "/examples/no_match/0", "not refused"},
	} {
		_, faults := kind.ParseFile([]byte(c.text))
		if !slices.ContainsFunc(faults, func(f kind.Fault) bool {
			return strings.HasPrefix(f.Pointer, c.pointer) && strings.Contains(f.Pointer+" "+f.Message, c.message)
		}) {
			t.Errorf("%s\n%v, want %s: %s", c.text, faults, c.pointer, c.message)
		}
	}
}

// FuzzKindFile never panics, and what it lets through fills in without a panic.
func FuzzKindFile(f *testing.F) {
	f.Add(say(), `{"text":"a"}`)
	f.Add(say(`"--text={text}"`, `"--", "{text}"`), `{"text":"\n"}`)
	f.Fuzz(func(t *testing.T, file, params string) {
		k, faults := kind.ParseFile([]byte(file))
		v, err := schemas.Parse([]byte(params), schemas.Limits{})
		object, ok := v.(map[string]any)
		if len(faults) > 0 || err != nil || !ok {
			return
		}
		cmd, err := k.Fill(object)
		if err == nil && len(cmd.Argv) != len(cmd.From) {
			t.Fatalf("%q from %q", cmd.Argv, cmd.From)
		}
	})
}
