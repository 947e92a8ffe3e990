package gates_test

import (
	"bufio"
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sheratan/sheratan/gates"
	"github.com/sheratan/sheratan/gates/policy"
	"github.com/sheratan/sheratan/pipeline/job"
)

// corpora returns a folder of data made by others, which lies beside the repository.
func corpora(t *testing.T, name string) string {
	t.Helper()
	dir := os.Getenv("SHERATAN_CORPORA")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "corpora")
	}
	dir = filepath.Join(dir, name)
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no corpus: %v (SHERATAN_CORPORA names its folder)", err)
	}
	return dir
}

// TestJSONTestSuite gates every file of the suite. None of them is a proposal, so none may pass; the reports must be
// whole, and what is not JSON must be told from what is no proposal.
func TestJSONTestSuite(t *testing.T) {
	b := newBench(t, nil)
	files, err := filepath.Glob(filepath.Join(corpora(t, "jsontestsuite"), "test_parsing", "*.json"))
	if err != nil || len(files) < 300 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		in := input(string(raw))
		r := b.rules.Evaluate(t.Context(), in)
		wellFormed(t, f, r)
		name := filepath.Base(f)
		switch {
		case r.NextAction != job.Quarantine || r.Approved() || r.Overridable():
			t.Errorf("%s: %s %s", name, r.Verdict, r.NextAction)
		case strings.HasPrefix(name, "n_") && in.ParseErr == nil:
			t.Errorf("%s: was parsed", name)
		case in.ParseErr != nil && codes(r, "G1")[0] != string(in.ParseErr.Code):
			t.Errorf("%s: %s was reported as %v", name, in.ParseErr.Code, codes(r, "G1"))
		}
	}
}

// wellFormed checks what is true of every report.
func wellFormed(t testing.TB, name string, r job.Report) {
	t.Helper()
	if len(r.Gates) != 5 {
		t.Fatalf("%s: %d gates", name, len(r.Gates))
	}
	status, action := job.Pass, job.Allow
	for i, g := range r.Gates {
		if want := []string{"G0", "G1", "G2", "G3", "G4"}[i]; g.GateID != want {
			t.Errorf("%s: gate %d is %s", name, i, g.GateID)
		}
		if g.Reasons == nil || g.Evidence == nil || g.Suggestions == nil {
			t.Errorf("%s: %s: a member is null", name, g.GateID)
		}
		if (g.Status == job.Pass) != (len(g.Reasons) == 0) {
			t.Errorf("%s: %s: %s with %d reasons", name, g.GateID, g.Status, len(g.Reasons))
		}
		for _, x := range g.Reasons {
			if x.Code == gates.CodeGateError {
				t.Errorf("%s: %s: %s", name, g.GateID, x.Message)
			}
			if !known(x.Code, g.GateID) || x.Message == "" || strings.ContainsAny(x.Message, "\n\r\x1b") {
				t.Errorf("%s: %s: reason %+v", name, g.GateID, x)
			}
		}
		status, action = status.Stricter(g.Status), action.Stricter(g.NextAction)
	}
	if r.Verdict != status || r.NextAction != action {
		t.Errorf("%s: verdict %s %s, the strictest are %s %s", name, r.Verdict, r.NextAction, status, action)
	}
}

func known(code, gate string) bool {
	for _, r := range gates.Reasons {
		if r.Code == code {
			return r.Gate == gate || r.Gate == "*"
		}
	}
	return false
}

// lines calls fn with the lines of all text files of a corpus, as they are and percent-decoded once and twice.
func lines(t *testing.T, dir string, fn func(line string)) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".txt" {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		s := bufio.NewScanner(f)
		s.Buffer(nil, 1<<20)
		for s.Scan() {
			line := strings.ReplaceAll(s.Text(), "{FILE}", "etc/passwd")
			for range 3 {
				fn(line)
				decoded, err := url.PathUnescape(line)
				if err != nil || decoded == line {
					break
				}
				line = decoded
			}
		}
		return s.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
}

// escapes reports whether a path that was let through would leave the root or enter a .git, by the plainest means: what
// the path is after joining and cleaning.
func escapes(root, path string) bool {
	full := filepath.Join(root, path)
	if filepath.IsAbs(path) {
		full = filepath.Clean(path)
	}
	inside := full == root || strings.HasPrefix(full, root+"/")
	return !inside || strings.Contains(strings.ToLower(full[len(root):]), "/.git") || strings.ContainsRune(path, 0)
}

func TestTraversalLists(t *testing.T) {
	dir := corpora(t, "payloadsallthethings")
	b := newBench(t, nil)
	root := filepath.Join(b.dir, "work")
	let, refused := 0, 0
	lines(t, dir, func(line string) {
		text, _ := json.Marshal(line)
		var said string
		if err := json.Unmarshal(text, &said); err != nil {
			t.Fatal(err)
		}
		r := b.gate(`{"payload":{"kind":"file_read","params":{"path":` + string(text) + `}}}`)
		if r.NextAction == job.Quarantine {
			refused++
			return
		}
		let++
		if escapes(root, said) {
			t.Errorf("%q is let through", said)
		}
	})
	if refused < 10000 {
		t.Errorf("only %d paths were refused, %d let through: is the corpus whole?", refused, let)
	}
	t.Logf("%d refused, %d are harmless names inside the root", refused, let)
}

// yes is the check that the test above must be able to tell from a real one.
type yes struct{}

func (yes) Check(string) error { return nil }

func (yes) OpenFile(path string) (*os.File, error) { return os.Open(path) }

func TestTraversalListsControl(t *testing.T) {
	b := newBench(t, nil)
	b.cfg.Gates.Exec = nil
	rules, err := gates.Compile(b.cfg, gates.Environment{Kinds: kinds(), Policies: b.files, Roots: yes{}})
	if err != nil {
		t.Fatal(err)
	}
	b.rules = rules
	n := 0
	lines(t, filepath.Join(corpora(t, "payloadsallthethings"), "Directory Traversal"), func(line string) {
		if n > 0 {
			return // one is proof
		}
		text, _ := json.Marshal(line)
		r := b.gate(`{"payload":{"kind":"file_read","params":{"path":` + string(text) + `}}}`)
		if r.NextAction != job.Quarantine && escapes("/root", line) {
			n++
		}
	})
	if n == 0 {
		t.Error("without the check of the roots, nothing escapes: the other test proves nothing")
	}
}

// TestCommandInjection puts the lists of commands into the argument of a program that takes file names. There is no
// shell, so none of them is a danger; but none may match a rule that is about names.
func TestCommandInjection(t *testing.T) {
	b := newBench(t, nil)
	n := 0
	lines(t, filepath.Join(corpora(t, "payloadsallthethings"), "Command Injection"), func(line string) {
		n++
		if r := b.gate(execOf("cat", line)); r.NextAction != job.Quarantine {
			t.Errorf("%q is let through", line)
		}
	})
	if n < 100 {
		t.Errorf("%d lines", n)
	}
}

// TestBrokenParts takes the parts that the gates rely on away, one by one. Each failure is a refusal, and the other
// gates report all the same.
func TestBrokenParts(t *testing.T) {
	b := newBench(t, nil)
	raw := `{"payload":{"kind":"file_read","params":{"path":"x"}}}`
	for name, tt := range map[string]struct {
		roots  gates.PathChecker
		policy string
		want   string
	}{
		"roots that panic":             {panics{}, "false", "GATE_ERROR"},
		"roots with a foreign error":   {foreign{}, "false", "PATH_REFUSED"},
		"a rule that asks for nothing": {b.roots, "params.nothing == 1", "POLICY_ERROR"},
		"a rule without an end": {b.roots, `[1,2,3,4,5,6,7,8,9,10].all(a, [1,2,3,4,5,6,7,8,9,10].all(b, [1,2,3,4,5,6,7,8,9,10].all(c,
			[1,2,3,4,5,6,7,8,9,10].all(d, [1,2,3,4,5,6,7,8,9,10].all(e, [1,2,3,4,5,6,7,8,9,10].all(f, a+b+c+d+e+f > 0))))))`, "POLICY_ERROR"},
	} {
		t.Run(name, func(t *testing.T) {
			b.cfg.Gates.Exec = nil
			rules, err := gates.Compile(b.cfg, gates.Environment{Kinds: kinds(), Roots: tt.roots, Policies: []policy.File{{
				Schema: policy.Schema, ID: "p", Rules: []policy.Rule{{ID: "r", When: tt.policy, Level: job.Advisory, Message: "m"}},
			}}})
			if err != nil {
				t.Fatal(err)
			}
			r := rules.Evaluate(t.Context(), input(raw))
			if len(r.Gates) != 5 || r.NextAction != job.Quarantine || r.Overridable() || !strings.Contains(dump(r), tt.want) {
				t.Error(dump(r))
			}
			n := 0
			for _, g := range r.Gates {
				if g.Status == job.Pass {
					n++
				}
			}
			if n != 4 {
				t.Errorf("%d gates pass, want the 4 others\n%s", n, dump(r))
			}
		})
	}
}

type panics struct{ yes }

func (panics) Check(string) error { panic("roots: broken") }

type foreign struct{ yes }

func (foreign) Check(string) error { return os.ErrDeadlineExceeded }
