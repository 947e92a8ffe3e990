package mission

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/sheratan/sheratan/schemas"
)

// declare makes a mission of tasks and what else is to stand in it.
func declare(rest string, tasks ...string) []byte {
	return []byte(`{"$schema":"sheratan.mission/v1","id":"m",` + rest + `"tasks":[` + strings.Join(tasks, ",") + `]}`)
}

// task is a noop with dependencies.
func task(id string, deps ...string) string {
	quoted := []string{}
	for _, d := range deps {
		quoted = append(quoted, `"`+d+`"`)
	}
	return `{"id":"` + id + `","job":{"payload":{"kind":"noop","params":{}}},"depends_on":[` + strings.Join(quoted, ",") + `]}`
}

func TestExpand(t *testing.T) {
	m, err := Parse(declare(`"title":"Test","params":{"word":{"type":"string","default":"--help"},"n":{"type":"integer"},
  "args":{"type":"array","items":{"type":"string"},"default":["a","{n}"]}},"max_concurrent":2,"budget":{"jobs":3},`,
		`{"id":"b","depends_on":["a"],"on_dependency_failure":"skip","job":{"timeout_seconds":"{n}","payload":{"kind":"exec","params":{"argv":["echo","{word}","{{word}}","x{y}"]}}}}`,
		`{"id":"a","job":{"payload":{"kind":"exec","params":{"argv":"{args}"}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	values, err := m.Values([]string{"n=7", "word=a b=$(c)"})
	if err != nil {
		t.Fatal(err)
	}
	r, err := m.Expand("x", "operator", values)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`{"id":"m-x.a","mission_id":"m-x","payload":{"kind":"exec","params":{"argv":["a","{n}"]}},"task_id":"a"}`,
		`{"depends_on":["m-x.a"],"id":"m-x.b","mission_id":"m-x","on_dependency_failure":"skip","payload":{"kind":"exec","params":` +
			`{"argv":["echo","a b=$(c)","{word}","x{y}"]}},"task_id":"b","timeout_seconds":7}`,
	}
	for i, doc := range r.Proposals {
		if string(doc) != want[i] || r.Tasks[i].ProposalSHA256 != schemas.Digest(doc) {
			t.Errorf("proposal %d:\n got %s\nwant %s", i, doc, want[i])
		}
	}
	if r.ID != "m-x" || r.MaxConcurrent != 2 || r.Budget.Jobs != 3 {
		t.Errorf("%+v", r)
	}
	doc, err := schemas.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	v, err := schemas.Parse(doc, schemas.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if violations := schemas.Validate("mission-run", v); len(violations) > 0 {
		t.Error(violations)
	}
	again, err := m.Expand("x", "operator", values)
	if err != nil || !slices.EqualFunc(again.Proposals, r.Proposals, slices.Equal) {
		t.Error("the same mission gives other proposals", err)
	}
}

func TestRefused(t *testing.T) {
	long := strings.Repeat("x", 63)
	for text, want := range map[string]string{
		`{`:                                  "ends too early",
		string(declare(`"x":1,`, task("a"))): "x",
		string(declare(``, task("a"), task("a"))): "/tasks/1/id: task a is at /tasks/0 already",
		string(declare(``, task("a", "z"))):       "/tasks/0/depends_on/0: there is no task z",
		string(declare(``, task("a", "a"))):       "a → a",
		string(declare(``, task("s", "a"), task("a", "b"), task("b", "c"), task("c", "a"), task("d"))):                               "the tasks wait for each other: a → b → c → a",
		string(declare(``, `{"id":"a","job":{"id":"y","payload":{"kind":"noop","params":{}}}}`)):                                     "/tasks/0/job/id: the mission sets",
		string(declare(``, `{"id":"a","job":{"payload":{"kind":"noop","params":{"a":["{p}"]}}}}`)):                                   "no parameter p is declared; {{p}}",
		string(declare(`"params":{"p":{"type":"string","default":1}},`, task("a"))):                                                  "/params/p/default",
		string(declare(`"params":{"p":{"type":"string","pattern":"("}},`, task("a"))):                                                "/params/p",
		string(declare(`"params":{"p":{"type":"string"}},`, `{"id":"a","job":{"payload":{"kind":"x","params":{"a":"--out={p}"}}}}`)): "{p} is only a part of the string",
	} {
		_, err := Parse([]byte(text))
		var fault *Error
		if !errors.As(err, &fault) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n got %v\nwant %s", text, err, want)
		}
	}
	for text, want := range map[string]string{
		string(declare(``, task(long))): "/tasks/0/id: the id of the job would be m.",
		string(declare(``, `{"id":"a","job":{"unknown":1,"payload":{"kind":"noop","params":{}}}}`)): "/tasks/0/job/unknown",
	} {
		m, err := Parse([]byte(text))
		if err == nil {
			_, err = m.Expand("", "operator", nil)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n got %v\nwant %s", text, err, want)
		}
	}
}

func TestValues(t *testing.T) {
	m, err := Parse(declare(`"params":{"s":{"type":"string","pattern":"^[a-z]*$"},"n":{"type":"integer","default":1,"maximum":9},"b":{"type":"boolean","default":false}},`, task("a")))
	if err != nil {
		t.Fatal(err)
	}
	for words, want := range map[string]string{
		"":          "--param s=VALUE",
		"s":         "want NAME=VALUE",
		"x=1":       "no such parameter; it has b, n, s",
		"s=a s=b":   "given twice",
		"s=A":       "--param s",
		"s=a n=10":  "--param n",
		"s=a n=x":   "a JSON integer is expected",
		"s=a n=1.5": "--param n",
		"s=a b=1":   "--param b",
	} {
		if _, err := m.Values(strings.Fields(words)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", words, err, want)
		}
	}
	if v, err := m.Values([]string{"s=", "b=true"}); err != nil || fmt.Sprint(v) != "map[b:true n:1 s:]" {
		t.Errorf("%v, %v", v, err)
	}
}

// Any graph is either put in an order, in which nothing stands before what it depends on, or refused with a cycle that is one.
func TestOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(rt, "tasks")
		deps := map[string][]string{}
		var tasks []string
		for i := range n {
			id := fmt.Sprint("t", i)
			deps[id] = rapid.SliceOfNDistinct(rapid.Custom(func(rt *rapid.T) string { return fmt.Sprint("t", rapid.IntRange(0, n-1).Draw(rt, "on")) }),
				0, 2, func(s string) string { return s }).Draw(rt, "deps")
			tasks = append(tasks, task(id, deps[id]...))
		}
		m, err := Parse(declare("", tasks...))
		if err != nil {
			_, text, ok := strings.Cut(err.Error(), "each other: ")
			way := strings.Split(text, " → ")
			if !ok || len(way) < 2 || way[0] != way[len(way)-1] {
				rt.Fatal(err)
			}
			for i := range way[:len(way)-1] {
				if !slices.Contains(deps[way[i]], way[i+1]) {
					rt.Fatalf("%s: %s does not depend on %s", err, way[i], way[i+1])
				}
			}
			return
		}
		r, err := m.Expand("", "operator", nil)
		if err != nil || len(r.Tasks) != n {
			rt.Fatal(err)
		}
		seen := map[string]bool{}
		for _, task := range r.Tasks {
			for _, d := range task.DependsOn {
				if !seen[d] {
					rt.Fatalf("%s stands before %s", task.ID, d)
				}
			}
			seen[task.ID] = true
		}
	})
}

// The mission that the documentation shows is one.
func TestDocumentation(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "MISSIONS.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(text), "```json\n")
	block, _, _ = strings.Cut(block, "```")
	m, err := Parse([]byte(block))
	if err != nil {
		t.Fatal(err)
	}
	values, err := m.Values([]string{"target=./cmd/..."})
	if err != nil {
		t.Fatal(err)
	}
	r, err := m.Expand("", "operator", values)
	if err != nil || len(r.Tasks) != 3 || !strings.Contains(string(r.Proposals[1]), `["go","test","./cmd/..."]`) {
		t.Errorf("%s, %v", r.Proposals, err)
	}
}
