package schemas

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// documents that fit their schema; the tests below change them at random.
var fitting = map[string][]string{
	"proposal": {
		`{"payload":{"kind":"noop","params":{}}}`,
		`{"$schema":"sheratan.proposal/v1","id":"a","idempotency_key":"k","source":"é","priority":"high","timeout_seconds":60,
		  "max_retries":0,"retry_backoff":"linear","depends_on":["b","c"],"required_capabilities":["go","gpu:0"],"task_id":"t",
		  "mission_id":"m","payload":{"kind":"exec","params":{"argv":["true"]}}}`,
	},
	"result": {`{"$schema":"sheratan.result/v1","job_id":"a","status":"completed","attempt":1,"exit_code":0,"host":"local",
		"sandbox":"none","started_at":"2026-01-02T03:04:05.000006Z","completed_at":"","duration_ms":1,"cpu_ms":0,"max_rss_bytes":1,
		"signal":"","error":"","retryable":false,"programs":["a b"],"stdout":{"text":"x","bytes":1,"sha256":"","path":"p","truncated":false},
		"stderr":{"text":"","bytes":0,"sha256":"","path":"","truncated":false}}`},
	"report": {`{"$schema":"sheratan.report/v1","job_id":"a","document_sha256":"","rules_sha256":"","verdict":"FAIL",
		"next_action":"QUARANTINE","gates":[{"gate_id":"G1","status":"FAIL","severity":"high","reasons":[{"code":"X_1","message":"m",
		"pointer":"/a","level":"hard","waivable":false}],"evidence":{"a":[1]},"suggestions":[{"op":"replace","path":"/a","value":1}],
		"next_action":"QUARANTINE"}]}`},
	"config": {`{"sources":{"*":{"max_jobs_per_minute":0,"max_priority":"low"}},"gates":{"exec":[{"program":"go","args":["vet","..."],
		"decision":"allow","match":[["go","vet"]]}],"env":["LC_*"],"levels":{"X":"soft"}},"host":{"max_concurrent":5}}`},
	"event": {`{"v":1,"seq":0,"id":"x","timestamp":"2026-01-02T03:04:05.000006Z","actor":"gate","event":"TICK","job_id":"","trace_id":"",
		"zone":"","artifact_path":"","artifact_sha256":"","meta":{},"prev":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}`},
}

// others are values that are wrong nearly everywhere, and right now and then.
var others = []any{nil, true, "", "a", "x.json", "../a", "é", "\x00", "local", json.Number("0"), json.Number("1"), json.Number("-1"),
	json.Number("1.5"), json.Number("1e+21"), json.Number("31536001"), []any{}, []any{"a", "a"}, []any{"a", nil}, map[string]any{},
	map[string]any{"kind": "noop"}, map[string]any{"a": "b"}}

// TestAcceptor compares the short way with the library: it must never accept what the library refuses, and has to accept
// the documents that it was made for.
func TestAcceptor(t *testing.T) {
	for name, texts := range fitting {
		s, err := Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		if s.fast == nil {
			t.Fatalf("%s: the schema is not simple enough for the short way", name)
		}
		for _, text := range texts {
			v, err := Parse([]byte(text), DefaultLimits)
			if err != nil {
				t.Fatal(err)
			}
			if !s.fast.accepts(v) {
				t.Errorf("%s: takes the long way: %s", name, text)
			}
			t.Run(name, rapid.MakeCheck(func(t *rapid.T) {
				changed := mutate(t, v)
				for range rapid.IntRange(0, 2).Draw(t, "more") {
					changed = mutate(t, changed)
				}
				compareWithLibrary(t, s, changed)
			}))
		}
	}
}

// TestAcceptorOfKinds makes sure that params take the short way too.
func TestAcceptorOfKinds(t *testing.T) {
	params := map[string]string{
		"noop": `{}`, "exec": `{"argv":["a","b"],"cwd":"c","env":{"A":"1"},"stdin":"x"}`, "file_read": `{"path":"a","max_bytes":1}`,
		"file_list": `{"path":"a","recursive":true}`, "file_write": `{"path":"a","content":"x","mode":"append"}`,
		"file_edit": `{"path":"a","old":"x","new":"y"}`, "file_patch": `{"path":"a","diff":"x"}`, "llm": `{"model":"m","prompt":"p","prompt_name":"n","system":"s","schema":{"type":"object"}}`,
	}
	// The files are read, because package kind imports this one.
	files, err := filepath.Glob("../pipeline/kind/*.schema.json")
	if err != nil || len(files) != len(params) {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), suffix)
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Compile(name, text)
		if err != nil {
			t.Fatal(err)
		}
		v, err := Parse([]byte(params[name]), DefaultLimits)
		if err != nil || s.fast == nil || !s.fast.accepts(v) {
			t.Errorf("%s: takes the long way: %v", name, err)
		}
	}
}

// TestAcceptorKeywords does the same with schemas made at random.
func TestAcceptorKeywords(t *testing.T) {
	accepted, long := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		text, err := Marshal(schemaGen(2).Draw(t, "schema"))
		if err != nil {
			t.Fatal(err)
		}
		s, err := Compile("random", text)
		if err != nil {
			t.Skip(err) // such as minimum 1.5 for an integer
		}
		for range 5 {
			v := valueGen(3).Draw(t, "value")
			switch compareWithLibrary(t, s, v) {
			case true:
				accepted++
			default:
				long++
			}
		}
	})
	if accepted < 50 || long < 50 {
		t.Errorf("%d took the short way, %d the long one: the test compares nothing", accepted, long)
	}
}

func compareWithLibrary(t *rapid.T, s *Schema, v any) bool {
	err := s.root.Validate(v)
	if s.fast == nil {
		return false
	}
	accepted := s.fast.accepts(v)
	if accepted && err != nil {
		text, _ := Marshal(v)
		t.Fatalf("accepted %s, but %#v", text, err)
	}
	if trimmed := s.root.Validate(s.fast.trim(v)); (trimmed == nil) != (err == nil) {
		t.Fatalf("trimmed: %#v, as it is: %#v", trimmed, err)
	}
	return accepted
}

// mutate returns a copy of v in which one place is different.
func mutate(t *rapid.T, v any) any {
	switch v := v.(type) {
	case map[string]any:
		if len(v) == 0 || rapid.IntRange(0, 3).Draw(t, "here") == 0 {
			break
		}
		copied := maps.Clone(v)
		key := rapid.SampledFrom(slices.Sorted(maps.Keys(v))).Draw(t, "key")
		switch rapid.IntRange(0, 5).Draw(t, "how") {
		case 0:
			delete(copied, key)
		case 1:
			copied[rapid.SampledFrom([]string{"x", "a b", "status", ""}).Draw(t, "new")] = nil
		default:
			copied[key] = mutate(t, v[key])
		}
		return copied
	case []any:
		if len(v) == 0 || rapid.IntRange(0, 3).Draw(t, "here") == 0 {
			break
		}
		copied := slices.Clone(v)
		i := rapid.IntRange(0, len(v)-1).Draw(t, "i")
		copied[i] = mutate(t, v[i])
		return copied
	}
	return rapid.SampledFrom(others).Draw(t, "other")
}

func valueGen(depth int) *rapid.Generator[any] {
	scalars := rapid.SampledFrom(others)
	if depth == 0 {
		return scalars
	}
	return rapid.OneOf(scalars,
		rapid.Map(rapid.SliceOfN(valueGen(depth-1), 0, 3), func(l []any) any { return l }),
		rapid.Map(rapid.MapOfN(rapid.SampledFrom([]string{"a", "b", "é", ""}), valueGen(depth-1), 0, 3), func(m map[string]any) any { return m }))
}

// schemaGen makes schemas of the keywords that acceptors know, and of some that they do not.
func schemaGen(depth int) *rapid.Generator[map[string]any] {
	return rapid.Custom(func(t *rapid.T) map[string]any {
		number := rapid.SampledFrom([]any{0, 1, -1, 2, 1.5})
		count := rapid.IntRange(0, 3)
		keywords := map[string]func() any{
			"type": func() any {
				return rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"string", "number", "integer", "object", "array", "boolean", "null"}), 1, 3, rapid.ID[string]).Draw(t, "types")
			},
			"const":         func() any { return rapid.SampledFrom(others).Draw(t, "const") },
			"enum":          func() any { return rapid.SliceOfN(rapid.SampledFrom(others[:9]), 1, 3).Draw(t, "enum") },
			"minimum":       func() any { return number.Draw(t, "n") },
			"maximum":       func() any { return number.Draw(t, "n") },
			"multipleOf":    func() any { return 2 },
			"minLength":     func() any { return count.Draw(t, "n") },
			"maxLength":     func() any { return count.Draw(t, "n") },
			"minItems":      func() any { return count.Draw(t, "n") },
			"maxItems":      func() any { return count.Draw(t, "n") },
			"minProperties": func() any { return count.Draw(t, "n") },
			"maxProperties": func() any { return count.Draw(t, "n") },
			"uniqueItems":   func() any { return rapid.Bool().Draw(t, "unique") },
			"pattern":       func() any { return "^[a-z]*$" },
			"format":        func() any { return "email" },
			"required":      func() any { return []string{"a"} },
			"not":           func() any { return map[string]any{"pattern": "json$"} },
		}
		if depth > 0 {
			sub := func() any { return schemaGen(depth-1).Draw(t, "sub") }
			keywords["properties"] = func() any { return map[string]any{"a": sub(), "é": sub()} }
			keywords["additionalProperties"] = func() any { return rapid.SampledFrom([]any{true, false, sub()}).Draw(t, "additional") }
			keywords["propertyNames"] = sub
			keywords["items"] = sub
			keywords["prefixItems"] = func() any { return []any{sub()} }
			keywords["allOf"] = func() any { return []any{sub(), sub()} }
			keywords["anyOf"] = func() any { return []any{sub(), sub()} }
			keywords["$defs"] = func() any { return map[string]any{"d": sub()} }
		}
		names := slices.Sorted(maps.Keys(keywords))
		schema := map[string]any{}
		for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom(names), 0, 4, rapid.ID[string]).Draw(t, "keywords") {
			schema[name] = keywords[name]()
		}
		return schema
	})
}
