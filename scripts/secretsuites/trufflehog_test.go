package main

import (
	"reflect"
	"testing"
)

// TestTableSamples reads a table as tests of detectors have it.
func TestTableSamples(t *testing.T) {
	got, err := tableSamples("acme", []byte("package acme\n\nimport \"fmt\"\n\nvar (\n\tgood = \"a1\" + `b2`\n\tkeyword = \"acme\"\n)\n\n"+
		"func TestAcme() {\n\tlocal := \"c3\"\n\ttests := []struct {\n\t\tname, input string\n\t\twant []string\n\t}{\n"+
		"\t\t{name: \"valid\", input: fmt.Sprintf(\"%s token = '%s'\", keyword, good), want: []string{good}},\n"+
		"\t\t{name: \"sum\", input: local + \" x\", want: []string{\"c3\"}},\n"+
		"\t\t{name: \"invalid\", input: \"acme 1\", want: nil},\n\t\t{name: \"empty\", input: keyword, want: []string{}},\n"+
		"\t\t{name: \"computed\", input: other(), want: []string{\"y\"}},\n\t\t{name: \"itself\", input: input, want: nil},\n\t}\n\tinput := input\n}\n"))
	want := []sample{{"acme", true, "acme token = 'a1b2'"}, {"acme", true, "c3 x"}, {"acme", false, "acme 1"}, {"acme", false, "acme"}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v: %+v", err, got)
	}
	if _, err := tableSamples("broken", []byte("package")); err == nil {
		t.Error("what is no Go is read")
	}
}

// TestSpellings lists what a pattern begins with, and refuses one without a beginning to look for.
func TestSpellings(t *testing.T) {
	for expr, want := range map[string][]string{"(?:fo1_[a-z]{3}|fm1[ar]_x)": {"fm1a_x", "fm1r_x", "fo1_"}, "linked[_-]?in": {"linked-in", "linked_in", "linkedin"}} {
		if got, err := spellings(expr, false); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %q %v", expr, got, err)
		}
	}
	for _, expr := range []string{"[a-z]{3}x", "ab[0-9]+"} {
		if got, err := spellings(expr, false); err == nil {
			t.Errorf("%s: %q", expr, got)
		}
	}
}
