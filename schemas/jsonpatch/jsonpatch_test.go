package jsonpatch_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/sheratan/sheratan/schemas"
	"github.com/sheratan/sheratan/schemas/jsonpatch"
)

// TestSuite runs the public suite of JSON Patch, with the tests that are marked as disabled there: they are questions of
// taste elsewhere, and have one answer here.
func TestSuite(t *testing.T) {
	dir := filepath.Join("..", "..", "..", "shared", "corpora", "json-patch-tests")
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("SKIP: the corpus json-patch-tests is not there: %v", err)
	}
	ran := 0
	for _, name := range []string{"tests.json", "spec_tests.json"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		var list []struct {
			Comment              string
			Doc, Patch, Expected json.RawMessage
			Error                string
		}
		if err := json.Unmarshal(text, &list); err != nil {
			t.Fatal(err)
		}
		for i, c := range list {
			if c.Patch == nil {
				continue
			}
			ran++
			got, err := apply(c.Doc, c.Patch)
			switch {
			case c.Error != "" && err == nil:
				t.Errorf("%s %d %s: %s was applied; it should fail: %s", name, i, c.Comment, c.Patch, c.Error)
			case c.Error == "" && err != nil:
				t.Errorf("%s %d %s: %s: %v", name, i, c.Comment, c.Patch, err)
			case c.Error == "" && c.Expected != nil && got != canonical(t, c.Expected):
				t.Errorf("%s %d %s: %s gave %s, want %s", name, i, c.Comment, c.Patch, got, c.Expected)
			}
		}
	}
	if ran < 100 {
		t.Errorf("only %d tests were found", ran)
	}
}

func canonical(t *testing.T, text []byte) string {
	t.Helper()
	c, err := schemas.Canonical(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(c)
}

func apply(doc, patch []byte) (string, error) {
	v, err := schemas.Parse(doc, schemas.Limits{})
	if err != nil {
		return "", err
	}
	p, err := jsonpatch.Parse(patch, schemas.Limits{})
	if err != nil {
		return "", err
	}
	if v, err = p.Apply(v); err != nil {
		return "", err
	}
	out, err := schemas.Marshal(v)
	return string(out), err
}

// TestAllOrNothing lets a patch fail at its end: the document is as it was.
func TestAllOrNothing(t *testing.T) {
	const doc = `{"a":[1,2],"b":{"c":3}}`
	v, err := schemas.Parse([]byte(doc), schemas.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := jsonpatch.Parse([]byte(`[{"op":"remove","path":"/a/0"},{"op":"add","path":"/b/d","value":4},{"op":"test","path":"/b/c","value":0}]`), schemas.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Apply(v)
	if e, ok := errors.AsType[*jsonpatch.Error](err); !ok || e.Index != 2 {
		t.Errorf("%v", err)
	}
	if after, err := schemas.Marshal(v); err != nil || string(after) != doc {
		t.Errorf("the document became %s, %v", after, err)
	}
	if out, err := p[:2].Apply(v); err != nil {
		t.Error(err)
	} else if text, _ := schemas.Marshal(out); string(text) != `{"a":[2],"b":{"c":3,"d":4}}` {
		t.Errorf("without its last operation: %s", text)
	}
}

func TestRefused(t *testing.T) {
	bomb := `[{"op":"add","path":"/a","value":[0,0,0,0,0,0,0,0]}` + strings.Repeat(`,{"op":"copy","from":"/a","path":"/a/-"}`, 40) + `]`
	many := `[` + strings.Repeat(`{"op":"test","path":"","value":1},`, 300) + `{"op":"test","path":"","value":1}]`
	for _, c := range []struct{ patch, want string }{
		{bomb, "more than"},
		{many, "301 operations"},
		{`{}`, "not an array"},
		{`[1]`, "/0: is not an object"},
		{`[{"op":"Add","path":"/a","value":1}]`, `"Add" is not an operation`},
		{`[{"op":"add","path":"/a~2","value":1}]`, "tilde"},
		{`[{"op":"add","path":"/a","path":"/b","value":1}]`, "path"},
		{`[{"op":"remove","path":""}]`, "cannot be removed"},
		{`[{"op":"move","from":"/o","path":"/o/x"}]`, "inside"},
		{`[{"op":"move","from":"","path":"/o/x"}]`, "inside"},
		{`[{"op":"replace","path":"/l/-","value":1}]`, "not the index"},
		{`[{"op":"remove","path":"/l/99999999999999999999"}]`, "not the index"},
	} {
		_, err := apply([]byte(`{"o":{"x":1},"l":[1]}`), []byte(c.patch))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.60s: %v, want %q", c.patch, err, c.want)
		}
	}
}

// TestPointers round-trips pointers: what is printed is read as the same.
func TestPointers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := jsonpatch.Pointer(rapid.SliceOf(rapid.StringMatching(`[a~/0-1 é"]{0,4}`)).Draw(t, "tokens"))
		back, err := jsonpatch.ParsePointer(p.String())
		if err != nil || len(back) != len(p) || len(p) > 0 && !reflect.DeepEqual(back, p) {
			t.Fatalf("%q became %q, %v", p, back, err)
		}
	})
}

func FuzzApply(f *testing.F) {
	f.Add(`{"a":[1,{"b":2}]}`, `[{"op":"move","from":"/a/1","path":"/a/0"},{"op":"copy","from":"/a","path":"/b"}]`)
	f.Add(`[]`, `[{"op":"add","path":"/-","value":null},{"op":"remove","path":"/0"}]`)
	f.Fuzz(func(t *testing.T, doc, patch string) {
		v, err := schemas.Parse([]byte(doc), schemas.Limits{})
		if err != nil {
			return
		}
		before, _ := schemas.Marshal(v)
		p, err := jsonpatch.Parse([]byte(patch), schemas.Limits{})
		if err != nil {
			return
		}
		out, err := p.Apply(v)
		if after, _ := schemas.Marshal(v); string(after) != string(before) {
			t.Fatalf("the document became %s", after)
		}
		if err == nil {
			if _, err := schemas.Marshal(out); err != nil {
				t.Fatal(err)
			}
		}
	})
}
