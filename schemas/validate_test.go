package schemas_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sheratan/sheratan/schemas"
)

func parse(t testing.TB, text string) any {
	t.Helper()
	v, err := schemas.Parse([]byte(text), schemas.DefaultLimits)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

func TestValidateProposal(t *testing.T) {
	for _, ok := range []string{
		`{"payload":{"kind":"noop","params":{}}}`,
		string(proposal),
		`{"payload":{"kind":"noop","params":{}},"priority":0,"timeout_seconds":1.0,"max_retries":0,"source":"anything goes"}`,
	} {
		if found := schemas.Validate("proposal", parse(t, ok)); found != nil {
			t.Errorf("%s: %v", ok, found)
		}
	}
	payload := `"payload":{"kind":"noop","params":{}}`
	tests := []struct {
		text string
		want []string // pointer, keyword, part of the message
	}{
		{`[]`, []string{"|type|is an array, an object is expected"}},
		{`null`, []string{"|type|is null, an object"}},
		{`{}`, []string{`|required|"payload" is missing: What to do`}},
		{`{` + payload + `,"status":"completed","a/b~":1}`, []string{
			`/a~1b~0|additionalProperties|is not a member of this object, which may have $schema, concurrency_key, depends_on, id`,
			`/status|additionalProperties|is not a member`}},
		{`{"payload":{"kind":"noop","params":[],"x":1}}`, []string{
			`/payload/params|type|is an array, an object`, `/payload/x|additionalProperties|which may have kind, params`}},
		{`{"payload":{}}`, []string{`/payload|required|"kind" is missing`, `/payload|required|"params" is missing`}},
		{`{` + payload + `,"id":"../x"}`, []string{`/id|pattern|"../x" does not fit: An identifier: 1 to 64`}},
		{`{` + payload + `,"id":"x.json"}`, []string{`/id|not|is not allowed here: An identifier`}},
		{`{` + payload + `,"id":"x.jsonl"}`, []string{`/id|not|is not allowed here`}},
		{`{` + payload + `,"idempotency_key":""}`, []string{`/idempotency_key|pattern|"" does not fit`}},
		{`{` + payload + `,"task_id":7}`, []string{`/task_id|type|is a number, a string`}},
		{`{` + payload + `,"mission_id":"` + strings.Repeat("m", 65) + `"}`, []string{`/mission_id|pattern|"mmm`}},
		{`{` + payload + `,"priority":"urgent"}`, []string{`/priority|enum|is "urgent", one of 0, 1, 2, 3, "critical", "high", "normal", "low" is expected`}},
		{`{` + payload + `,"priority":4}`, []string{`/priority|enum|is 4,`}},
		{`{` + payload + `,"timeout_seconds":0}`, []string{`/timeout_seconds|minimum|is 0, at least 1 is expected`}},
		{`{` + payload + `,"timeout_seconds":1.5}`, []string{`/timeout_seconds|type|is a number, an integer`}},
		{`{` + payload + `,"timeout_seconds":1e300}`, []string{`/timeout_seconds|maximum|is 1e+300, at most 31536000 is allowed`}},
		{`{` + payload + `,"timeout_seconds":"60"}`, []string{`/timeout_seconds|type|is a string, an integer`}},
		{`{` + payload + `,"max_retries":-1}`, []string{`/max_retries|minimum|at least 0`}},
		{`{` + payload + `,"retry_backoff":"none"}`, []string{`/retry_backoff|enum|one of "exponential", "linear"`}},
		{`{` + payload + `,"depends_on":["a","b","a"]}`, []string{`/depends_on|uniqueItems|items at index 0 and 2 are equal`}},
		{`{` + payload + `,"depends_on":["a",{"x":1}]}`, []string{`/depends_on/1|type|is an object, a string`}},
		{`{` + payload + `,"required_capabilities":["go 1.26"]}`, []string{`/required_capabilities/0|pattern|A capability: 1 to 64`}},
		{`{` + payload + `,"$schema":"sheratan.proposal/v2"}`, []string{`/$schema|const|is "sheratan.proposal/v2", "sheratan.proposal/v1" is expected`}},
		{`{` + payload + `,"source":"` + strings.Repeat("é", 257) + `"}`, []string{`/source|maxLength|has 257 characters, at most 256`}},
		{`{` + payload + `,"\u202e%41":1}`, []string{"/\u202e%41|additionalProperties|"}},
	}
	for _, test := range tests {
		check(t, test.text, schemas.Validate("proposal", parse(t, test.text)), test.want)
	}
}

func check(t *testing.T, what string, found []schemas.Violation, want []string) {
	t.Helper()
	ok := len(found) == len(want)
	for i := 0; ok && i < len(want); i++ {
		part := strings.SplitN(want[i], "|", 3)
		ok = found[i].Pointer == part[0] && found[i].Keyword == part[1] && strings.Contains(found[i].Message, part[2])
	}
	if !ok {
		t.Errorf("%s\n got %q\nwant %q", what, found, want)
	}
}

func TestValidateIsStableAndBounded(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"payload":{"kind":"noop","params":{}}`)
	for i := range 5000 {
		fmt.Fprintf(&b, `,"x%d":%d`, i, i)
	}
	b.WriteString("}")
	v := parse(t, b.String())
	first := schemas.Validate("proposal", v)
	if len(first) != schemas.MaxViolations || first[len(first)-1].Message != "and 4901 more" {
		t.Errorf("%d violations, the last %v", len(first), first[len(first)-1])
	}
	for range 3 {
		if again := schemas.Validate("proposal", v); !slices.Equal(first, again) {
			t.Fatal("the violations come in another order")
		}
	}
}

// TestValidateLongList makes sure that a list far too long costs no more than reading it.
func TestValidateLongList(t *testing.T) {
	v := parse(t, `{"payload":{"kind":"noop","params":{}},"depends_on":[`+strings.Repeat("1,", 500_000)+`1]}`)
	start := time.Now()
	found := schemas.Validate("proposal", v)
	if took := time.Since(start); took > 1500*time.Millisecond {
		t.Errorf("took %v", took)
	}
	if len(found) != schemas.MaxViolations || found[0].Message != "has 500001 items, at most 1024 are allowed" {
		t.Errorf("%d violations, first %q", len(found), found[0])
	}
}

func TestValidateForms(t *testing.T) {
	const provenance = `"provenance":{"zone":"inbox","source":"inbox","owner_uid":0,"token":"t","depth":0}`
	const head = `{"$schema":"sheratan.intake/v1","job_id":"a","received_at":"2026-01-02T03:04:05.000006Z",` + provenance
	if found := schemas.Validate("intake", parse(t, head+`,"proposal":[1]}`)); found != nil {
		t.Error(found)
	}
	check(t, "neither", schemas.Validate("intake", parse(t, head+`}`)),
		[]string{`|oneOf|has none of the allowed forms: "proposal" is missing`})
	check(t, "both", schemas.Validate("intake", parse(t, head+`,"proposal":1,"raw":{"sha256":"","bytes":0}}`)),
		[]string{`|oneOf|`, `/raw/sha256|pattern|"" does not fit: A SHA-256`})
	check(t, "no such schema", schemas.Validate("proposals", nil), []string{`|schema|proposals: no such schema, there are audit-report, audit-request, bids, config`})
	check(t, "not a tree", schemas.Validate("proposal", map[string]any{"payload": struct{}{}}), []string{`|schema|cannot be checked`})
	check(t, "names", schemas.Validate("config", parse(t, `{"sources":{"a b":{}},"limits":{"depth":-1}}`)),
		[]string{`/limits/depth|minimum|at least 0`, `/sources/a b|pattern|"a b" does not fit: The name of a source`})
}

// TestConfigExample takes the part of the configuration that the design shows.
func TestConfigExample(t *testing.T) {
	found := schemas.Validate("config", parse(t, `{ "$schema": "sheratan.config/v1",
  "sources": { "*": { "max_jobs_per_minute": 10, "max_concurrent_jobs": 5, "max_priority": "high" },
               "operator": { "max_jobs_per_minute": 0, "max_concurrent_jobs": 0, "max_priority": "critical" } },
  "limits":  { "timeout_seconds": 3600, "max_retries": 10, "payload_bytes": 262144, "queue_depth": 100000 },
  "gates":   { "kinds": { "allow": ["noop", "exec", "file_read", "file_list"], "manual": ["file_write", "file_edit", "file_patch"],
                          "forbid": [] },
               "roots": ["work"],
               "env": ["LANG", "LC_*"], "levels": {"MARKER": "soft"}, "markers": ["sudo"],
               "cross_source_dependencies": [{"from": "operator", "to": "*"}],
               "exec":  [ { "program": "go", "args": ["vet|test|build", "..."], "decision": "allow", "rerun": "safe",
                            "match": [["go", "vet", "./..."]], "no_match": [["go", "run", "x.go"]] } ] },
  "host":    { "max_concurrent": 5 },
  "sandbox": { "minimum": "restricted" },
  "operators": { "scripts": false } }`))
	if found != nil {
		t.Error(found)
	}
}

func TestCompileErrors(t *testing.T) {
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		fmt.Fprint(w, `{}`)
	}))
	defer server.Close()
	file := filepath.Join(t.TempDir(), "other.json")
	if err := os.WriteFile(file, []byte(`{}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for schema, want := range map[string]string{
		`{"type":`:                        "k: ends too early",
		`{"type":1,"type":2}`:             "k: duplicate key",
		`{"type":"strin"}`:                "k: not a JSON Schema: /type",
		`{"pattern":"(?!x)"}`:             "k: not a JSON Schema",
		`{"minLength":-1}`:                "k: not a JSON Schema: /minLength",
		`[]`:                              "k: ",
		`"x"`:                             "k: ",
		`{"$ref":"` + server.URL + `/x"}`: "only references into the schema itself",
		`{"$ref":"file://` + file + `"}`:  "only references into the schema itself",
		`{"$ref":"other.json"}`:           "only references into the schema itself",
		`{"$ref":"#/$defs/none"}`:         "k: ",
		`{"$ref":"#"}`:                    "infinite loop",
		`{"allOf":[{"$ref":"#/$defs/a"}],"$defs":{"a":{"allOf":[{"$ref":"#"}]}}}`: "infinite loop",
		`{"$schema":"http://json-schema.org/draft-07/schema#"}`:                   "only \"https://json-schema.org/draft/2020-12/schema\"",
	} {
		s, err := schemas.Compile("k", []byte(schema))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "sheratan:///") {
			t.Errorf("%s: %v, %v, want …%s…", schema, s, err, want)
		}
	}
	if asked != 0 {
		t.Errorf("the network was asked %d times", asked)
	}
	s, err := schemas.Compile("k", []byte(`{"$defs":{"n":{"type":"object","properties":{"next":{"$ref":"#/$defs/n"}}}},"$ref":"#/$defs/n"}`))
	if err != nil {
		t.Fatal(err)
	}
	check(t, "recursive", s.Validate(parse(t, `{"next":{"next":{"next":1}}}`)), []string{"/next/next/next|type|"})
}

func BenchmarkCompile(b *testing.B) {
	src, _ := schemas.Source("proposal")
	for b.Loop() {
		if _, err := schemas.Compile("proposal", src); err != nil {
			b.Fatal(err)
		}
	}
}
