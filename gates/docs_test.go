package gates_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/sheratan/sheratan/gates"
	"github.com/sheratan/sheratan/gates/policy"
	"github.com/sheratan/sheratan/pipeline/kind"
)

func document(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../docs/GATES.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestReasonsAreDocumented compares the table of the program with that of the document, row by row.
func TestReasonsAreDocumented(t *testing.T) {
	var got []string
	for line := range strings.Lines(document(t)) {
		if strings.HasPrefix(line, "| `") && strings.Count(line, "|") == 7 {
			got = append(got, strings.TrimSpace(line))
		}
	}
	seen := make(map[string]bool)
	for i, r := range gates.Reasons {
		gate, level, waivable := r.Gate, string(r.Level), "no"
		if gate == "*" {
			gate = "any"
		}
		if r.Fixed {
			level += " (fixed)"
		}
		if r.Waivable {
			waivable = "yes"
		}
		want := fmt.Sprintf("| `%s` | %s | %s | %s | %s | %s |", r.Code, gate, r.Meaning, level, waivable, r.WayOut)
		if i >= len(got) || got[i] != want {
			t.Errorf("docs/GATES.md lacks, at row %d\n%s", i, want)
		}
		if seen[r.Code] || r.Code != strings.ToUpper(r.Code) || r.Waivable && r.Level != "soft" {
			t.Errorf("%+v", r)
		}
		seen[r.Code] = true
	}
	if len(got) != len(gates.Reasons) {
		t.Errorf("the document has %d rows, the program %d", len(got), len(gates.Reasons))
	}
}

// TestWaivableIsDocumented compares the table of what can be waived with that of the document.
func TestWaivableIsDocumented(t *testing.T) {
	_, section, ok := strings.Cut(document(t), "\n## Waivers\n")
	if !ok {
		t.Fatal("docs/GATES.md has no such section")
	}
	var got, want []string
	for line := range strings.Lines(section) {
		if strings.HasPrefix(line, "| `") {
			got = append(got, strings.TrimSpace(line))
		}
	}
	for _, w := range gates.Waivable {
		want = append(want, fmt.Sprintf("| `%s` | `%s` | %s |", w.Code, w.Where, w.Why))
		if i := slices.IndexFunc(gates.Reasons, func(r gates.ReasonInfo) bool { return r.Code == w.Code }); i < 0 || gates.Reasons[i].Level != "hard" {
			t.Errorf("%s is no hard reason", w.Code)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("documented %q, want %q", got, want)
	}
}

// TestDocumentedPolicyLoads compiles the example of the document.
func TestDocumentedPolicyLoads(t *testing.T) {
	_, rest, ok := strings.Cut(document(t), "```json\n{\n  \"$schema\": \"sheratan.policy/v1\"")
	example, _, closed := strings.Cut(rest, "```")
	if !ok || !closed {
		t.Fatal("docs/GATES.md has no example of a policy")
	}
	f, err := policy.Parse("docs/GATES.md", []byte("{\n  \"$schema\": \"sheratan.policy/v1\""+example))
	if err != nil {
		t.Fatal(err)
	}
	view := func(name string, params map[string]any) (paths, argv []string) {
		k, _ := kind.Lookup(name)
		return k.View(params)
	}
	if _, err := policy.Compile([]policy.File{f}, view); err != nil {
		t.Error(err)
	}
}
