package kind_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/pipeline/kind"
	"github.com/sheratan/sheratan/schemas"
)

func TestBuiltin(t *testing.T) {
	var names []string
	for _, k := range kind.Builtin() {
		names = append(names, k.Name)
		again, ok := kind.Lookup(k.Name)
		if !ok || again.Name != k.Name || string(again.Schema) != string(k.Schema) {
			t.Errorf("%s: Lookup returns %+v, %v", k.Name, again, ok)
		}
		if !job.ValidID(k.Name) || k.Summary == "" || !slices.Equal(k.Capabilities, []string{k.Name}) {
			t.Errorf("%+v", k)
		}
		if k.Writes() != (k.Name == "exec" || k.Name == "file_write" || k.Name == "file_edit" || k.Name == "file_patch") {
			t.Errorf("%s: writes is %v", k.Name, k.Writes())
		}
		if k.RerunSafe && k.Writes() {
			t.Errorf("%s: writes, and is called safe to rerun whatever the params", k.Name)
		}
		doc := properties(t, k)
		for _, p := range k.Paths {
			if _, ok := doc[strings.TrimPrefix(p, "/")]; !ok {
				t.Errorf("%s: path %s is not in the schema", k.Name, p)
			}
		}
	}
	if want := []string{"exec", "file_edit", "file_list", "file_patch", "file_read", "file_write", "llm", "noop"}; !slices.Equal(names, want) {
		t.Errorf("kinds are %v, want %v", names, want)
	}
	if k, ok := kind.Lookup("http_get"); ok {
		t.Errorf("found %+v", k)
	}
	if want := []string{"kind.exec", "kind.file_edit", "kind.file_list", "kind.file_patch", "kind.file_read", "kind.file_write", "kind.llm", "kind.noop"}; !slices.Equal(kind.Names(), want) {
		t.Errorf("schemas are %v, want %v", kind.Names(), want)
	}
	for _, name := range []string{"exec", "kind.", "kind.http_get", "kind.../kind/exec"} {
		if _, ok := kind.Source(name); ok {
			t.Errorf("%q: there is a schema", name)
		}
	}
}

func properties(t *testing.T, k kind.Kind) map[string]any {
	t.Helper()
	v, err := schemas.Parse(k.Schema, schemas.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	doc := v.(map[string]any)
	if doc["$id"] != "sheratan.kind."+k.Name+"/v1" || doc["additionalProperties"] != false || doc["type"] != "object" {
		t.Errorf("%s: %v %v %v", k.Name, doc["$id"], doc["type"], doc["additionalProperties"])
	}
	return doc["properties"].(map[string]any)
}

// TestParamsAndSchemasAgree compares the Go types with the schemas.
func TestParamsAndSchemasAgree(t *testing.T) {
	for name, params := range map[string]any{"noop": kind.Noop{}, "exec": kind.Exec{}, "file_read": kind.FileRead{},
		"file_list": kind.FileList{}, "file_write": kind.FileWrite{}, "file_edit": kind.FileEdit{}, "file_patch": kind.FilePatch{}} {
		k, _ := kind.Lookup(name)
		var doc struct {
			Required   []string
			Properties map[string]struct {
				Type        any
				Default     any
				Description string
			}
		}
		if err := json.Unmarshal(k.Schema, &doc); err != nil {
			t.Fatal(err)
		}
		typ := reflect.TypeOf(params)
		if typ.NumField() != len(doc.Properties) {
			t.Errorf("%s: %d fields, %d properties", name, typ.NumField(), len(doc.Properties))
		}
		for f := range typ.Fields() {
			member, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			p, ok := doc.Properties[member]
			if !ok || p.Description == "" {
				t.Errorf("%s: %s is not in the schema, or has no description", name, member)
			}
			if required := slices.Contains(doc.Required, member); required == (options == "omitempty") {
				t.Errorf("%s: %s: required is %v", name, member, required)
			}
		}
	}
	read, _ := kind.Lookup("file_read")
	if p := properties(t, read)["max_bytes"].(map[string]any); p["default"] != json.Number(fmt.Sprint(kind.DefaultReadBytes)) ||
		p["maximum"] != json.Number(fmt.Sprint(kind.MaxReadBytes)) {
		t.Errorf("max_bytes is %v", p)
	}
}

// TestParams runs params through the schema of the kind and through ParseParams, which have to agree.
func TestParams(t *testing.T) {
	long := func(n int) string { return strings.Repeat("x", n) }
	many := strings.TrimSuffix(strings.Repeat(`"a",`, 257), ",")
	tests := []struct {
		kind, params string
		want         any // what is parsed, or a string that is in the error
	}{
		{"noop", `{}`, kind.Noop{}},
		{"noop", `{"x":1}`, "noop: params/x: is not a parameter"},
		{"noop", `[]`, "an object is expected"},
		{"noop", `null`, "an object is expected"},
		{"exec", `{"argv":["go","vet",""],"cwd":"sub","env":{"CI":"","_a1":"é"},"stdin":"in\u0000"}`,
			kind.Exec{Argv: []string{"go", "vet", ""}, Cwd: "sub", Env: map[string]string{"CI": "", "_a1": "é"}, Stdin: "in\x00"}},
		{"exec", `{}`, "exec: params/argv: is missing"},
		{"exec", `{"argv":[]}`, "/argv: is missing or empty"},
		{"exec", `{"argv":[""]}`, "/argv/0: is empty"},
		{"exec", `{"argv":"rm -rf /"}`, "/argv: has the wrong type"},
		{"exec", `{"argv":["a",1]}`, "/argv/1: has the wrong type"},
		{"exec", `{"argv":["a\u0000b"]}`, "/argv/0: contains NUL"},
		{"exec", `{"argv":["a","b\u0000"]}`, "/argv/1: contains NUL"},
		{"exec", `{"argv":[` + many + `]}`, "/argv: has 257 arguments"},
		{"exec", `{"argv":["a","` + long(128<<10) + `"]}`, "/argv/1: has 131072 bytes"},
		{"exec", `{"argv":["a"],"cwd":""}`, nil}, // the schema refuses it, ParseParams cannot tell it from none
		{"exec", `{"argv":["a"],"cwd":"a\u0000"}`, "/cwd: contains NUL"},
		{"exec", `{"argv":["a"],"cwd":"` + long(4097) + `"}`, "/cwd: has 4097 bytes"},
		{"exec", `{"argv":["a"],"env":{"1A":""}}`, `/env: "1A" is not the name`},
		{"exec", `{"argv":["a"],"env":{"":""}}`, `/env: "" is not the name`},
		{"exec", `{"argv":["a"],"env":{"A=B":""}}`, `/env: "A=B" is not the name`},
		{"exec", `{"argv":["a"],"env":{"` + long(257) + `":""}}`, `is not the name`},
		{"exec", `{"argv":["a"],"env":{"A":1}}`, `/env/A: has the wrong type`},
		{"exec", `{"argv":["a"],"env":{"A":"\u0000"}}`, `/env/A: contains NUL`},
		{"exec", `{"argv":["a"],"env":["A=B"]}`, `/env: has the wrong type`},
		{"exec", `{"argv":["a"],"stdin":"` + long(256<<10+1) + `"}`, "/stdin: has 262145 bytes"},
		{"exec", `{"argv":["a"],"shell":true}`, "/shell: is not a parameter"},
		{"exec", `{"Argv":["a"]}`, "/Argv: is not a parameter"},
		{"file_read", `{"path":"a/b"}`, kind.FileRead{Path: "a/b", MaxBytes: 1 << 20}},
		{"file_read", `{"path":"a","max_bytes":16777216}`, kind.FileRead{Path: "a", MaxBytes: 16 << 20}},
		{"file_read", `{"path":"a","max_bytes":16777217}`, "/max_bytes: is 16777217"},
		{"file_read", `{"path":"a","max_bytes":0}`, "/max_bytes: is 0"},
		{"file_read", `{"path":"a","max_bytes":1.5}`, "/max_bytes: has the wrong type"},
		{"file_read", `{"path":""}`, "/path: is missing or empty"},
		{"file_read", `{"path":7}`, "/path: has the wrong type"},
		{"file_read", `{"max_bytes":7}`, "/path: is missing or empty"},
		{"file_read", `{"path":"a\u0000.txt"}`, "/path: contains NUL"},
		{"file_list", `{"path":"."}`, kind.FileList{Path: "."}},
		{"file_list", `{"path":".","recursive":true}`, kind.FileList{Path: ".", Recursive: true}},
		{"file_list", `{"path":".","recursive":"yes"}`, "/recursive: has the wrong type"},
		{"file_list", `{"path":".","depth":3}`, "/depth: is not a parameter"},
		{"file_write", `{"path":"a","content":""}`, kind.FileWrite{Path: "a", Mode: kind.ModeCreate}},
		{"file_write", `{"path":"a","content":"\u0000","mode":"append"}`, kind.FileWrite{Path: "a", Content: "\x00", Mode: kind.ModeAppend}},
		{"file_write", `{"path":"a"}`, "/content: is missing"},
		{"file_write", `{"path":"a","content":"x","mode":"truncate"}`, `/mode: "truncate" is none of`},
		{"file_write", `{"path":"a","content":"x","mode":""}`, `/mode: "" is none of`},
		{"file_write", `{"path":"a","content":"` + long(1<<20+1) + `"}`, "/content: has 1048577 bytes"},
		{"file_edit", `{"path":"a","old":"x","new":""}`, kind.FileEdit{Path: "a", Old: "x"}},
		{"file_edit", `{"path":"a","old":"x"}`, "/new: is missing"},
		{"file_edit", `{"path":"a","new":"x"}`, "/old: is missing"},
		{"file_edit", `{"path":"a","old":"","new":"x"}`, "/old: is missing"},
		{"file_edit", `{"path":"a","old":"` + long(1<<20+1) + `","new":"x"}`, "/old: has 1048577 bytes"},
		{"file_edit", `{"path":"a","old":"x","new":"` + long(1<<20+1) + `"}`, "/new: has 1048577 bytes"},
		{"file_patch", `{"path":"a","diff":"@@ -1 +1 @@\n-x\n+y\n"}`, kind.FilePatch{Path: "a", Diff: "@@ -1 +1 @@\n-x\n+y\n"}},
		{"file_patch", `{"path":"a"}`, "/diff: is missing"},
		{"file_patch", `{"path":"a","diff":""}`, "/diff: is missing"},
		{"file_patch", `{"path":"a","diff":"` + long(1<<20+1) + `"}`, "/diff: has 1048577 bytes"},
	}
	compiled := map[string]*schemas.Schema{}
	for _, k := range kind.Builtin() {
		s, err := schemas.Compile("kind."+k.Name, k.Schema)
		if err != nil {
			t.Fatal(err)
		}
		compiled[k.Name] = s
	}
	for _, test := range tests {
		v, err := schemas.Parse([]byte(test.params), schemas.Limits{Bytes: 4 << 20})
		if err != nil {
			t.Fatal(err)
		}
		found := compiled[test.kind].Validate(v)
		got, err := kind.ParseParams(test.kind, []byte(test.params))
		what := fmt.Sprintf("%s %.80s", test.kind, test.params)
		switch want := test.want.(type) {
		case nil:
			if found == nil {
				t.Errorf("%s: fits the schema", what)
			}
		case string:
			var p *kind.ParamError
			if !errors.As(err, &p) || !strings.Contains(err.Error(), want) || p.Kind != test.kind || got != nil {
				t.Errorf("%s: %v, %v, want …%s…", what, got, err, want)
			}
			if found == nil {
				t.Errorf("%s: ParseParams says %v, but it fits the schema", what, err)
			}
		default:
			if err != nil || !reflect.DeepEqual(got, want) || found != nil {
				t.Errorf("%s: %#v, %v, %v\nwant %#v", what, got, err, found, want)
			}
		}
	}
	for _, raw := range []string{``, `{`, `{}{}`, `{"path":"a","path":"b"}`, "{\"path\":\"\xff\"}", `{"path":"\ud800"}`} {
		if got, err := kind.ParseParams("file_read", []byte(raw)); err == nil || got != nil {
			t.Errorf("%q: %v, %v", raw, got, err)
		}
	}
	if _, err := kind.ParseParams("http_get", []byte(`{}`)); err == nil || err.Error() != "http_get: params: unknown kind" {
		t.Errorf("unknown kind: %v", err)
	}
}

// TestBytesCount checks what a schema cannot: that limits are of bytes, and that of all arguments together.
func TestBytesCount(t *testing.T) {
	for _, params := range []string{
		`{"argv":["a","` + strings.Repeat("é", 100_000) + `"]}`,
		`{"argv":["a"` + strings.Repeat(`,"`+strings.Repeat("x", 100_000)+`"`, 3) + `]}`,
		`{"argv":["a"],"env":{"A":"` + strings.Repeat("x", 131_071) + `","B":"` + strings.Repeat("x", 131_071) + `","C":"xxxxx"}}`,
	} {
		if _, err := kind.ParseParams("exec", []byte(params)); err == nil || !strings.Contains(err.Error(), "bytes, at most") {
			t.Errorf("%.40s…: %v", params, err)
		}
	}
}

func TestRerunSafe(t *testing.T) {
	for _, test := range []struct {
		kind, params string
		want         bool
	}{
		{"noop", `{}`, true},
		{"file_read", `{"path":"a"}`, true},
		{"file_list", `{"path":"a"}`, true},
		{"file_write", `{"path":"a","content":"x"}`, false},
		{"file_write", `{"path":"a","content":"x","mode":"create"}`, false},
		{"file_write", `{"path":"a","content":"x","mode":"append"}`, false},
		{"file_write", `{"path":"a","content":"x","mode":"overwrite"}`, true},
		{"file_edit", `{"path":"a","old":"x","new":"y"}`, false},
		{"file_patch", `{"path":"a","diff":"@@ -1 +1 @@\n-x\n+y\n"}`, false},
		{"exec", `{"argv":["true"]}`, false},
	} {
		k, _ := kind.Lookup(test.kind)
		params, err := kind.ParseParams(test.kind, []byte(test.params))
		if err != nil {
			t.Fatal(err)
		}
		if got := k.RerunSafeFor(params); got != test.want {
			t.Errorf("%s %s: %v, want %v", test.kind, test.params, got, test.want)
		}
	}
	write, _ := kind.Lookup("file_write")
	if write.RerunSafeFor(nil) || write.RerunSafeFor(kind.Exec{}) {
		t.Error("params of another kind are called safe")
	}
}

func BenchmarkParseParams(b *testing.B) {
	raw := []byte(`{"argv":["go","vet","./...","-v"],"cwd":"work","env":{"CI":"1"}}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := kind.ParseParams("exec", raw); err != nil {
			b.Fatal(err)
		}
	}
}
