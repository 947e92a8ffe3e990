package gates_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sheratan/sheratan/gates"
	"github.com/sheratan/sheratan/gates/secrets"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/schemas"
)

func FuzzEvaluate(f *testing.F) {
	for _, s := range []string{
		noop, `{}`, `[]`, `null`, `7`, `"x"`, `{"payload":7}`, `{"payload":{"kind":"exec","params":{"argv":[1,null,{}]}}}`,
		`{"id":7,"priority":1e300,"timeout_seconds":-1,"depends_on":"x","required_capabilities":{"a":1},"payload":{"kind":["x"],"params":[]}}`,
		`{"payload":{"kind":"file_write","params":{"path":"\u202e/../.git","content":"ghp_0123456789abcdefghijABCDEFGHIJ012345"}}}`,
		execOf("rm", "-rf", "/"), writeOf("a", "sudo as root"), `{"":{"":""},"~/":"~1"}`,
	} {
		f.Add(s)
	}
	b := newBench(f, nil)
	f.Fuzz(func(t *testing.T, raw string) {
		in := input(raw)
		r := b.rules.Evaluate(t.Context(), in)
		wellFormed(t, raw, r)
		first, err := schemas.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		second, err := schemas.Marshal(b.rules.Evaluate(t.Context(), in))
		if err != nil || !bytes.Equal(first, second) {
			t.Errorf("the same proposal gives another report\n%s\n%s", first, second)
		}
		if v, err := schemas.Parse(first, schemas.DefaultLimits); err != nil {
			t.Error(err)
		} else if x := schemas.Validate("report", v); len(x) > 0 {
			t.Errorf("%s\n%v", first, x)
		}
		if gates.HasCredential(r) {
			if _, n := secrets.Redact(string(first)); n > 0 {
				t.Errorf("a credential in the report: %s", first)
			}
		}
		if r.Approved() && (in.Value == nil || slices.ContainsFunc(r.Gates, func(g job.GateReport) bool { return g.Status == job.Fail })) {
			t.Errorf("approved: %s", first)
		}
	})
}

// TestNothingIsRepeated puts a credential into every place of a proposal, and looks for it in the report.
func TestNothingIsRepeated(t *testing.T) {
	const secret = "ghp_0123456789abcdefghijABCDEFGHIJ012345"
	b := newBench(t, nil)
	for _, raw := range []string{
		`{"S":1,"payload":{"kind":"noop","params":{}}}`,
		`{"a/S~x":1,"payload":{"kind":"noop","params":{}}}`,
		`{"source":"S","id":"S","task_id":"S ","retry_backoff":"S","priority":"S","payload":{"kind":"S","params":{"S":"S"}}}`,
		`{"required_capabilities":["S"],"depends_on":["S","S"],"payload":{"kind":"noop","params":{}}}`,
		`{"payload":{"kind":"exec","params":{"argv":["S","S"],"env":{"S":"S"},"cwd":"/S"}}}`,
		`{"payload":{"kind":"exec","params":{"argv":["true","S\u202e"]}}}`,
		`{"payload":{"kind":"file_write","params":{"path":"../S","content":"S","mode":"S"}}}`,
		`{"payload":{"kind":"S`,
		`{"S":1,"S":2}`,
	} {
		r := b.gate(strings.ReplaceAll(raw, "S", secret))
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if !gates.HasCredential(r) || r.NextAction != job.Quarantine {
			t.Errorf("%s: not found\n%s", raw, text)
		}
		if strings.Contains(string(text), secret[4:20]) {
			t.Errorf("%s: the report repeats it\n%s", raw, text)
		}
	}
	// A parse error whose text is not at hand may be about a secret: it is reported without quoting anything.
	in := input(strings.ReplaceAll(`{"S":1,"S":2}`, "S", secret))
	in.Raw = nil
	if text := dump(b.rules.Evaluate(t.Context(), in)); strings.Contains(text, secret[4:20]) || !strings.Contains(text, "line 1 column") {
		t.Error(text)
	}
}

// TestManyReasons gives a proposal more flaws than anybody reads. The hard one among them must survive.
func TestManyReasons(t *testing.T) {
	b := newBench(t, nil)
	argv := []string{"true"}
	for range 200 {
		argv = append(argv, "a\u00a0b")
	}
	r := b.gate(execOf(append(argv, "x\u202e")...))
	g := r.Gates[1]
	if len(g.Reasons) != 51 || g.Evidence["more_reasons"] != 150 || r.NextAction != job.Quarantine || r.Overridable() {
		t.Errorf("%d reasons, %v, %s, overridable %t", len(g.Reasons), g.Evidence, r.NextAction, r.Overridable())
	}
}

// TestOrder gives a proposal many flaws in members, which have no order. The report must have one.
func TestOrder(t *testing.T) {
	b := newBench(t, nil)
	var members strings.Builder
	for i := range 80 {
		fmt.Fprintf(&members, `"m%d\u200b":"x\u202e sudo",`, i)
	}
	raw := `{` + members.String() + `"payload":{"kind":"exec","params":{"argv":["true"]}}}`
	want := dump(b.gate(raw))
	for range 10 {
		if got := dump(b.gate(raw)); got != want {
			t.Fatalf("another report\n%s\n%s", got, want)
		}
	}
}
