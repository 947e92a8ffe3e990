package gates_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/sheratan/sheratan/gates"
	"github.com/sheratan/sheratan/schemas"
)

const waivedKey, otherKey = "ghp_Zq8vN3xK7mW2pL9tR4yB6cD1fG5hJ0sAvXeT", "ghp_Jw4mT8xQ2nV6kS9rY3bC7zD1hL5gP0fUoEiA"

func parsed(t *testing.T, text string) any {
	t.Helper()
	v, err := schemas.Parse([]byte(text), schemas.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestFindings: what can be waived has a name of its own, is what stands there and nothing around it, and lies in the params.
func TestFindings(t *testing.T) {
	for text, want := range map[string]string{
		`{"argv": ["echo", "a ` + waivedKey + ` b"]}`:                          `argv/1 github-token ` + waivedKey,
		`{"argv": ["mysql", "-px7Rq2w"]}`:                                      `argv/1 command-password x7Rq2w`,
		`{"password": "x7Rq2wV9kL"}`:                                           `password secret-assignment x7Rq2wV9kL`,
		`{"a": "` + waivedKey + ` and ` + otherKey + `"}`:                      `a#1 github-token ` + waivedKey + `; a#2 github-token ` + otherKey,
		`{"a": "` + waivedKey + ` and ` + waivedKey + `"}`:                     `a github-token ` + waivedKey,
		`{"a": "` + waivedKey + `", "a#2": "` + otherKey + `"}`:                `a github-token ` + waivedKey + `; a#2 github-token ` + otherKey,
		`{"a": "` + waivedKey[:20] + "\u200b" + waivedKey[20:] + `"}`:          `a github-token ` + waivedKey[:20] + "\u200b" + waivedKey[20:],
		`{"a": "plain", "b": ["text"], "c": {"token_file": "/etc/x"}, "d": 1}`: ``,
		`{"a": {"b/c~d": [{"password": "x7Rq2wV9kL"}]}}`:                       `a/b~1c~0d/0/password secret-assignment x7Rq2wV9kL`,
		`{"env": {"TOKEN": "` + waivedKey + `"}, "argv": ["env", "` + otherKey + `"]}`: `argv/1 github-token ` + otherKey +
			`; env/TOKEN github-token ` + waivedKey,
	} {
		var got []string
		for _, f := range gates.Findings(parsed(t, `{"payload": {"kind": "exec", "params": `+text+`}}`)) {
			got = append(got, strings.TrimPrefix(f.Name, "CREDENTIAL:/payload/params/")+" "+f.Format+" "+f.Value)
			if f.Problem != "" {
				t.Errorf("%s: %s", text, f.Problem)
			}
		}
		if strings.Join(got, "; ") != want {
			t.Errorf("%s: %q, want %q", text, strings.Join(got, "; "), want)
		}
	}
	for _, text := range []string{`{"id": "` + waivedKey + `"}`, `{"payload": {"kind": "` + waivedKey + `"}}`,
		`{"payload": {"params": {"` + waivedKey + `": 1}}}`,
		`{"payload": {"params": {}, "x": "` + waivedKey + `"}}`, `{"outputs": ["` + waivedKey + `"]}`, `["` + waivedKey + `"]`} {
		list := gates.Findings(parsed(t, text))
		if len(list) != 1 || list[0].Problem == "" {
			t.Errorf("%s can be waived: %+v", text, list)
		}
	}
}

// TestFindingsInNames: a name that is a credential, or is too long for one, stands in no name of a finding, and two such names are two findings.
func TestFindingsInNames(t *testing.T) {
	const first, second = "AKIAQYLPMN5HHHFPZAM2", "AKIAQYLPMN5HHHFPZAM3"
	list := gates.Findings(parsed(t, `{"payload": {"params": {"`+first+`": "`+waivedKey+`", "`+second+`": "x", "`+strings.Repeat("long", 20)+`": "`+otherKey+`"}}}`))
	var names []string
	for _, f := range list {
		names = append(names, f.Name)
		if strings.Contains(f.Name+f.Shown, "AKIA") || strings.Contains(f.Name+f.Shown, "longlong") {
			t.Errorf("%+v", f)
		}
	}
	slices.Sort(names)
	if len(names) != 4 || len(slices.Compact(names)) != 4 {
		t.Errorf("names %q", names)
	}
}

// TestWaiversHold: a digest is of a code, a place and bytes under a salt, and of nothing that reads alike when it is put together.
func TestWaiversHold(t *testing.T) {
	w := &gates.Waivers{Salt: []byte("salt")}
	w.Findings = []string{w.Digest("C", "/a/b", "value")}
	if !w.Hold("C", "/a/b", "value") {
		t.Error("does not hold")
	}
	for _, other := range [][3]string{{"D", "/a/b", "value"}, {"C", "/a", "/bvalue"}, {"C", "/a/bv", "alue"}, {"C", "/a/b", "valu"},
		{"C", "/a/c", "value"}, {"C/a/b", "", "value"}} {
		if w.Hold(other[0], other[1], other[2]) {
			t.Errorf("holds for %q", other)
		}
	}
	salted := &gates.Waivers{Salt: []byte("other"), Findings: w.Findings}
	if salted.Hold("C", "/a/b", "value") || (*gates.Waivers)(nil).Hold("C", "/a/b", "value") || (&gates.Waivers{}).Hold("C", "/a/b", "value") {
		t.Error("holds without the salt")
	}
	if slices.Contains([]string{w.Digest("", "", "x"), w.Digest("x", "", "")}, w.DigestOriginal([]byte("x"))) {
		t.Error("an original and a finding have one digest")
	}
}
