package agent

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sheratan/sheratan/pipeline/job"
)

// hostileRoot makes the root a repository whose configuration names a program for everything by which git can be made to run one.
// Each leaves a line in the file ran.
func hostileRoot(t *testing.T, root string, drivers bool) (ran string, git func(args ...string)) {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	traps := t.TempDir()
	ran = filepath.Join(traps, "ran")
	t.Setenv("HOME", traps)
	t.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	git = func(args ...string) {
		t.Helper()
		cmd := exec.Command("git", args...)
		cmd.Dir = root
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %q: %v\n%s", args, err, out)
		}
	}
	trap := func(name string) string {
		path := filepath.Join(traps, name)
		if err := os.WriteFile(path, fmt.Appendf(nil, "#!/bin/sh\necho %s >> %s\ncat\n", name, ran), 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	git("init", "-q", "-b", "main")
	for name, content := range map[string]string{"a.txt": "one\n", "b.dat": "x\n", ".gitattributes": "*.txt filter=a=b diff=evil\n*.dat filter=process diff=evil2\n"} {
		put(t, filepath.Join(root, name), content)
	}
	git("add", ".")
	git("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false", "commit", "-q", "-m", "one")
	// A signature is what git has its program look at.
	show := exec.Command("git", "cat-file", "commit", "HEAD")
	show.Dir = root
	commit, err := show.Output()
	if err != nil {
		t.Fatal(err)
	}
	head, message, _ := strings.Cut(string(commit), "\n\n")
	store := exec.Command("git", "hash-object", "-w", "-t", "commit", "--stdin")
	store.Dir = root
	store.Stdin = strings.NewReader(head + "\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n x\n -----END PGP SIGNATURE-----\n\n" + message)
	signed, err := store.Output()
	if err != nil {
		t.Fatal(err)
	}
	git("update-ref", "HEAD", strings.TrimSpace(string(signed)))
	// An included file is how a configuration can lie in the work tree.
	included := fmt.Sprintf("[core]\n fsmonitor = %s\n pager = %s\n[filter \"a=b\"]\n clean = %s\n smudge = %s\n required = true\n[filter \"process\"]\n process = %s\n[log]\n showSignature = true\n[gpg]\n program = %s\n[alias]\n status = !%s\n own = !%[7]s\n[trailer \"own\"]\n key = own\n cmd = %s\n[tar \"own\"]\n command = %s\n",
		trap("fsmonitor"), trap("pager"), trap("clean"), trap("smudge"), trap("process"), trap("gpg"), trap("alias"), trap("trailer"), trap("tar"))
	if drivers {
		included += fmt.Sprintf("[diff]\n external = %s\n[diff \"evil\"]\n textconv = %s\n[diff \"evil2\"]\n command = %s\n", trap("external"), trap("textconv"), trap("command"))
	}
	put(t, filepath.Join(root, "included"), included)
	git("config", "include.path", "../included")
	if err := os.MkdirAll(filepath.Join(root, "hooks"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(trap("hook"), filepath.Join(root, "hooks/post-index-change")); err != nil {
		t.Fatal(err)
	}
	git("config", "core.hooksPath", "hooks")
	put(t, filepath.Join(root, "a.txt"), "one\ntwo\n")
	put(t, filepath.Join(root, "b.dat"), "x\ny\n")
	return ran, git
}

// TestQuietGit looks at a repository with a hostile configuration. The control is the same command without our protection: it
// runs programs of the configuration.
func TestQuietGit(t *testing.T) {
	// A rule may have settings of its own, as the config of init does.
	f := newFixture(t, func(o *Options) {
		o.Env = append(o.Env, "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.bareRepository", "GIT_CONFIG_VALUE_0=explicit", "GIT_OPTIONAL_LOCKS=1")
	})
	root := filepath.Join(f.ws, "work")
	ran, _ := hostileRoot(t, root, true)
	traps := func() string {
		text, err := os.ReadFile(ran)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		os.Remove(ran)
		return strings.Join(strings.Fields(string(text)), " ")
	}
	traps()
	for _, tt := range []struct {
		argv    []string
		control bool // unprotected, it runs something
		code    string
		text    string // a part of the output, or of the error
	}{
		{[]string{"git", "status", "--short"}, true, "", "M a.txt"},
		{[]string{"git", "ls-files"}, true, "", "a.txt"},
		{[]string{"git", "diff", "--no-ext-diff", "--no-textconv"}, true, "", "+two"},
		{[]string{"git", "diff", "--no-ext-diff", "--no-textconv", "--cached"}, true, "", ""},
		{[]string{"git", "diff", "--no-ext-diff", "--no-textconv", "--stat", "HEAD"}, true, "", "a.txt"},
		{[]string{"git", "show", "--no-ext-diff", "--no-textconv", "HEAD"}, true, "", "+one"},
		{[]string{"git", "log", "--no-ext-diff", "--no-textconv", "--oneline"}, true, "", "one"},
		{[]string{"git", "log", "--no-ext-diff", "--no-textconv", "--format=%s %G?"}, true, "", "one"},
		{[]string{"git", "diff"}, true, CodeRefused, "names a program that git would run"},
		{[]string{"git", "show", "HEAD"}, true, CodeRefused, "names a program that git would run"},
		{[]string{"git", "log", "-p"}, true, CodeRefused, "names a program that git would run"},
		{[]string{"git", "-C", ".", "status"}, true, CodeRefused, "may have git look at another repository"},
		{[]string{"git", "--git-dir=.git", "status"}, true, CodeRefused, "may have git look at another repository"},
		{[]string{"git", "status", "--ignore-submodules=none"}, true, CodeRefused, "may have git look at another repository"},
		{[]string{"git", "-c", "core.abbrev=9", "--no-pager", "status", "--short"}, true, "", "M a.txt"},
		{[]string{"git", "status", "-v"}, true, CodeRefused, "names a program that git would run"},
		{[]string{"git", "status", "-uno", "--verb"}, true, CodeRefused, "names a program that git would run"},
	} {
		cmd := exec.Command(tt.argv[0], tt.argv[1:]...)
		cmd.Dir = root
		cmd.Env = append(os.Environ(), "GIT_OPTIONAL_LOCKS=1")
		_ = cmd.Run() // the programs of the configuration break some of them
		if got := traps(); tt.control != (got != "") {
			t.Errorf("%q without protection ran %q, so it tests nothing", tt.argv, got)
		}
		r := f.do(t, "exec", object{"argv": tt.argv}, 30)
		if r.ErrorCode != tt.code || !strings.Contains(f.stdout(t, r)+r.Error, tt.text) {
			t.Errorf("%q: %s %s\n%s", tt.argv, r.ErrorCode, r.Error, f.stdout(t, r))
		}
		if got := traps(); got != "" {
			t.Errorf("%q ran %s", tt.argv, got)
		}
	}
}

// TestQuietGitWithoutDrivers: where no programs for differences are named, git diff needs no words for it.
func TestQuietGitWithoutDrivers(t *testing.T) {
	f := newFixture(t)
	root := filepath.Join(f.ws, "work")
	ran, _ := hostileRoot(t, root, false)
	for _, tt := range []struct {
		argv []string
		code string
		text string
	}{
		{[]string{"git", "diff"}, "", "+two"},
		{[]string{"git", "own"}, CodeExit, ""},
		{[]string{"git", "interpret-trailers", "--trailer", "own: x", "a.txt"}, "", "two"},
		{[]string{"git", "archive", "--format=own", "HEAD"}, CodeExit, ""},
	} {
		os.Remove(ran)
		cmd := exec.Command(tt.argv[0], tt.argv[1:]...)
		cmd.Dir = root
		_ = cmd.Run()
		if _, err := os.Stat(ran); err != nil {
			t.Errorf("%q without protection runs nothing, so it tests nothing", tt.argv)
		}
		os.Remove(ran)
		r := f.do(t, "exec", object{"argv": tt.argv}, 30)
		// Git may write to a program that is not there any more.
		if r.ErrorCode != tt.code && (tt.code != CodeExit || r.ErrorCode != CodeSignal) {
			t.Errorf("%q: %s", tt.argv, dump(r))
		}
		if text, err := os.ReadFile(ran); err == nil || !strings.Contains(f.stdout(t, r), tt.text) {
			t.Errorf("%q: ran %s, %s", tt.argv, text, f.stdout(t, r))
		}
	}
}

// TestGitOfJobsThatWrite: a job that may change the root has git as it is, with its filters.
func TestGitOfJobsThatWrite(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.Access = func(job.Job) Access { return Access{WriteRoots: true} } })
	ran, _ := hostileRoot(t, filepath.Join(f.ws, "work"), false)
	os.Remove(ran)
	f.do(t, "exec", object{"argv": []string{"git", "diff", "--stat"}}, 30)
	if text, _ := os.ReadFile(ran); !strings.Contains(string(text), "clean") {
		t.Errorf("ran %q", text)
	}
}

// TestGitSettingsThatCannotBeRead: an included file that never ends stops the job before git runs.
func TestGitSettingsThatCannotBeRead(t *testing.T) {
	f := newFixture(t)
	root := filepath.Join(f.ws, "work")
	_, git := hostileRoot(t, root, false)
	put(t, filepath.Join(root, "included"), "[")
	want(t, f.do(t, "exec", object{"argv": []string{"git", "status"}}, 30), CodeRefused, "the git settings of")
	put(t, filepath.Join(root, "included"), "")
	git("status")
}

// TestGitSettingsAreBounded: the git that lists the settings runs outside of the sandbox, so that a job neither fills our memory
// with them nor decides by its environment where that git writes.
func TestGitSettingsAreBounded(t *testing.T) {
	f := newFixture(t)
	root := filepath.Join(f.ws, "work")
	_, git := hostileRoot(t, root, false)
	program, err := exec.LookPath("git")
	if err != nil {
		t.Fatal(err)
	}
	trace := filepath.Join(t.TempDir(), "trace")
	env := append(os.Environ(), "GIT_TRACE="+trace)
	names, err := gitSettings(t.Context(), program, root, env)
	if err != nil || !slices.Contains(names, "filter.process.process") {
		t.Errorf("%q, %v", names, err)
	}
	if _, err := os.Stat(trace); err == nil {
		t.Error("git wrote where the environment of the job said")
	}
	cmd := exec.Command(program, "config", "--list")
	cmd.Dir, cmd.Env = root, env
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if _, err := os.Stat(trace); err != nil {
		t.Fatalf("control: %v", err)
	}
	put(t, filepath.Join(root, "included"), "[a]\n"+strings.Repeat("name = x\n", maxGitSettings/len("a.name\x00")+1))
	if _, err := gitSettings(t.Context(), program, root, env); err == nil {
		t.Error("more settings than there may be were read")
	}
	put(t, filepath.Join(root, "included"), "")
	git("status")
}
