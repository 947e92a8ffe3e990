package gates_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sheratan/sheratan/gates"
)

// cases returns a folder of small inputs that went wrong once, which lies beside the repository.
func cases(t *testing.T, name string) string {
	t.Helper()
	dir := os.Getenv("SHERATAN_CASES")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "cases")
	}
	dir = filepath.Join(dir, name)
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no cases: %v (SHERATAN_CASES names their folder)", err)
	}
	return dir
}

// The schema of an answer costs more to judge than to read: it is looked at only where the kind may be proposed, and where the payload has
// a size that it may have.
func TestKindAndSizeBeforeContent(t *testing.T) {
	broken := func(room string) string {
		return `{"payload":{"kind":"llm","params":{"model":"m","prompt":"p","schema":{"type":"nothing","description":"` + room + `"}}}}`
	}
	const at = "SCHEMA_VIOLATION"
	allow := func(c *gates.Config) {
		c.Gates.Kinds.Allow = append(c.Gates.Kinds.Allow, "llm")
		c.Gates.Models = []string{"m"}
	}
	large := strings.Repeat("x", 4<<10)
	for name, tc := range map[string]struct {
		change func(*gates.Config)
		raw    string
		judged bool
	}{
		"allowed":   {allow, broken(""), true},
		"manual":    {func(c *gates.Config) { c.Gates.Kinds.Manual = []string{"llm"} }, broken(""), true},
		"unlisted":  {nil, broken(""), false},
		"forbidden": {func(c *gates.Config) { allow(c); c.Gates.Kinds.Forbid = []string{"llm"} }, broken(""), false},
		"fits":      {allow, broken(large), true},
		"too large": {func(c *gates.Config) { allow(c); c.Limits.PayloadBytes = 4 << 10 }, broken(large), false},
	} {
		r := newBench(t, tc.change).gate(tc.raw)
		if got := slices.Contains(codes(r, "G1"), at); got != tc.judged {
			t.Errorf("%s: the schema is judged: %v\n%s", name, got, describe(r))
		}
		if r.Approved() {
			t.Errorf("%s: is approved", name)
		}
	}
}

// The schemas that cost the most are refused in G1, in plain words.
func TestSchemasOfProposals(t *testing.T) {
	dir := cases(t, "gates")
	b := newBench(t, func(c *gates.Config) {
		c.Gates.Kinds.Allow = append(c.Gates.Kinds.Allow, "llm")
		c.Gates.Models = []string{"m"}
	})
	for name, want := range map[string]string{
		"llm-schema-exponential.json": "compares a value with more than 10000 schemas",
		"llm-schema-empty-enum.json":  "enum has no values",
	} {
		raw, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if text := describe(b.gate(string(raw))); !strings.Contains(text, "SCHEMA_VIOLATION") || !strings.Contains(text, want) {
			t.Errorf("%s: want %q in\n%s", name, want, text)
		}
	}
}
