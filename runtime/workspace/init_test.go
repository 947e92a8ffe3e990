package workspace

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

var emptyConfig = []InitFile{
	{Path: "config/sheratan.json", Data: []byte("{}\n"), Mode: 0o600},
	{Path: "AGENTS.md", Data: []byte("# hello\n"), Mode: 0o644},
}

func makeAt(t *testing.T, o InitOptions) (*Plan, []string) {
	t.Helper()
	p, err := PlanInit(o)
	if err != nil {
		t.Fatal(err)
	}
	made, err := p.Make(emptyConfig)
	if err != nil {
		t.Fatal(err)
	}
	return p, made
}

func resolved(t *testing.T, dir string) string {
	t.Helper()
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	return real
}

func TestInitMakesWhatItLists(t *testing.T) {
	dir := resolved(t, t.TempDir())
	p, made := makeAt(t, InitOptions{Cwd: dir})
	if p.Workspace.Root() != dir {
		t.Errorf("made at %s", p.Workspace.Root())
	}
	listed := map[string]bool{}
	for _, name := range made {
		listed[strings.TrimSuffix(name, "/")] = true
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		rel := p.Workspace.Rel(path)
		if !listed[rel] {
			t.Errorf("%s is not listed", rel)
		}
		delete(listed, rel)
		info, err := d.Info()
		if err != nil {
			return err
		}
		if d.IsDir() && info.Mode().Perm() != 0o700 {
			t.Errorf("%s has mode %v", rel, info.Mode())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range listed {
		t.Errorf("%s is listed and not there", name)
	}
	if len(p.Roots) != 1 || p.Roots[0] != "work" {
		t.Errorf("roots %q", p.Roots)
	}
}

func TestInitInWorkTree(t *testing.T) {
	tree := resolved(t, t.TempDir())
	if out, err := exec.Command("git", "init", "-q", tree).CombinedOutput(); err != nil {
		t.Skipf("git: %v %s", err, out)
	}
	sub := tree + "/src"
	write(t, sub+"/main.go", "package main\n")
	p, _ := makeAt(t, InitOptions{Cwd: sub})
	if p.Workspace.Root() != sub+"/sheratan" || len(p.Roots) != 1 || p.Roots[0] != "../.." {
		t.Errorf("made at %s with roots %q", p.Workspace.Root(), p.Roots)
	}
	for path, ignored := range map[string]bool{"runtime/inbox/a.json": true, "config/sheratan.json": false} {
		err := exec.Command("git", "-C", tree, "check-ignore", "-q", sub+"/sheratan/"+path).Run()
		if (err == nil) != ignored {
			t.Errorf("%s: ignored is %t", path, err == nil)
		}
	}
	for _, from := range []string{sub, sub + "/sheratan", sub + "/sheratan/runtime/inbox"} {
		if w, err := Find(from, "", ""); err != nil || w.Root() != p.Workspace.Root() {
			t.Errorf("from %s: %v, %v", from, w, err)
		}
	}
}

func TestInitRefuses(t *testing.T) {
	ws := newWorkspace(t)
	full := resolved(t, t.TempDir())
	write(t, full+"/file", "x")
	empty := func() string { return resolved(t, t.TempDir()) }
	target := empty()
	for name, c := range map[string]struct {
		o    InitOptions
		want string
	}{
		"not empty":        {InitOptions{Cwd: full}, "is not empty"},
		"a file":           {InitOptions{Cwd: full, Dir: "file"}, "not a directory"},
		"already one":      {InitOptions{Cwd: ws.Root()}, "is a workspace already"},
		"nested":           {InitOptions{Cwd: ws.Work(), Dir: "inner"}, "lies in the workspace " + ws.Root()},
		"root in config":   {InitOptions{Cwd: target, Roots: []string{"config/x"}}, "cannot be a root"},
		"root in runtime":  {InitOptions{Cwd: target, Roots: []string{"runtime"}}, "cannot be a root"},
		"root in missions": {InitOptions{Cwd: target, Roots: []string{"missions/.."}}, ""},
		"root in .git":     {InitOptions{Cwd: target, Roots: []string{full + "/.git"}}, "cannot be a root"},
		"root missing":     {InitOptions{Cwd: target, Roots: []string{"/nowhere/at/all"}}, "cannot be a root"},
		"root a file":      {InitOptions{Cwd: target, Roots: []string{full + "/file"}}, "is not a folder"},
		"agent unknown":    {InitOptions{Cwd: target, Agents: []string{"no-such-user-here"}}, "no-such-user-here"},
		"agent is me":      {InitOptions{Cwd: target, Agents: []string{"root"}, Owner: &Owner{0, 0}}, "agent root"},
		"agent is inbox":   {InitOptions{Cwd: target, Agents: []string{"inbox"}}, "no valid one"},
		"agent is a path":  {InitOptions{Cwd: target, Agents: []string{"../x"}}, "no valid one"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := PlanInit(c.o)
			if c.want == "" {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
	if left, err := os.ReadDir(target); err != nil || len(left) != 0 {
		t.Errorf("a refused init left %v, %v", left, err)
	}
	// What leads to the forbidden place by a link is refused as well.
	if err := os.Symlink(target+"/runtime", full+"/link"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(target+"/runtime", 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, target+"/"+marker, "")
	if _, err := PlanInit(InitOptions{Cwd: target, Roots: []string{full + "/link"}}); err == nil {
		t.Error("a link into runtime/ is accepted as a root")
	}
}

func TestInitFinishesWhatAnEarlierOneBegan(t *testing.T) {
	dir := resolved(t, t.TempDir())
	p, err := PlanInit(InitOptions{Cwd: dir})
	if err != nil {
		t.Fatal(err)
	}
	// It fails on the file before the last, as a full disk would make it.
	if _, err := p.Make(append([]InitFile{{Path: "no/such/folder", Mode: 0o600}}, emptyConfig...)); err == nil {
		t.Fatal("it did not fail")
	}
	if _, err := Open(dir); err == nil {
		t.Fatal("half a workspace counts as one")
	}
	makeAt(t, InitOptions{Cwd: dir})
	if _, err := Open(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(dir + "/" + marker); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("marker: %v", err)
	}
}

// as runs a shell command as another user.
func as(uid, gid int, script string) error {
	cmd := exec.Command("/bin/sh", "-c", script)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

func TestAgentReachesItsFoldersAndNothingElse(t *testing.T) {
	needRoot(t)
	// Not t.TempDir: its parents are closed to other users.
	base, err := os.MkdirTemp("/tmp", "sheratan-agent-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(base)
	if err := os.Chmod(base, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, owner := range map[string]*Owner{"operator is root": nil, "operator is not": {UID: 4711, GID: 4712}} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(base, strings.ReplaceAll(name, " ", "-"))
			p, _ := makeAt(t, InitOptions{Cwd: base, Dir: dir, Agents: []string{"daemon"}, Owner: owner})
			if len(p.Warnings) > 0 {
				t.Errorf("warnings %q", p.Warnings)
			}
			w := p.Workspace
			z := w.Zones(nil)
			if err := z.PutReply("daemon", "j1", []byte("{}\n")); err != nil {
				t.Fatal(err)
			}
			if err := z.PutReply("other", "j2", []byte("{}\n")); err != nil {
				t.Fatal(err)
			}
			if err := z.Put(w.Approved("j1"), []byte("{}\n")); err != nil {
				t.Fatal(err)
			}
			type user struct{ uid, gid int }
			daemon, nobody := user{p.Agents[0].UID, p.Agents[0].GID}, user{65534, 65534}
			for _, c := range []struct {
				who     user
				script  string
				allowed bool
			}{
				{daemon, "echo '{}' > " + w.InboxOf("daemon") + "/p.json", true},
				{daemon, "cat " + w.Reply("daemon", "j1"), true},
				{daemon, "ls " + w.Replies("daemon"), true},
				{daemon, "cat " + w.Agents(), true},
				{daemon, "cat " + w.Config(), false},
				{daemon, "ls " + w.Root(), false},
				{daemon, "ls " + w.Inbox(), false},
				{daemon, "touch " + w.Inbox() + "/x.json", false},
				{daemon, "mkdir " + w.InboxOf("operator"), false},
				{daemon, "mv " + w.InboxOf("daemon") + " " + w.Inbox() + "/operator", false},
				{daemon, "cat " + w.Reply("other", "j2"), false},
				{daemon, "cat " + w.Approved("j1"), false},
				{daemon, "ls " + w.State(), false},
				{daemon, "ls " + w.LedgerDir(), false},
				{daemon, "ls " + w.Work(), false},
				{nobody, "ls " + w.InboxOf("daemon"), false},
				{nobody, "touch " + w.InboxOf("daemon") + "/y.json", false},
				{nobody, "cat " + w.Reply("daemon", "j1"), false},
			} {
				if err := as(c.who.uid, c.who.gid, c.script); (err == nil) != c.allowed {
					t.Errorf("uid %d: %s: %v", c.who.uid, c.script, err)
				}
			}
			if owner != nil {
				for _, script := range []string{"cat " + w.InboxOf("daemon") + "/p.json", "cat " + w.Config(), "ls " + w.State(),
					"mv " + w.InboxOf("daemon") + "/p.json " + w.ClaimedDir() + "/x"} {
					if err := as(owner.UID, owner.GID, script); err != nil {
						t.Errorf("the operator: %s: %v", script, err)
					}
				}
				return
			}
			checks := w.Probe(t.Context(), ProbeOptions{Now: later()})
			if c := find(checks, "separation"); c.Status != HealthOK || !strings.Contains(c.Detail, "daemon") {
				t.Errorf("separation: %+v", c)
			}
			for _, c := range checks {
				if c.Status == HealthBad {
					t.Errorf("%+v", c)
				}
			}
			if err := os.Chmod(w.RepliesDir(), 0o700); err != nil {
				t.Fatal(err)
			}
			if c := find(w.Probe(t.Context(), ProbeOptions{Now: later()}), "agent daemon"); c.Status != HealthBad || c.Fix != "chmod o+x "+w.RepliesDir() {
				t.Errorf("closed folder of replies: %+v", c)
			}
		})
	}
}
