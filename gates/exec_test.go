package gates_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/sheratan/sheratan/gates"
)

// TestManyInOne puts several programs into one file, as busybox does. A rule for one of them must not let a proposal
// name the file itself, which would then choose the program by its arguments.
func TestManyInOne(t *testing.T) {
	dir := t.TempDir()
	box := filepath.Join(dir, "busybox")
	if err := os.WriteFile(box, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"echo", "sh", "python3"} {
		to := box
		if name == "python3" {
			to = filepath.Join(dir, "python3.12")
			if err := os.WriteFile(to, []byte("#!/bin/sh\n"), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	b := newBench(t, nil)
	rules, err := gates.Compile(func() gates.Config {
		c := gates.DefaultConfig()
		c.Gates.Exec = []gates.ExecRule{
			{Program: "sh", Args: []string{"x"}, Decision: gates.DecisionForbid},
			{Program: "echo", Args: []string{"..."}, Decision: gates.DecisionAllow},
			{Program: "python3", Args: []string{"a.py"}, Decision: gates.DecisionAllow},
			{Program: "python3.12", Args: []string{"..."}, Decision: gates.DecisionForbid, Unsafe: true},
		}
		return c
	}(), gates.Environment{Policies: b.files, Kinds: kinds(), Roots: b.roots, Resolve: gates.NewResolver([]string{dir}),
		Digest: func(string) (string, error) { return "00", nil }})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		argv []string
		want gates.Decision
	}{
		{[]string{"echo", "sh"}, gates.DecisionAllow},
		{[]string{filepath.Join(dir, "echo"), "x"}, gates.DecisionAllow},
		{[]string{box, "sh", "-c", "x"}, gates.NoRule},
		{[]string{"busybox", "sh"}, gates.NoRule},
		{[]string{"sh", "x"}, gates.DecisionForbid},
		{[]string{"python3", "a.py"}, gates.DecisionForbid}, // the same program under another name
		{[]string{filepath.Join(dir, "python3.12"), "a.py"}, gates.DecisionForbid},
		{nil, gates.NoRule},
		{[]string{""}, gates.NoRule},
	} {
		if d := rules.Exec(tt.argv); d.Decision != tt.want {
			t.Errorf("%q: %s, want %s", tt.argv, d.Decision, tt.want)
		}
	}
	if d := rules.Exec([]string{"echo"}); d.Program != box || d.SHA256 != "00" || d.Rule != 1 {
		t.Errorf("%+v", d)
	}
	if p := rules.Programs(); len(p) != 4 || p[1].Name != "echo" || p[1].Real != box {
		t.Errorf("%+v", p)
	}
}

// TestProgramInRoot names a program in a root by all spellings of its path, and changes it.
func TestProgramInRoot(t *testing.T) {
	b := newBench(t, nil)
	work := filepath.Join(b.dir, "work")
	outside := filepath.Join(t.TempDir(), "interpreter")
	for path, text := range map[string]string{filepath.Join(work, "sub/run.sh"): "1", outside: "2", filepath.Join(work, ".git/hook"): "3", filepath.Join(b.dir, "config/x"): "4"} {
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{"venv": outside, "to-config": filepath.Join(b.dir, "config/x")} {
		if err := os.Symlink(target, filepath.Join(work, name)); err != nil {
			t.Fatal(err)
		}
	}
	compile := func(rules ...gates.ExecRule) (*gates.Rules, error) {
		c := gates.DefaultConfig()
		c.Gates.Exec = rules
		return gates.Compile(c, gates.Environment{Policies: b.files, Kinds: kinds(), Roots: b.roots, Base: work, Resolve: gates.NewResolver(nil),
			Digest: func(path string) (string, error) { text, err := os.ReadFile(path); return string(text), err }})
	}
	allow := func(program string) gates.ExecRule {
		return gates.ExecRule{Program: program, Args: []string{"a|b"}, Decision: gates.DecisionAllow, InRoot: true}
	}
	forbid := gates.ExecRule{Program: filepath.Join(work, "sub/run.sh"), Args: []string{"b"}, Decision: gates.DecisionForbid, InRoot: true}
	rules, err := compile(allow("./sub/run.sh"), forbid, allow("./venv"), allow("./later"))
	if err != nil {
		t.Fatal(err)
	}
	for _, spelling := range []string{"./sub/run.sh", "sub/run.sh", filepath.Join(work, "sub/run.sh")} {
		if d := rules.Exec([]string{spelling, "a"}); d.Decision != gates.DecisionAllow || !d.InRoot || d.SHA256 != "1" || d.Program != filepath.Join(work, "sub/run.sh") {
			t.Errorf("%s: %+v", spelling, d)
		}
		if d := rules.Exec([]string{spelling, "b"}); d.Decision != gates.DecisionForbid {
			t.Errorf("%s: %+v", spelling, d)
		}
	}
	for _, other := range []string{"run.sh", "later", "../sub/run.sh", "sub/../sub/run.sh", "venv"} {
		if d := rules.Exec([]string{other, "a"}); d.Decision != gates.NoRule {
			t.Errorf("%s: %+v", other, d)
		}
	}
	if d := rules.Exec([]string{"./venv", "a"}); d.Program != outside || d.SHA256 != "2" {
		t.Errorf("%+v", d)
	}
	if d := rules.Exec([]string{"./later", "a"}); !d.Missing {
		t.Errorf("%+v", d)
	}
	if err := os.WriteFile(filepath.Join(work, "later"), []byte("5"), 0o755); err != nil {
		t.Fatal(err)
	}
	if d := rules.Exec([]string{"./later", "a"}); d.Missing || d.SHA256 != "5" {
		t.Errorf("a program that was built: %+v", d)
	}
	if err := os.Remove(filepath.Join(work, "venv")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(b.dir, "config/x"), filepath.Join(work, "venv")); err != nil {
		t.Fatal(err)
	}
	if d := rules.Exec([]string{"./venv", "a"}); !d.Missing {
		t.Errorf("a link that was turned to what is closed: %+v", d)
	}
	notSaid := allow("./sub/run.sh")
	notSaid.InRoot = false
	for name, bad := range map[string]gates.ExecRule{
		"outside": allow(outside), "a name": allow("run.sh"), "dots": allow("./../config/x"), "git": allow("./.git/hook"), "a link to config": allow("./to-config"),
		"not said": notSaid, "empty": allow(""), "unclean": allow(work + "//sub/run.sh"),
	} {
		if _, err := compile(bad); err == nil {
			t.Errorf("%s: loads", name)
		}
	}
	if _, err := compile(allow("./sub/run.sh"), func() gates.ExecRule { r := allow(filepath.Join(work, "sub/run.sh")); r.InRoot = false; return r }()); err == nil {
		t.Error("two rules that do not agree on it load")
	}
}

// TestClosedArguments: an argument that names a closed folder is refused in every spelling, relative to the folder that the job works
// in, with ".." and through links.
func TestClosedArguments(t *testing.T) {
	b := newBench(t, nil)
	work, elsewhere := filepath.Join(b.dir, "work"), t.TempDir()
	if err := os.MkdirAll(filepath.Join(elsewhere, "deep/er"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"out": filepath.Join(elsewhere, "deep/er"), "sub/up": "..", "../side": "runtime"} {
		if err := os.Symlink(target, filepath.Join(work, name)); err != nil {
			t.Fatal(err)
		}
	}
	back, err := filepath.Rel(elsewhere, b.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		arg, cwd string
		closed   bool
	}{
		{filepath.Join(b.dir, "config/sheratan.json"), "", true},
		{"../config/sheratan.json", "", true},
		{work + "/../config/x", "", true},
		{"../runtime", "", true},
		{"../side/inbox", "", true},
		{"--file=../config/sheratan.json", "", true},
		{"../../config/x", "sub", true},
		{"sub/../../config/x", "", true},
		{"sub/up/../config/x", "", true}, // the kernel goes up from where the link leads
		{"out/../../" + back + "/config/x", "", true},
		{"./.././/config", "", true},
		{"../config", work + "/sub", false}, // that is work/config
		{"config/x", "", false},
		{"../other/x", "", false},
		{"../../config/x", "", false},
		{"x..y", "", false},
		{"...", "", false},
		{strings.Repeat("../", 2000) + "config", "", false}, // longer than any path
	} {
		params := map[string]any{"argv": []string{"true", tt.arg}}
		if tt.cwd != "" {
			params["cwd"] = tt.cwd
		}
		raw, err := json.Marshal(map[string]any{"payload": map[string]any{"kind": "exec", "params": params}})
		if err != nil {
			t.Fatal(err)
		}
		closed := false
		for _, g := range b.rules.Evaluate(t.Context(), input(string(raw))).Gates {
			for _, r := range g.Reasons {
				closed = closed || r.Code == "FORBIDDEN_PATH" && r.Pointer == "/payload/params/argv/1"
			}
		}
		if closed != tt.closed {
			t.Errorf("%q in %q: closed %t, want %t", tt.arg, tt.cwd, closed, tt.closed)
		}
	}
}

var strict = []gates.Decision{gates.DecisionAllow, gates.DecisionAsk, gates.DecisionForbid}

func genRule(t *rapid.T) gates.ExecRule {
	return gates.ExecRule{
		Program:  rapid.SampledFrom([]string{"true", "false", "/usr/bin/true"}).Draw(t, "program"),
		Args:     rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "a|b", ".*", "[ab]?"}), 0, 3).Draw(t, "args"),
		Decision: rapid.SampledFrom(strict).Draw(t, "decision"),
		Rerun:    rapid.SampledFrom([]string{"", "safe"}).Draw(t, "rerun"),
	}
}

// TestAddingARuleNeverLoosens adds a rule to rules, and compares what they say of command lines that some rule was about
// already.
func TestAddingARuleNeverLoosens(t *testing.T) {
	b := newBench(t, nil)
	rapid.Check(t, func(rt *rapid.T) {
		list := rapid.SliceOfN(rapid.Custom(genRule), 1, 4).Draw(rt, "rules")
		more := append(slices.Clone(list), genRule(rt))
		compile := func(rules []gates.ExecRule) *gates.Rules {
			c := b.cfg
			c.Gates.Exec = rules
			r, err := b.compile(c)
			if err != nil {
				rt.Fatal(err)
			}
			return r
		}
		before, after := compile(list), compile(more)
		for _, argv := range argvs() {
			x, y := before.Exec(argv), after.Exec(argv)
			if slices.Index(strict, y.Decision) < slices.Index(strict, x.Decision) {
				rt.Fatalf("%q: %s became %s", argv, x.Decision, y.Decision)
			}
			if x.Decision == y.Decision && y.RerunSafe && !x.RerunSafe && x.Decision != gates.NoRule {
				rt.Fatalf("%q became safe to rerun", argv)
			}
		}
	})
}

func argvs() [][]string {
	var all [][]string
	for _, p := range []string{"true", "false", "/usr/bin/true"} {
		all = append(all, []string{p})
		for _, a := range []string{"a", "b", "c", ""} {
			all = append(all, []string{p, a}, []string{p, a, "a"}, []string{p, a, "b", "c"})
		}
	}
	return all
}

func TestSuggest(t *testing.T) {
	b := newBench(t, nil)
	for _, tt := range []struct {
		name        string
		allow, deny [][]string
		want        string
	}{
		{"one", [][]string{{"go", "vet", "./..."}}, nil, `[go [vet \./\.\.\.]]`},
		{"two that differ in one place", [][]string{{"go", "vet", "."}, {"go", "test", "."}}, [][]string{{"go", "run", "."}}, `[go [vet|test \.]]`},
		{"two that differ in two places", [][]string{{"p", "a", "x"}, {"p", "b", "y"}}, nil, `[p [a x]] [p [b y]]`},
		{"a product", [][]string{{"p", "a", "x"}, {"p", "a", "y"}, {"p", "b", "x"}, {"p", "b", "y"}}, nil, `[p [a x|y]] [p [b x|y]]`},
		{"an empty argument", [][]string{{"p", "", "x"}, {"p", "a", "x"}}, nil, `[p [|a x]]`},
		{"alternatives that would let a denied one through", [][]string{{"p", "a", "x"}, {"p", "b", "y"}}, [][]string{{"p", "a", "y"}}, `[p [a x]] [p [b y]]`},
		{"lengths", [][]string{{"p"}, {"p", "a"}}, nil, `[p []] [p [a]]`},
		{"programs", [][]string{{"p", "a"}, {"q", "a"}}, nil, `[p [a]] [q [a]]`},
		{"dots as an argument", [][]string{{"p", "..."}}, [][]string{{"p", "abc"}}, `[p [\.\.\.]]`},
		{"expression as an argument", [][]string{{"p", "a|b", "(x)*"}}, [][]string{{"p", "a", ""}}, `[p [a\|b \(x\)\*]]`},
		{"the same twice", [][]string{{"p", "a"}, {"p", "a"}}, nil, `[p [a]]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rules, err := gates.Suggest(tt.allow, tt.deny, outsideRoots)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, r := range rules {
				got += fmt.Sprintf(" [%s %v]", r.Program, r.Args)
			}
			if got[1:] != tt.want {
				t.Errorf("got %s, want %s", got[1:], tt.want)
			}
			for i := range rules {
				if slices.Contains(rules[i].Args, "...") {
					t.Errorf("%v has a rest", rules[i])
				}
				if rules[i].Program == "p" || rules[i].Program == "go" || rules[i].Program == "q" {
					rename(&rules[i])
				}
			}
			c := b.cfg
			c.Gates.Exec = rules
			if _, err := b.compile(c); err != nil {
				t.Errorf("the suggestion does not load: %v", err)
			}
		})
	}
	if _, err := gates.Suggest([][]string{{"p"}}, [][]string{{"p"}}, outsideRoots); err == nil {
		t.Error("allowed and denied at once")
	}
	if _, err := gates.Suggest(nil, nil, outsideRoots); err == nil {
		t.Error("nothing to allow")
	}
	if _, err := gates.Suggest([][]string{{}}, nil, outsideRoots); err == nil {
		t.Error("no program")
	}
}

func outsideRoots(string) bool { return false }

// rename makes a rule about a program that exists.
func rename(r *gates.ExecRule) {
	old := r.Program
	r.Program = "true"
	for _, list := range [][][]string{r.Match, r.NoMatch} {
		for i := range list {
			if list[i][0] == old {
				list[i] = append([]string{"true"}, list[i][1:]...)
			}
		}
	}
}

// TestSuggestIsExact draws command lines and checks that the suggestion matches the allowed ones and none that is denied.
func TestSuggestIsExact(t *testing.T) {
	b := newBench(t, nil)
	argv := rapid.Custom(func(t *rapid.T) []string {
		return append([]string{rapid.SampledFrom([]string{"true", "false"}).Draw(t, "program")},
			rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "a|b", "...", ".*", "", "x y", "(?i)a", "\n"}), 0, 3).Draw(t, "args")...)
	})
	rapid.Check(t, func(rt *rapid.T) {
		allow := rapid.SliceOfN(argv, 1, 4).Draw(rt, "allow")
		deny := slices.DeleteFunc(rapid.SliceOfN(argv, 0, 4).Draw(rt, "deny"), func(d []string) bool {
			return slices.ContainsFunc(allow, func(a []string) bool { return slices.Equal(a, d) })
		})
		rules, err := gates.Suggest(allow, deny, outsideRoots)
		if err != nil {
			rt.Fatal(err)
		}
		c := b.cfg
		c.Gates.Exec = rules
		r, err := b.compile(c)
		if err != nil {
			rt.Fatalf("does not load: %v", err)
		}
		for _, a := range allow {
			if r.Exec(a).Decision != gates.DecisionAllow {
				rt.Fatalf("%q is not allowed by %v", a, rules)
			}
		}
		for _, d := range append(argvsOf(allow), deny...) {
			asked := slices.ContainsFunc(allow, func(a []string) bool { return slices.Equal(a, d) })
			if !asked && r.Exec(d).Decision != gates.NoRule {
				rt.Fatalf("%q is allowed by %v", d, rules)
			}
		}
	})
}

// argvsOf makes every command line of one or two arguments out of the words of these.
func argvsOf(lines [][]string) (all [][]string) {
	for _, p := range lines {
		for _, x := range lines {
			for _, y := range lines {
				if len(x) > 1 && len(y) > 2 {
					all = append(all, []string{p[0], x[1]}, []string{p[0], x[1], y[2]}, []string{p[0], y[2], x[1]})
				}
			}
		}
	}
	return all
}

func TestSuggestKind(t *testing.T) {
	b := newBench(t, func(c *gates.Config) {
		c.Gates.Kinds = gates.KindLists{Allow: []string{"exec"}, Manual: []string{"file_patch"}}
	})
	for name, want := range map[string]string{
		"file_read": "/gates/kinds/allow false <nil>", "file_write": "/gates/kinds/manual true <nil>", "file_patch": "/gates/kinds/allow false <nil>",
		"exec": " false exec: the kind is allowed already",
	} {
		pointer, manual, err := b.rules.SuggestKind(name)
		if got := fmt.Sprint(pointer, " ", manual, " ", err); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if _, _, err := b.rules.SuggestKind("teleport"); err == nil {
		t.Error("a kind that is not there")
	}
}

func TestResolver(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	for name, mode := range map[string]os.FileMode{"run": 0o755, "data": 0o644} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(other, "link")
	if err := os.Symlink(filepath.Join(dir, "run"), link); err != nil {
		t.Fatal(err)
	}
	real, err := filepath.EvalSymlinks(filepath.Join(dir, "run"))
	if err != nil {
		t.Fatal(err)
	}
	look := gates.NewResolver([]string{"relative", other, dir})
	for _, tt := range []struct {
		program string
		want    gates.Found
		err     bool
	}{
		{"run", gates.Found{Path: filepath.Join(dir, "run"), Real: real}, false},
		{"link", gates.Found{Path: link, Real: real}, false},
		{link, gates.Found{Path: link, Real: real}, false},
		{"data", gates.Found{}, true}, {"folder", gates.Found{}, true}, {"nothing", gates.Found{}, true},
		{"../run", gates.Found{}, true}, {"..", gates.Found{}, true}, {"", gates.Found{}, true}, {filepath.Join(dir, "nothing"), gates.Found{}, true},
	} {
		if got, err := look(tt.program); got != tt.want || (err != nil) != tt.err {
			t.Errorf("%q: %+v, %v", tt.program, got, err)
		}
	}
}
