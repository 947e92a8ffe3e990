package main

import (
	"context"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const root = "../.."

// TestMutationsApply keeps the list from rotting: each protection is still where the list says, and what is left without
// it can be parsed.
func TestMutationsApply(t *testing.T) {
	all, err := readMutations("mutations.txt")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, m := range all {
		if names[m.file+m.name] {
			t.Errorf("%s: %s: is listed twice", m.file, m.name)
		}
		names[m.file+m.name] = true
		data, err := m.apply(root)
		if err != nil {
			t.Errorf("%s: %s: %v", m.file, m.name, err)
			continue
		}
		if _, err := parser.ParseFile(token.NewFileSet(), m.file, data, 0); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
	}
}

// TestTry tries the program itself on a module of one function, one test that notices, and one that does not.
func TestTry(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":      "module m\n\ngo 1.26\n",
		"m.go":        "package m\n\nfunc Abs(n int) int {\n\tif n < 0 {\n\t\treturn -n\n\t}\n\treturn n\n}\n",
		"m_test.go":   "package m\n\nimport \"testing\"\n\nfunc TestBelow(t *testing.T) {\n\tif Abs(-1) != 1 {\n\t\tt.Fatal()\n\t}\n}\n\nfunc TestAbove(t *testing.T) {\n\tif Abs(1) != 1 {\n\t\tt.Fatal()\n\t}\n}\n",
		"bad_test.go": "package m\n\nimport \"testing\"\n\nfunc TestBad(t *testing.T) { t.Fatal() }\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ name, test, old, new, want string }{
		{"noticed", "-run TestBelow", "\tif n < 0 {\n", "\tif false {\n", "noticed by TestBelow"},
		{"not noticed", "-run TestAbove", "\tif n < 0 {\n", "\tif false {\n", "SURVIVED"},
		{"does not compile", "-run TestAbove", "\tif n < 0 {\n", "\tif {\n", "does not compile"},
		{"fails anyway", "-run TestBad", "\tif n < 0 {\n", "\tif false {\n", "fails without a change"},
		{"no test", "-run TestNone", "\tif n < 0 {\n", "\tif false {\n", "runs no test"},
		{"not there", "-run TestBelow", "\tif n > 0 {\n", "", "not in the file"},
		{"twice", "-run TestBelow", "}\n", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			runs := trials{root: dir, dir: t.TempDir(), healthy: map[string]bool{}}
			m := mutation{c.name, "m.go", c.test, c.old, c.new}
			got, err := runs.try(context.Background(), m)
			if err != nil {
				got = err.Error()
			}
			if !strings.Contains(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}
