package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/pipeline/kind"
	"github.com/sheratan/sheratan/runtime/index"
)

// hostile are values that some program, shell or file system takes for more than text.
var hostile = []string{
	"../x", "a/../../x", "/etc/passwd", "..", ".", "./../x", "a/./b", "a//b", "/", "~", "~root", "..\\x", "C:\\x", "file:///etc/passwd",
	"a\x00b", "x\x00", "\x00", "--", "-", "-x", "--output=x", "--exec=sh", "-e", "-rf", "-1", "\u2010x", "\u2212x", "--\n",
	"$(touch pwned)", "`touch pwned`", "a;touch pwned", "a|b", "a&&b", "a&", "a>b", "<a", "$HOME", "${IFS}x", "*", "?", "[a]", "{a,b}", "!x",
	"#x", "=x", "+x", "@x", "%s", "%00", "%2e%2e/x", "\\", "\\n", "\"", "'", "'\"'\"'", "a\nb", "a\r\nb", "\n", "a\tb", "a b", " a", "a ", "",
	"HEAD:../x", ":(exclude)x", ":/x", "SHELL=/bin/sh", "x:y", "-v /:/x",
	"é", "e\u0301", "日本", "\u202eabc", "\u200bx", "\ufeffx", "\U000e0041x", "\u2028x", "\x1b[31m", "\x7f", "ﬀ", "\uff0d\uff0dx", "\uff0e\uff0e/x",
	strings.Repeat("a", 5000), strings.Repeat("../", 60) + "etc/passwd", strings.Repeat("/", 300),
}

// echoes prints its arguments, each with a NUL behind it, then the variable HOSTILE, then its standard input.
const echoes = `#!/bin/sh
for a; do printf '%s\0' "$a"; done
printf 'variable\0%s\0' "$HOSTILE"
exec cat
`

// injected is one proposal of the suite, and what its program has to be given.
type injected struct {
	id, text string
	where    string   // kind and parameter, for messages
	argv     []string // with those arguments, unless the job is blocked
	variable string
	stdin    string
}

// injectionWorld allows every kind, with a program in place of all others that says what it was given.
func injectionWorld(t *testing.T) *world {
	w := newWorld(t)
	program := filepath.Join(t.TempDir(), "echoes")
	w.check(os.WriteFile(program, []byte(echoes), 0o700))
	var config map[string]any
	w.check(json.Unmarshal([]byte(testConfig), &config))
	gates := config["gates"].(map[string]any)
	gates["env"] = []string{"HOSTILE"}
	gates["exec"] = []any{map[string]any{"program": program, "args": []string{"..."}, "decision": "allow", "unsafe": true}}
	allow := []string{"noop", "exec", "file_read", "file_list", "file_write", "file_patch"}
	shipped, err := filepath.Glob("rules/kinds/*.json")
	w.check(err)
	for _, path := range shipped {
		text, err := os.ReadFile(path)
		w.check(err)
		var file map[string]any
		w.check(json.Unmarshal(text, &file))
		argv := file["argv"].([]any)
		for _, example := range file["examples"].(map[string]any)["match"].([]any) {
			example.(map[string]any)["argv"].([]any)[0] = program
		}
		argv[0] = program
		file["unsafe"] = true
		text, err = json.Marshal(file)
		w.check(err)
		w.write(filepath.Join(w.ws.Kinds(), filepath.Base(path)), string(text))
		allow = append(allow, file["name"].(string))
	}
	gates["kinds"] = map[string]any{"allow": allow, "manual": []string{}, "forbid": []string{}}
	text, err := json.Marshal(config)
	w.check(err)
	w.write(w.ws.Config(), string(text))
	if len(allow) < 11 {
		t.Fatalf("only the kinds %v", allow)
	}
	return w
}

// TestInjection puts every hostile value into every parameter of every kind that runs a program. The program is given the
// arguments that the template has, with the value in its place byte for byte; or the job does not run.
func TestInjection(t *testing.T) {
	w := injectionWorld(t)
	r, err := w.p.Rules(context.Background())
	w.check(err)
	var list []injected
	for _, k := range r.Gates.Kinds() {
		switch {
		case k.Own():
			list = append(list, injectOwn(t, k)...)
		case k.Name == kind.NameExec:
			list = append(list, injectExec(r.Config.Gates.Exec[0].Program)...)
		}
	}
	ran, blocked := w.inject(list)
	t.Logf("%d proposals: %d ran, %d were blocked", len(list), ran, blocked)
	if ran < 500 || blocked < 500 {
		t.Errorf("of %d proposals %d ran and %d were blocked: the suite tries too little", len(list), ran, blocked)
	}
	w.verify()
}

// inject runs the proposals and compares what their programs were given.
func (w *world) inject(list []injected) (ran, blocked int) {
	w.t.Helper()
	for i := 0; i < len(list); i += 500 {
		var lines strings.Builder
		for _, p := range list[i:min(len(list), i+500)] {
			lines.WriteString(p.text + "\n")
		}
		w.drop("operator", fmt.Sprintf("p%d.ready.jsonl", i), lines.String())
		w.tick()
	}
	rows := map[string]indexRow{}
	w.check(w.p.view(context.Background(), func(r *index.Reader) error {
		for _, p := range list {
			row, ok, err := r.Job(p.id)
			if err != nil {
				return err
			}
			if ok {
				rows[p.id] = row
			}
		}
		return nil
	}))
	for _, p := range list {
		row, ok := rows[p.id]
		switch {
		case !ok || row.Status == job.StatusQuarantined:
			blocked++
		case row.Status == job.StatusCompleted:
			ran++
			if complaint := p.compare(w.printed(row)); complaint != "" {
				w.t.Errorf("%s: %.300s: %s", p.where, p.text, complaint)
			}
		default:
			// The path has to be there when the folder to run in is entered: a job that was not begun has done nothing.
			if row.ErrorCode != "NOT_FOUND" && row.ErrorCode != "NOT_A_FOLDER" && row.ErrorCode != "INVALID" {
				w.t.Errorf("%s: %.300s: is %s: %s %s", p.where, p.text, row.Status, row.ErrorCode, row.Error)
			}
			blocked++
		}
	}
	return ran, blocked
}

// printed is what a job wrote to its standard output.
func (w *world) printed(row indexRow) string {
	w.t.Helper()
	doc, err := w.p.resultDocument(row)
	w.check(err)
	var res job.Result
	w.check(json.Unmarshal(doc, &res))
	if res.Stdout.Path == "" {
		return ""
	}
	return w.read(res.Stdout.Path)
}

// compare says how what the program was given differs from what it should be, "" is not at all.
func (p injected) compare(printed string) string {
	want := strings.Join(append(slices.Clone(p.argv[1:]), "variable", p.variable, p.stdin), "\x00")
	if printed != want {
		return fmt.Sprintf("the program was given %.300q, want %.300q", printed, want)
	}
	return ""
}

// injectOwn makes the proposals for a kind of the operator's own. What a benign value makes is taken from its examples; a
// hostile one has to make the same, but for itself.
func injectOwn(t *testing.T, k kind.Kind) (list []injected) {
	t.Helper()
	var file struct {
		Argv   []any
		Params struct {
			Properties map[string]struct {
				Type    string
				Default any
				Items   *struct{ Type string }
			}
		}
		Paths    []string
		Examples struct {
			Match []struct{ Params map[string]any }
		}
	}
	if err := json.Unmarshal(k.Definition, &file); err != nil {
		t.Fatal(err)
	}
	base := file.Examples.Match[0].Params
	for name, p := range file.Params.Properties {
		for _, value := range hostile {
			params := maps.Clone(base)
			if params == nil {
				params = map[string]any{}
			}
			made := maps.Clone(params) // with what stands for what is left out
			for name, p := range file.Params.Properties {
				if _, given := made[name]; !given && p.Default != nil {
					made[name] = p.Default
				}
			}
			params[name] = value
			if p.Type == "array" {
				params[name] = []any{value}
			}
			made[name] = params[name]
			one := injected{where: k.Name + "/" + name, argv: expand(file.Argv, made, func(name string, v string) string {
				if slices.Contains(file.Paths, "/"+name) && v != "." && !strings.HasPrefix(v, "/") && !strings.HasPrefix(v, "./") {
					return "./" + v
				}
				return v
			})}
			list = append(list, one.proposal(k.Name, params, len(list)))
		}
	}
	return list
}

// expand is a second reading of the format of templates, in as few words as possible.
func expand(template []any, params map[string]any, text func(name, value string) string) (argv []string) {
	for _, e := range template {
		switch e := e.(type) {
		case map[string]any:
			if literal, ok := e["literal"].(string); ok {
				argv = append(argv, literal)
			} else if v := params[e["if"].(string)]; v != nil && v != false {
				argv = append(argv, expand(e["then"].([]any), params, text)...)
			}
		case string:
			prefix, rest, isParam := strings.Cut(e, "{")
			if !isParam {
				argv = append(argv, e)
				continue
			}
			name := strings.TrimSuffix(rest, "}")
			values, isList := params[name].([]any)
			if !isList && params[name] != nil {
				values = []any{params[name]}
			}
			for _, v := range values {
				argv = append(argv, prefix+text(name, fmt.Sprint(v)))
			}
		}
	}
	return argv
}

// injectExec makes the proposals for exec: an argument, a variable, the standard input, the folder.
func injectExec(program string) (list []injected) {
	for _, value := range hostile {
		add := func(where string, one injected, params map[string]any) {
			one.where = "exec/" + where
			list = append(list, one.proposal("exec", params, len(list)))
		}
		add("argv", injected{argv: []string{program, "a", value, "b"}}, map[string]any{"argv": []string{program, "a", value, "b"}})
		add("env", injected{argv: []string{program}, variable: value}, map[string]any{"argv": []string{program}, "env": map[string]any{"HOSTILE": value}})
		add("stdin", injected{argv: []string{program}, stdin: value}, map[string]any{"argv": []string{program}, "stdin": value})
		add("cwd", injected{argv: []string{program}}, map[string]any{"argv": []string{program}, "cwd": value})
		add("program", injected{argv: []string{value}}, map[string]any{"argv": []string{value}})
	}
	return list
}

func (p injected) proposal(kindName string, params map[string]any, n int) injected {
	p.id = fmt.Sprintf("%s-%s-%d", kindName, strings.ReplaceAll(p.where[strings.Index(p.where, "/")+1:], "_", "-"), n)
	var text strings.Builder
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(map[string]any{"id": p.id, "max_retries": 0, "payload": map[string]any{"kind": kindName, "params": params}})
	p.text = strings.TrimSpace(text.String())
	return p
}

// TestInjectionIsFound is the negative control: what would come of values that a shell, or a template that joins texts, has
// a say in does not pass for what should be.
func TestInjectionIsFound(t *testing.T) {
	program := "echoes"
	found := 0
	for _, p := range injectExec(program) {
		if !strings.HasSuffix(p.where, "/argv") {
			continue
		}
		naive := strings.Join(append(strings.Fields(strings.Join(p.argv[1:], " ")), "variable", "", ""), "\x00")
		if p.compare(naive) != "" {
			found++
		}
	}
	if found < 8 { // those with white space in them, or nothing
		t.Errorf("only %d values were changed by splitting at blanks", found)
	}
	one := injected{argv: []string{program, "x"}}
	if one.compare("x\x00variable\x00\x00") != "" || one.compare("x\x00-y\x00variable\x00\x00") == "" || one.compare("variable\x00\x00") == "" {
		t.Error("an argument more or less is not seen")
	}
}

// TestInjectionIntoFiles puts the hostile values into the parameters of the kinds that work on files: nothing is read,
// written or listed outside of the root, and content is kept byte for byte.
func TestInjectionIntoFiles(t *testing.T) {
	w := injectionWorld(t)
	const secret = "the secret of the host"
	w.write(filepath.Join(w.ws.Root(), "x"), secret)
	w.write(filepath.Join(w.ws.Root(), "work", "patched"), "a\n")
	var list []injected
	add := func(kindName, name string, params map[string]any) {
		list = append(list, injected{where: kindName + "/" + name}.proposal(kindName, params, len(list)))
	}
	for i, value := range hostile {
		add("file_read", "path", map[string]any{"path": value})
		add("file_list", "path", map[string]any{"path": value})
		add("file_write", "path", map[string]any{"path": value, "content": "written", "mode": "create"})
		add("file_write", "content", map[string]any{"path": fmt.Sprintf("content-%d", i), "content": value, "mode": "create"})
		add("file_write", "mode", map[string]any{"path": "mode", "content": "x", "mode": value})
		add("file_patch", "path", map[string]any{"path": value, "diff": "--- a\n+++ b\n@@ -1 +1 @@\n-a\n+b\n"})
		add("file_patch", "diff", map[string]any{"path": "patched", "diff": "--- " + value + "\n+++ " + value + "\n@@ -1 +1 @@\n-a\n+a\n"})
		add("noop", "more", map[string]any{value: value})
	}
	var lines strings.Builder
	for _, p := range list {
		lines.WriteString(p.text + "\n")
	}
	before := outside(t, w)
	w.drop("operator", "p.ready.jsonl", lines.String())
	w.tick()
	if after := outside(t, w); !maps.Equal(before, after) {
		t.Errorf("outside of the root there is %v, and there was %v", after, before)
	}
	kept := 0
	for _, p := range list {
		row, ok, err := w.p.find(context.Background(), p.id)
		w.check(err)
		if !ok || row.Status != job.StatusCompleted {
			continue
		}
		if printed := w.printed(row); strings.Contains(printed, secret) || strings.Contains(printed, "root:") {
			t.Errorf("%s: %.200s: printed %q", p.where, p.text, printed)
		}
		if p.where != "file_write/content" {
			continue
		}
		kept++
		var sent struct {
			Payload struct{ Params kind.FileWrite }
		}
		w.check(json.Unmarshal([]byte(p.text), &sent))
		if got := w.read("work/" + sent.Payload.Params.Path); got != sent.Payload.Params.Content {
			t.Errorf("%.200s: wrote %.100q", p.text, got)
		}
	}
	if kept < len(hostile)/2 {
		t.Errorf("only %d of %d contents were written", kept, len(hostile))
	}
	w.verify()
}

// outside lists what lies in the workspace beside the root and Sheratan's own, with what is in it.
func outside(t *testing.T, w *world) map[string]string {
	t.Helper()
	files := map[string]string{}
	entries, err := os.ReadDir(w.ws.Root())
	w.check(err)
	for _, e := range entries {
		files[e.Name()] = ""
		if e.Type().IsRegular() {
			files[e.Name()] = w.read(e.Name())
		}
	}
	for _, name := range []string{"pwned", "/pwned", "/x"} {
		if _, err := os.Lstat(name); err == nil {
			t.Errorf("%s was made", name)
		}
	}
	return files
}
