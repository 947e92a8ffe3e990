package policy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/pipeline/kind"
	"github.com/sheratan/sheratan/schemas"
)

func view(name string, params map[string]any) (paths, argv []string) {
	k, _ := kind.Lookup(name)
	return k.View(params)
}

func subject(t testing.TB, raw string, prov job.Provenance) *Subject {
	t.Helper()
	v, err := parseObject([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	return NewSubject(v, prov, view)
}

func TestDefaultLoads(t *testing.T) {
	f, err := Parse("default.json", Default())
	if err != nil {
		t.Fatal(err)
	}
	s, err := Compile([]File{f}, view)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.IDs()) != len(f.Rules) || s.IDs()[0] != "default/"+f.Rules[0].ID {
		t.Errorf("%v", s.IDs())
	}
	for _, r := range f.Rules {
		if len(r.Match) == 0 || len(r.NoMatch) == 0 {
			t.Errorf("%s has no examples", r.ID)
		}
	}
	outcomes, err := Test(f, view)
	if err != nil || len(outcomes) < 20 {
		t.Errorf("%d outcomes, %v", len(outcomes), err)
	}
	if v, err := schemas.Parse(Default(), schemas.DefaultLimits); err != nil {
		t.Error(err)
	} else if _, ok := schemas.Source("policy"); ok {
		if x := schemas.Validate("policy", v); len(x) > 0 {
			t.Error(x)
		}
	}
}

func TestParse(t *testing.T) {
	rule := `{"id":"r","when":"true","level":"soft","message":"m"%s}`
	file := func(rules string) string {
		return `{"$schema":"sheratan.policy/v1","id":"p","rules":[` + rules + `]}`
	}
	if _, err := Parse("f", []byte(file(fmt.Sprintf(rule, "")))); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		`{`: "f: ", `{"$schema":"x","id":"p","rules":[]}`: "f: /$schema: ", `{"$schema":"sheratan.policy/v1","id":"../p","rules":[]}`: "f: /id: ",
		file(`{"id":"r","when":"true","level":"soft","message":"m","wen":1}`):                                                 "wen",
		file(`{"id":"r","level":"soft","message":"m"}`):                                                                       "f: /rules/0/when: ",
		file(`{"id":"r","when":"true","level":"soft"}`):                                                                       "f: /rules/0/message: ",
		file(`{"id":"r","when":"true","level":"mild","message":"m"}`):                                                         "f: /rules/0/level: ",
		file(`{"id":"r","when":"true","level":"hard","message":"m","waivable":true}`):                                         "f: /rules/0/waivable: ",
		file(fmt.Sprintf(rule, `,"pointer":"payload"`)):                                                                       "f: /rules/0/pointer: ",
		file(fmt.Sprintf(rule, "") + "," + fmt.Sprintf(rule, "")):                                                             "f: /rules/1/id: ",
		file(`{"id":"r","when":"true","level":"soft","message":"m"},{"id":"R r","when":"true","level":"soft","message":"m"}`): "f: /rules/1/id: ",
	} {
		if _, err := Parse("f", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n%v, want %q", text, err, want)
		}
	}
}

func one(when string, examples ...string) File {
	r := Rule{ID: "r", When: when, Level: job.Soft, Message: "m"}
	for _, e := range examples {
		if text, ok := strings.CutPrefix(e, "not "); ok {
			r.NoMatch = append(r.NoMatch, json.RawMessage(text))
		} else {
			r.Match = append(r.Match, json.RawMessage(e))
		}
	}
	return File{Schema: Schema, ID: "p", Rules: []Rule{r}}
}

func TestCompile(t *testing.T) {
	const e = `{"payload":{"kind":"exec","params":{"argv":["a"]}}}`
	for _, f := range []File{
		one(`kind == 'exec' && argv[0] == 'a'`, e, `not {"payload":{"kind":"noop","params":{}}}`),
		one(`source == 'ci'`, `{"source":"ci","proposal":`+e+`}`, "not "+e),
		one(`provenance.zone == 'output' && provenance.depth > 1`, `{"provenance":{"zone":"output","depth":2},"proposal":`+e+`}`, "not "+e),
		one(`params.argv.size() == 1 && proposal.payload.kind == kind`, e),
		one(`'x/y' in paths`, `{"payload":{"kind":"file_read","params":{"path":"./x//z/../y"}}}`),
		one(`proposal.timeout_seconds > 5`, `{"timeout_seconds":6,"payload":{"kind":"noop","params":{}}}`),
	} {
		if _, err := Compile([]File{f}, view); err != nil {
			t.Errorf("%s: %v", f.Rules[0].When, err)
		}
	}
	for _, tt := range []struct {
		file File
		want string
	}{
		{one(`kind = 'exec'`), "p: /rules/0/when: "},
		{one(`kynd == 'exec'`), "undeclared reference"},
		{one(`kind`), "is of type string"},
		{one(`params.x`), "is of type dyn"},
		{one(`kind == 'noop'`, e), "p: /rules/0/match/0: the rule is false of this example"},
		{one(`kind == 'exec'`, e, "not "+e), "p: /rules/0/no_match/0: the rule is true of this example"},
		{one(`params.x == 1`, "not "+e), "p: /rules/0/no_match/0: no such key"},
		{one(`true`, `{"argv":["a"]}`), "p: /rules/0/match/0: is no proposal"},
		{one(`true`, `7`), "p: /rules/0/match/0: "},
		{one(strings.Repeat("!", 9000) + "true"), "p: /rules/0/when: "},
		{one(strings.Repeat("(", 3000) + "true" + strings.Repeat(")", 3000)), "p: /rules/0/when: "},
	} {
		if _, err := Compile([]File{tt.file}, view); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%.80s: %v, want %q", tt.file.Rules[0].When, err, tt.want)
		}
	}
	off := one("true")
	off.Disabled = true
	if _, err := Compile([]File{off}, view); !errors.Is(err, ErrNoPolicies) {
		t.Errorf("only a disabled policy: %v", err)
	}
	if _, err := Compile([]File{one("true"), one("false")}, view); err == nil || !strings.Contains(err.Error(), "same id") {
		t.Errorf("two policies of one id: %v", err)
	}
}

func TestEval(t *testing.T) {
	f := File{Schema: Schema, ID: "p", Rules: []Rule{
		{ID: "yes", When: "true", Level: job.Soft, Message: "m"},
		{ID: "no", When: "false", Level: job.Soft, Message: "m"},
		{ID: "broken", When: "params.x == 1", Level: job.Advisory, Message: "m"},
		{ID: "long", When: "params.a.exists(x, x == 1)", Level: job.Advisory, Message: "m"},
		{ID: "number", When: "1 / size(argv) > 5", Level: job.Advisory, Message: "m"},
	}}
	s, err := Compile([]File{f}, view)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // an answer does not depend on it
	hits := s.Eval(ctx, subject(t, `{"payload":{"kind":"noop","params":{"a":[0`+strings.Repeat(",0", 500)+`]}}}`, job.Provenance{}))
	got := ""
	for _, h := range hits {
		got += fmt.Sprintf("%s %t ", h.ID(), h.Err != nil)
	}
	if got != "p/yes false p/broken true p/number true " {
		t.Errorf("%s", got)
	}
}

// TestCostLimit gives a rule more to do than a rule may. The control has the same form and less to do.
func TestCostLimit(t *testing.T) {
	f := one(`params.a.all(x, params.a.all(y, params.a.all(z, x + y + z >= 0)))`)
	s, err := Compile([]File{f}, view)
	if err != nil {
		t.Fatal(err)
	}
	for n, broken := range map[int]bool{5: false, 200: true} {
		raw := `{"payload":{"kind":"noop","params":{"a":[0` + strings.Repeat(",1", n) + `]}}}`
		hits := s.Eval(t.Context(), subject(t, raw, job.Provenance{}))
		if len(hits) != 1 || (hits[0].Err != nil) != broken {
			t.Errorf("%d: %+v", n, hits)
		}
	}
}

func BenchmarkDefault(b *testing.B) {
	f, err := Parse("default.json", Default())
	if err != nil {
		b.Fatal(err)
	}
	s, err := Compile([]File{f}, view)
	if err != nil {
		b.Fatal(err)
	}
	v := subject(b, `{"payload":{"kind":"exec","params":{"argv":["go","vet","./..."]}}}`, job.Provenance{})
	b.ReportAllocs()
	for b.Loop() {
		s.Eval(context.Background(), v)
	}
}
