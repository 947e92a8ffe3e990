package main

import (
	"bytes"
	"compress/zlib"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/sheratan/sheratan/cmd/sheratan/internal/cli"
	"github.com/sheratan/sheratan/pipeline/job"
)

// TestDemo runs scripts/demo.sh, the set of proposals in testdata/demo from the inbox to the ledger, and compares what
// became of each with testdata/demo/expected.txt.
func TestDemo(t *testing.T) {
	t.Parallel()
	if id := cli.InsideJob(os.Getenv); id != "" {
		t.Skipf("inside job %s: the demo approves a job, which no job may do", id)
	}
	d := runDemo(t)

	jobs := d.jobs(t)
	golden := filepath.Join("..", "..", "testdata", "demo", "expected.txt")
	got := outcomes(jobs)
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("what became of the proposals:\n%swant:\n%s", got, want)
	}

	t.Run("every proposal is there", func(t *testing.T) {
		files := map[string]bool{}
		for _, j := range jobs {
			files[j.Provenance.File] = true
		}
		for _, name := range append(names(t, "../../testdata/demo/proposals"), "35-link.json") {
			if !files[name] {
				t.Errorf("%s: no job came of it", name)
			}
		}
		if left := names(t, d.ws+"/runtime/inbox/agent"); len(left) > 0 {
			t.Errorf("left in the inbox: %q", left)
		}
	})
	t.Run("the ledger verifies", func(t *testing.T) {
		var v struct {
			OK   bool
			Size int
		}
		if err := json.Unmarshal([]byte(d.sheratan(t, "ledger", "verify", "--json")), &v); err != nil || !v.OK || v.Size < 100 {
			t.Errorf("%+v, %v", v, err)
		}
		if _, err := exec.LookPath("git"); err != nil {
			t.Skip("git is not installed")
		}
		out, err := exec.Command("git", "-C", d.ws+"/runtime", "fsck", "--no-dangling", "--strict").CombinedOutput()
		if err != nil || strings.TrimSpace(string(out)) != "" {
			t.Errorf("git fsck: %v\n%s", err, out)
		}
	})
	t.Run("replies", func(t *testing.T) {
		for id, want := range map[string]string{
			"count-lines":    `"exit_code":0`,
			"checksum-again": `  go.sum\n"`, // what the job with the same key printed
			"traversal":      `"code":"TRAVERSAL"`,
			"too-slow":       `timed out after 1s`,
			"credential":     `"code":"CREDENTIAL"`,
			"write-report":   `"status":"completed"`,
		} {
			text, err := os.ReadFile(d.ws + "/runtime/outbox/replies/agent/" + id + ".json")
			if err != nil || !bytes.Contains(text, []byte(want)) {
				t.Errorf("%s: %v\n%s\nwant %s", id, err, text, want)
			}
		}
	})
	t.Run("nothing outside the roots", d.outside)
	t.Run("no credential", d.credential)
	t.Run("shown", func(t *testing.T) {
		for _, want := range []string{
			`(?m)^\$ sheratan policy suggest disk-usage --write$`,
			`(?m)^disk-usage  approved  PASS$`,
			`(?m)^\$ sheratan logs disk-usage\n[0-9]+\tdocs$`,
			`(?m)^third-time-lucky  completed  exec `,
			`(?m)^ok: [0-9]+ events, root [0-9a-f]{64}$`,
			`(?m)^# Report$`,
		} {
			if !regexp.MustCompile(want).MatchString(d.output) {
				t.Errorf("not shown: %s in\n%s", want, d.output)
			}
		}
	})
}

// demo is a demo that has been run.
type demo struct {
	dir, ws, output string
}

func runDemo(t *testing.T) demo {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	program, err := exec.LookPath("sheratan")
	if err != nil {
		t.Fatal(err)
	}
	d := demo{dir: filepath.Join(dir, "demo")}
	d.ws = filepath.Join(d.dir, "repo", "sheratan")
	cmd := exec.Command("sh", filepath.Join("..", "..", "scripts", "demo.sh"), d.dir)
	cmd.Env = append(os.Environ(), "SHERATAN="+program, "SHERATAN_JOB_ID=", "TZ=UTC", "NO_COLOR=1")
	out, err := cmd.CombinedOutput()
	d.output = string(out)
	if err != nil {
		t.Fatalf("demo.sh: %v\n%s", err, out)
	}
	return d
}

// sheratan runs a command in the demo's workspace.
func (d demo) sheratan(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("sheratan", append(args, "--workspace", d.ws)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%q: %v\n%s", args, err, stderr.Bytes())
	}
	return string(out)
}

func (d demo) jobs(t *testing.T) []job.Job {
	t.Helper()
	var jobs []job.Job
	dec := json.NewDecoder(strings.NewReader(d.sheratan(t, "jobs", "--json")))
	for {
		var j job.Job
		err := dec.Decode(&j)
		if err == io.EOF {
			return jobs
		}
		if err != nil {
			t.Fatal(err)
		}
		jobs = append(jobs, j)
	}
}

// outcomes is the table of what became of each proposal: its file, the status of the job, how it ended, and what the
// gates said. Nothing in it depends on when and where it ran.
func outcomes(jobs []job.Job) string {
	lines := make([]string, 0, len(jobs))
	for _, j := range jobs {
		file := j.Provenance.File
		if j.Provenance.Line > 0 {
			file = fmt.Sprintf("%s:%d", file, j.Provenance.Line)
		}
		lines = append(lines, strings.Join([]string{file, string(j.Status), ending(j), findings(j)}, "\t"))
	}
	slices.Sort(lines)
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 1, 2, ' ', 0)
	for _, l := range lines {
		fmt.Fprintln(w, l)
	}
	w.Flush()
	return regexp.MustCompile(`(?m) +$`).ReplaceAllString(b.String(), "")
}

// ending is the code of the last result and the number of retries, or whose outcome it is, "-" before there is one.
func ending(j job.Job) string {
	var r job.Result
	if len(j.Result) == 0 || json.Unmarshal(j.Result, &r) != nil {
		return "-"
	}
	switch {
	case r.DeduplicatedOf != "":
		return "as " + r.DeduplicatedOf
	case r.ErrorCode != "":
		return r.ErrorCode
	case j.RetryCount > 0:
		return fmt.Sprintf("after %d retries", j.RetryCount)
	}
	return "done"
}

// findings lists gates that did not pass, each with its codes and their places.
func findings(j job.Job) string {
	var list []string
	for _, g := range j.GateDecisions {
		var codes []string
		for _, r := range g.Reasons {
			code := r.Code
			if r.Pointer != "" {
				code += "@" + r.Pointer
			}
			codes = append(codes, code)
		}
		if len(codes) > 0 {
			list = append(list, g.GateID+" "+strings.Join(codes, " "))
		}
	}
	return strings.Join(list, "; ")
}

// outside asserts that no job, allowed or not, left anything where it has no business.
func (d demo) outside(t *testing.T) {
	if got := names(t, d.dir); !slices.Equal(got, []string{"bin", "gates.txt", "outside", "proposals", "repo"}) {
		t.Errorf("beside the root: %q", got)
	}
	for _, dir := range []string{"outside", "bin"} {
		want := []string{}
		if dir == "bin" {
			want = []string{"flaky"}
		}
		if got := names(t, filepath.Join(d.dir, dir)); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", dir, got, want)
		}
	}
	source := names(t, "../..")
	for _, name := range names(t, filepath.Join(d.dir, "repo")) {
		if !slices.Contains(source, name) && !slices.Contains([]string{".flaky", "REPORT.md", "sheratan"}, name) {
			t.Errorf("in the root: %s", name)
		}
	}
	if got := names(t, d.ws+"/config"); !slices.Equal(got, []string{"kinds", "policies", "sheratan.json", "trust"}) {
		t.Errorf("config: %q", got)
	}
	config, err := os.ReadFile(d.ws + "/config/sheratan.json")
	if err != nil || !bytes.Contains(config, []byte(`"forbid": ["file_patch"]`)) {
		t.Errorf("config: %v\n%s", err, config)
	}
}

// credential asserts that the credential which the script made up is nowhere below runtime but in private/: not in the
// ledger, the documents, git, the index, the replies or the files of the job.
func (d demo) credential(t *testing.T) {
	proposal, err := os.ReadFile(d.dir + "/proposals/26-credential.json")
	if err != nil {
		t.Fatal(err)
	}
	secret := regexp.MustCompile(`ghp_[0-9a-f]{36}`).Find(proposal)
	if secret == nil {
		t.Fatalf("no credential in %s", proposal)
	}
	private := filepath.Join(d.ws, "runtime", ".sheratan", "private") + "/"
	files, objects, kept := 0, 0, 0
	err = filepath.WalkDir(d.ws, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		if strings.Contains(path, "/runtime/.git/objects/") {
			if z, err := zlib.NewReader(bytes.NewReader(text)); err == nil {
				if text, err = io.ReadAll(z); err != nil {
					return fmt.Errorf("%s: %w", path, err)
				}
				objects++
			}
		}
		switch found := bytes.Contains(text, secret); {
		case found && strings.HasPrefix(path, private):
			kept++
		case found:
			t.Errorf("%s: has the credential", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 50 || objects < 20 {
		t.Errorf("looked at %d files and %d git objects only", files, objects)
	}
	if kept != 1 {
		t.Errorf("the credential is kept in %d private documents, want 1", kept)
	}
	if strings.Contains(d.output, string(secret)) {
		t.Error("the credential was printed")
	}
}

// names lists what is in a folder, sorted.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	list := make([]string, 0, len(entries))
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}
