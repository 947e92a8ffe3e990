package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/url"
	"os"

	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sheratan/sheratan/runtime/workspace"
	"github.com/sheratan/sheratan/schemas"
)

// corpora returns a folder of test data that is not part of the repository: $SHERATAN_CORPORA, or shared/corpora beside it.
func corpora(t *testing.T, name string) string {
	t.Helper()
	root := os.Getenv("SHERATAN_CORPORA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "corpora")
	}
	dir := filepath.Join(root, name)
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("%s is not here; set SHERATAN_CORPORA to the folder that has it", name)
	}
	return dir
}

// jobLine is what these tests want to know of a line of sheratan jobs --json.
type jobLine struct {
	JobID      string `json:"job_id"`
	Status     string `json:"status"`
	Provenance struct {
		File   string `json:"file"`
		Source string `json:"source"`
	} `json:"provenance"`
	Payload struct {
		Kind   string `json:"kind"`
		Params struct {
			Path string `json:"path"`
		} `json:"params"`
	} `json:"payload"`
	Gates []struct {
		NextAction string `json:"next_action"`
		Reasons    []struct {
			Code string `json:"code"`
		} `json:"reasons"`
	} `json:"gate_decisions"`
	Result struct {
		Stdout struct {
			Text string `json:"text"`
		} `json:"stdout"`
	} `json:"result"`
}

// reasons are the codes of all gates.
func (j *jobLine) reasons() []string {
	var list []string
	for _, g := range j.Gates {
		for _, r := range g.Reasons {
			list = append(list, r.Code)
		}
	}
	return list
}

// parseCodes are the reasons for which a text is no document.
var parseCodes = []string{string(schemas.CodeNotUTF8), string(schemas.CodeSyntax), string(schemas.CodeDuplicateKey),
	string(schemas.CodeTrailingData), string(schemas.CodeTooDeep), string(schemas.CodeTooLarge),
	string(schemas.CodeNumberChanged), string(schemas.CodeEmpty)}

func (j *jobLine) unparsed() bool {
	return slices.ContainsFunc(j.reasons(), func(c string) bool { return slices.Contains(parseCodes, c) })
}

// TestJSONTestSuite drops every file of nst/JSONTestSuite into the inbox, as cp does, and one proposal beside them. One
// tick parses what must parse, blocks what must not with its bytes kept, and runs the proposal.
func TestJSONTestSuite(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(corpora(t, "jsontestsuite"), "test_parsing")
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) < 300 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	s := newSite(t)
	for _, f := range files {
		s.write(filepath.Join("runtime/inbox", filepath.Base(f)), readFile(t, f))
	}
	s.write("runtime/inbox/other.json", []byte(`{"id":"other","payload":{"kind":"noop","params":{}}}`))
	time.Sleep(2100 * time.Millisecond) // what does not parse is taken once it has not changed for two seconds
	begun := time.Now()
	s.must("tick")
	t.Logf("%d files in %v", len(files), time.Since(begun).Round(time.Millisecond))

	byFile := map[string]jobLine{}
	for _, j := range s.jobs() {
		byFile[j.Provenance.File] = j
	}
	if got := byFile["other.json"]; got.Status != "completed" {
		t.Errorf("the proposal beside them is %q, want completed", got.Status)
	}
	counts := map[byte]int{}
	for _, f := range files {
		name := filepath.Base(f)
		j, ok := byFile[workspace.EscapeName(name)]
		counts[name[0]]++
		duplicate := strings.HasPrefix(name, "y_object_duplicated_key") // RFC 8259 allows them, we do not
		switch {
		case !ok:
			t.Errorf("%s: became no job", name)
		case j.Status != "quarantined": // even what parses is no proposal
			t.Errorf("%s: is %s", name, j.Status)
		case name[0] == 'y' && j.unparsed() != duplicate:
			t.Errorf("%s: parsed: %t, reasons %q", name, !j.unparsed(), j.reasons())
		case name[0] == 'n' && !j.unparsed():
			t.Errorf("%s: parsed, must be refused: %q", name, j.reasons())
		case j.unparsed():
			kept, err := os.ReadFile(s.path("runtime/queue/blocked", j.JobID, "raw"))
			if err != nil || !bytes.Equal(kept, readFile(t, f)) {
				t.Errorf("%s: its bytes were not kept: %d bytes, %v", name, len(kept), err)
			}
		}
	}
	if counts['y'] < 90 || counts['n'] < 180 || counts['i'] < 30 {
		t.Errorf("files by kind: %v", counts)
	}
	if left, _ := os.ReadDir(s.path("runtime/inbox")); len(left) != 0 {
		t.Errorf("%d entries are left in the inbox", len(left))
	}
	s.must("ledger", "verify")
}

// canary is the content of every file that no job may see, and a part of the name of one.
const canary = "canary-3d1f86a2"

// What jobs are to write, and what others make of it.
const (
	written = "written by a job\n"
	patched = "changed by a job\n"
)

// TestTraversalLists makes each line of the public lists of path traversals, as it is and percent-decoded once and twice,
// the path of a proposal. The gates judge all of them. What they let through, or an operator could, is approved and
// executed for every kind that takes a path, and so is a part of what they refuse, which nobody can approve. Afterwards
// nothing outside the root has changed, and nothing from outside is in any result.
func TestTraversalLists(t *testing.T) {
	t.Parallel()
	all := append(slices.Clone(ours), payloads(t)...)
	s := newTraversalSite(t)
	before := s.outside()

	// The verdict on a path is the same for every kind, so one kind is enough for all of the lists.
	verdicts := lines[struct {
		NextAction string `json:"next_action"`
	}](t, s.stdin(proposals("file_read", all), 3, "gate", "--dry-run", "--json", "-"))
	if len(verdicts) != len(all) {
		t.Fatalf("%d verdicts on %d proposals", len(verdicts), len(all))
	}
	var open, refused []string
	for i, v := range verdicts {
		if v.NextAction == "QUARANTINE" {
			refused = append(refused, all[i])
		} else {
			open = append(open, all[i])
		}
	}
	t.Logf("%d payloads: %d are refused, %d are ordinary names", len(all), len(refused), len(open))
	if len(refused) < 10000 {
		t.Errorf("only %d are refused: are the lists whole?", len(refused))
	}
	step := 100
	if os.Getenv("SHERATAN_LONG") != "" {
		step = 1
	}
	open, refused = every(open, step), every(refused, 2*step)
	for _, kind := range []string{"file_write", "file_patch", "file_read", "file_list"} {
		s.stdin(proposals(kind, open), -1, "gate", "--exit-zero", "-")
		if waiting := s.blocked("REQUIRE_OPERATOR_ACK"); len(waiting) > 0 {
			s.stdin(idLines(waiting), 0, "approve", "-")
		}
		s.must("tick", "--linger", "0s")
	}
	for _, kind := range []string{"file_write", "file_patch", "file_read", "file_list"} {
		s.stdin(proposals(kind, refused), 3, "gate", "-")
	}
	hard := s.blocked("QUARANTINE")
	for _, id := range every(hard, max(1, len(hard)/20)) {
		s.fails(1, []string{"is not for an operator to allow"}, "approve", id)
	}
	s.must("tick", "--linger", "0s")

	ended := map[string]int{}
	for _, j := range s.jobs() {
		ended[j.Payload.Kind+" "+j.Status]++
		s.check(&j)
	}
	t.Logf("%v", ended)
	for _, want := range []string{"file_write completed", "file_patch completed", "file_read completed", "file_list completed", "file_read failed",
		"file_read quarantined", "file_list quarantined", "file_write quarantined", "file_patch quarantined"} {
		if ended[want] == 0 {
			t.Errorf("no job is %s: %v", want, ended)
		}
	}
	for state, n := range ended {
		if !strings.HasSuffix(state, " completed") && !strings.HasSuffix(state, " failed") && !strings.HasSuffix(state, " quarantined") {
			t.Errorf("%d jobs: %s", n, state)
		}
	}
	if after := s.outside(); after != before {
		t.Errorf("something changed outside the root:\n%s\nwas\n%s", after, before)
	}
	for _, name := range s.reveals() {
		t.Errorf("%s: has what no job may see", name)
	}
	s.must("ledger", "verify")
}

// TestTraversalListsControl shows that the lists find a way out of what joins paths, and that the search for what was
// revealed finds what is there.
func TestTraversalListsControl(t *testing.T) {
	t.Parallel()
	s := newTraversalSite(t)
	caught := 0
	for _, p := range payloads(t) {
		if b, err := os.ReadFile(s.path("work", p)); err == nil && bytes.Contains(b, []byte(canary)) {
			caught++
		}
	}
	if caught == 0 {
		t.Error("the lists find nothing outside, even without any check")
	}
	s.write("work/planted.txt", []byte(canary))
	s.must("submit", "--wait", "--kind", "file_read", "--param", "path=planted.txt")
	if len(s.reveals()) == 0 {
		t.Error("a job read what it may not see, and the search does not find it")
	}
	before := s.outside()
	s.write("config/new.json", nil)
	if s.outside() == before {
		t.Error("a file was made outside the root, and the snapshots are equal")
	}
}

// ours are spellings of places that are there, beside those of the lists.
var ours = []string{"inside.txt", "sub", ".", "sub/../inside.txt", "../config/sheratan.json", "./../outside/secret", "link/secret",
	"link", "filelink", ".git/config", ".GIT/config", ".git", "sub/.git/config", "sub//..//../outside/secret", "hard.txt",
	"link/../config/sheratan.json", "../runtime/outbox/ledger.jsonl", "/etc/passwd", "//etc/passwd", "sub/.. /outside", ".git./config",
	"back/config/sheratan.json", "back/runtime/outbox/ledger.jsonl", "proc/self/environ", "loop/x", "git~1/config", ".g\u200cit/config"}

// payloads returns the lines of the lists, with the placeholder replaced by what is there to be found.
func payloads(t *testing.T) []string {
	t.Helper()
	dir := corpora(t, "payloadsallthethings")
	seen, all := map[string]bool{}, []string(nil)
	add := func(s string) {
		for range 3 {
			if s = strings.ToValidUTF8(s, "\uFFFD"); !seen[s] && s != "" {
				seen[s] = true
				all = append(all, s)
			}
			decoded, err := url.PathUnescape(s)
			if err != nil {
				return
			}
			s = decoded
		}
	}
	for _, list := range []string{"Directory Traversal", "File Inclusion"} {
		err := filepath.WalkDir(filepath.Join(dir, list), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			for s := bufio.NewScanner(bytes.NewReader(readFile(t, path))); s.Scan(); {
				if !strings.Contains(s.Text(), "{FILE}") {
					add(s.Text())
					continue
				}
				for _, file := range []string{"etc/passwd", "config/sheratan.json", "outside/secret", ".git/config"} {
					add(strings.ReplaceAll(s.Text(), "{FILE}", file))
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// proposals are JSON lines that ask for kind at each path.
func proposals(kind string, paths []string) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	modes := []string{"create", "overwrite", "append"}
	for i, p := range paths {
		params := map[string]any{"path": p}
		switch kind {
		case "file_write":
			params["content"], params["mode"] = written, modes[i%3]
		case "file_patch":
			params["diff"] = "@@ -1 +1 @@\n-" + written + "+" + patched
		}
		_ = enc.Encode(map[string]any{"max_retries": 0, "payload": map[string]any{"kind": kind, "params": params}})
	}
	return b.Bytes()
}

// every takes one of n, and of those that are ours all.
func every(list []string, n int) []string {
	var out []string
	for i, s := range list {
		if i%n == 0 || slices.Contains(ours, s) {
			out = append(out, s)
		}
	}
	return out
}

// traversalSite is a workspace with things around it that jobs may not reach.
type traversalSite struct{ *site }

func newTraversalSite(t *testing.T) *traversalSite {
	t.Helper()
	s := &traversalSite{newSite(t)}
	text := []byte(canary)
	for _, name := range []string{"../outside/secret", "../outside/" + canary, "../etc/passwd", "../config/sheratan.json",
		"missions/secret.json", "config/secret", "work/.git/config", "work/sub/.git/config", "../windows/system32/drivers/etc/hosts",
		"../boot.ini", "../.git/config"} {
		s.write(name, text)
	}
	s.write("work/inside.txt", []byte("inside"))
	s.write("work/sub/file.txt", []byte("inside"))
	for link, to := range map[string]string{"link": "../../outside", "filelink": "../../outside/secret", "back": "..", "loop": "loop"} {
		if err := os.Symlink(to, s.path("work", link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Link(s.path("../outside/secret"), s.path("work/hard.txt")); err != nil {
		t.Fatal(err)
	}
	s.setConfig(`"operators": { "scripts": false }`, `"operators": { "scripts": true }`)
	return s
}

// blocked lists the blocked jobs that the gates gave this next action.
func (s *traversalSite) blocked(action string) []string {
	s.t.Helper()
	var ids []string
	for _, j := range lines[jobLine](s.t, s.must("jobs", "--json", "--status", "quarantined")) {
		strictest := ""
		for _, g := range j.Gates {
			if g.NextAction == "QUARANTINE" || strictest == "" || strictest == "ALLOW" {
				strictest = g.NextAction
			}
		}
		if strictest == action {
			ids = append(ids, j.JobID)
		}
	}
	return ids
}

func idLines(ids []string) []byte {
	var b bytes.Buffer
	for _, id := range ids {
		fmt.Fprintf(&b, "{\"job_id\":%q}\n", id)
	}
	return b.Bytes()
}

// check looks at what a job got.
func (s *traversalSite) check(j *jobLine) {
	s.t.Helper()
	text := j.Result.Stdout.Text
	if j.Status != "completed" {
		return
	}
	switch j.Payload.Kind {
	case "file_read":
		if text != "inside" && text != written && text != patched {
			s.t.Errorf("file_read %q: read %q", j.Payload.Params.Path, text)
		}
	case "file_list":
		names := strings.SplitAfter(text, "\n")
		for _, name := range names[:len(names)-1] { // behind the last newline is nothing, or the part of a name
			name = strings.TrimSuffix(name, "\n")
			if _, err := os.Lstat(s.path("work", j.Payload.Params.Path, name)); err != nil {
				s.t.Errorf("file_list %q: %q is not in the root: %v", j.Payload.Params.Path, name, err)
			}
			if strings.EqualFold(strings.Trim(name, "/"), ".git") {
				s.t.Errorf("file_list %q: names %q", j.Payload.Params.Path, name)
			}
		}
	}
}

// outside describes everything that jobs may not change: all but the root without .git, and what the pipeline writes.
func (s *traversalSite) outside() string {
	s.t.Helper()
	var b strings.Builder
	base := filepath.Dir(s.ws)
	err := filepath.WalkDir(base, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(base, path)
		inRuntime := strings.HasPrefix(rel, "ws/runtime/") && strings.Count(rel, "/") > 1
		if inRuntime || strings.HasPrefix(rel, "ws/work/") && !strings.Contains(rel, "/.git") {
			return nil
		}
		fmt.Fprintf(&b, "%q %v", rel, d.Type())
		if d.Type().IsRegular() && rel != "sheratan" {
			content, err := os.ReadFile(path)
			fmt.Fprintf(&b, " %q %v", content, err)
		}
		b.WriteByte('\n')
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return b.String()
}

// reveals lists the files that jobs and the pipeline wrote and that have a canary, or lines of the machine's own files.
func (s *traversalSite) reveals() []string {
	s.t.Helper()
	var found []string
	err := filepath.WalkDir(s.path("runtime"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		if b := readFile(s.t, path); bytes.Contains(b, []byte(canary)) || bytes.Contains(b, []byte("root:x:0:0")) {
			found = append(found, path)
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return found
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// lines decodes JSON lines.
func lines[T any](t *testing.T, text []byte) []T {
	t.Helper()
	var list []T
	for line := range bytes.Lines(text) {
		var v T
		if err := json.Unmarshal(line, &v); err != nil {
			t.Fatalf("%.200s: %v", line, err)
		}
		list = append(list, v)
	}
	return list
}
