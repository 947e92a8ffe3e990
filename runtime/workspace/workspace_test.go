package workspace

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func find(checks []Check, name string) Check {
	for _, c := range checks {
		if c.Name == name {
			return c
		}
	}
	return Check{}
}

func TestPathsAreThoseOfTheDesign(t *testing.T) {
	w := At("/w")
	day := time.Date(2026, 3, 4, 23, 59, 0, 0, time.FixedZone("", -3600))
	for got, want := range map[string]string{
		w.Config():                        "/w/config/sheratan.json",
		w.Approved("j"):                   "/w/runtime/queue/approved/j.json",
		w.Blocked("j"):                    "/w/runtime/queue/blocked/j",
		w.Result("j", day):                "/w/runtime/outbox/results/2026/03/05/00/j.json",
		w.ResultFile("j", day, ".stdout"): "/w/runtime/outbox/results/2026/03/05/00/j.stdout",
		w.Reply("s", "j"):                 "/w/runtime/outbox/replies/s/j.json",
		w.InboxOf("s"):                    "/w/runtime/inbox/s",
		w.InboxOf("inbox"):                "/w/runtime/inbox",
		w.IndexDB():                       "/w/runtime/.sheratan/index.db",
		w.LockFile():                      "/w/runtime/.sheratan/lock",
		w.LedgerDir():                     "/w/runtime/outbox/ledger",
		w.Rel("/w/runtime/x"):             "runtime/x",
		w.Rel("/wx/runtime"):              "/wx/runtime",
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestFind(t *testing.T) {
	w := newWorkspace(t)
	elsewhere := t.TempDir()
	deep := w.Work() + "/a/b"
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	link := elsewhere + "/link"
	if err := os.Symlink(w.Root(), link); err != nil {
		t.Fatal(err)
	}
	for _, c := range [][3]string{{deep, "", ""}, {elsewhere, w.Root(), "/nowhere"}, {elsewhere, "", w.Root()},
		{elsewhere, "link", ""}, {link + "/work", "", ""}} {
		got, err := Find(c[0], c[1], c[2])
		if err != nil || got.Root() != resolved(t, w.Root()) {
			t.Errorf("%q: %v, %v", c, got, err)
		}
	}
	for _, c := range []struct{ dir, flag, env, want string }{
		{elsewhere, "", "", elsewhere + ": no workspace here or in a parent folder"},
		{elsewhere, elsewhere, "", "--workspace: " + resolved(t, elsewhere) + ": not a workspace: config/sheratan.json is missing"},
		{deep, "", "/nowhere", "$SHERATAN_WORKSPACE: /nowhere: not a workspace"},
		// A flag that is wrong is not made good by the place where one stands.
		{deep, "/nowhere", "", "--workspace: /nowhere"},
	} {
		_, err := Find(c.dir, c.flag, c.env)
		var missing *NotFoundError
		if !errors.As(err, &missing) || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestFindTrustsNoOtherUser(t *testing.T) {
	needRoot(t)
	w := newWorkspace(t)
	if err := os.Chown(w.Config(), 4711, 4711); err != nil {
		t.Fatal(err)
	}
	if _, err := Find(w.Work(), "", ""); err == nil || !strings.Contains(err.Error(), "uid 4711") {
		t.Errorf("found by its place: %v", err)
	}
	if _, err := Find(w.Work(), w.Root(), ""); err != nil {
		t.Errorf("named: %v", err)
	}
}

// TestFindTrustsNoJob: a job that makes a workspace where it may write gives no rules to whoever works there.
func TestFindTrustsNoJob(t *testing.T) {
	plant := func(dir, config string) {
		t.Helper()
		if err := os.MkdirAll(dir+"/config", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(At(dir).Config(), []byte(config), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct{ real, config, planted, from string }{
		"in its work folder":       {"ws", "{}", "ws/work/a", "ws/work/a/b"},
		"in a root":                {"ws", `{"gates":{"roots":["/nowhere","free"]}}`, "ws/free", "ws/free"},
		"in the folder around it":  {"repo/sheratan", `{"gates":{"roots":[".."]}}`, "repo", "repo/src"},
		"beside, in another":       {"repo/sheratan", `{"gates":{"roots":[".."]}}`, "repo/src/sheratan", "repo/src"},
		"in no root of the other":  {"ws", `{"gates":{"roots":["work"]}}`, "ws/free", ""},
		"around what has no roots": {"repo/sheratan", "not JSON", "repo", ""},
	} {
		t.Run(name, func(t *testing.T) {
			base := resolved(t, t.TempDir())
			from := filepath.Join(base, c.from)
			if c.from == "" {
				from = filepath.Join(base, c.planted)
			}
			if err := os.MkdirAll(from, 0o755); err != nil {
				t.Fatal(err)
			}
			plant(filepath.Join(base, c.real), c.config)
			plant(filepath.Join(base, c.planted), `{"gates":{"exec":[]}}`)
			w, err := Find(from, "", "")
			if allowed := c.from == ""; allowed != (err == nil) || !allowed && !strings.Contains(err.Error(), "--workspace "+base) {
				t.Errorf("%v, %v", w, err)
			}
			if w, err := Find(from, filepath.Join(base, c.planted), ""); err != nil || w.Root() != filepath.Join(base, c.planted) {
				t.Errorf("named: %v, %v", w, err)
			}
		})
	}
}

func TestZonesMakeMissingFoldersAgain(t *testing.T) {
	w := newWorkspace(t)
	var remade []string
	z := w.Zones(func(dir string) { remade = append(remade, dir) })
	when := time.Now()
	if err := z.Put(w.Result("j", when), []byte("1")); err != nil {
		t.Fatal(err)
	}
	if err := z.PutReply("s", "j", []byte("1")); err != nil {
		t.Fatal(err)
	}
	if len(remade) != 0 {
		t.Errorf("told of %q, which were never there", remade)
	}
	if err := os.RemoveAll(w.path("runtime/queue")); err != nil {
		t.Fatal(err)
	}
	if err := z.Create(w.Approved("j"), []byte("1")); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(remade, " "); got != "runtime/queue runtime/queue/approved" {
		t.Errorf("told of %q", got)
	}
	if info, err := os.Stat(w.ApprovedDir()); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}
	if err := z.Create(w.Approved("j"), []byte("2")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("create over a file: %v", err)
	}
	if err := z.Put(w.Approved("j"), []byte("3")); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(w.Approved("j")); err != nil || string(got) != "3" {
		t.Errorf("%q, %v", got, err)
	}
	for range 2 {
		if err := z.Remove(w.Approved("j")); err != nil {
			t.Error(err)
		}
	}
}

func TestSlotsAreCountedAcrossProcesses(t *testing.T) {
	if dir := os.Getenv("TAKE_SLOT"); dir != "" {
		_, ok, err := At(dir).TrySlot(0)
		if err != nil || ok {
			os.Exit(3)
		}
		return
	}
	w := newWorkspace(t)
	a, err := w.TakeSlot(2)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestSlotsAreCountedAcrossProcesses$")
	cmd.Env = append(os.Environ(), "TAKE_SLOT="+w.Root())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("another process took the slot: %v %s", err, out)
	}
	if n := w.FreeSlots(2); n != 1 {
		t.Errorf("%d of 2 slots are free", n)
	}
	b, err := w.TakeSlot(2)
	if err != nil || a.Number == b.Number {
		t.Fatal(b, err)
	}
	if _, err := w.TakeSlot(2); !errors.Is(err, ErrNoSlot) {
		t.Errorf("a third of two slots: %v", err)
	}
	if err := a.Release(); err != nil {
		t.Fatal(err)
	}
	if n := w.FreeSlots(2); n != 1 {
		t.Errorf("%d of 2 slots are free after the release", n)
	}
	if c, err := w.TakeSlot(2); err != nil || c.Number != a.Number {
		t.Errorf("after the release: %v %v", c, err)
	}
}

func TestProbeHealthy(t *testing.T) {
	w := newWorkspace(t)
	for _, c := range w.Probe(t.Context(), ProbeOptions{Now: time.Now(), Known: func(string) bool { return false }}) {
		if c.Status == HealthBad || c.Status == HealthWarn && c.Name != "user" && c.Name != "separation" && c.Name != "git" && c.Name != "file system" {
			t.Errorf("%+v", c)
		}
		if c.Detail == "" || c.Status != HealthOK && c.Fix == "" {
			t.Errorf("%+v does not help", c)
		}
	}
}

func TestProbeFinds(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct {
		break_ func(t *testing.T, w *Workspace) ProbeOptions
		check  string
		status Health
		detail string
	}{
		"missing zone": {func(t *testing.T, w *Workspace) ProbeOptions {
			os.Remove(w.BlockedDir())
			return ProbeOptions{}
		}, "runtime/queue/blocked", HealthWarn, "is missing"},
		"file in the way": {func(t *testing.T, w *Workspace) ProbeOptions {
			os.Remove(w.BlockedDir())
			write(t, w.BlockedDir(), "")
			return ProbeOptions{}
		}, "runtime/queue/blocked", HealthBad, "not a folder but a file"},
		"open to others": {func(t *testing.T, w *Workspace) ProbeOptions {
			os.Chmod(w.ConfigDir(), 0o777)
			return ProbeOptions{}
		}, "config", HealthBad, "others may write"},
		"readable by others": {func(t *testing.T, w *Workspace) ProbeOptions {
			os.Chmod(w.State(), 0o755)
			return ProbeOptions{}
		}, "runtime/.sheratan", HealthWarn, "others may look"},
		"stray in the queue": {func(t *testing.T, w *Workspace) ProbeOptions {
			write(t, w.Approved("evil"), "{}")
			return ProbeOptions{Known: func(id string) bool { return id != "evil" }}
		}, "queue", HealthWarn, "evil.json: no event knows it"},
		"clock behind": {func(t *testing.T, w *Workspace) ProbeOptions {
			return ProbeOptions{LastEvent: now.Add(time.Hour)}
		}, "clock", HealthWarn, "1h0m0s behind the last event"},
		"clock far back": {func(t *testing.T, w *Workspace) ProbeOptions {
			return ProbeOptions{Now: time.Unix(0, 0)}
		}, "clock", HealthBad, "1970"},
		"left-over claim": {func(t *testing.T, w *Workspace) ProbeOptions {
			write(t, w.Inbox()+"/a.json", "{}")
			c := w.Claimer(ClaimerOptions{})
			if _, err := c.Take(one(t, w), 100, parses); err != nil {
				t.Fatal(err)
			}
			c.Close()
			return ProbeOptions{}
		}, "claims", HealthWarn, "1 files"},
		"stray in the inbox": {func(t *testing.T, w *Workspace) ProbeOptions {
			write(t, w.Inbox()+"/notes.txt", "")
			return ProbeOptions{}
		}, "inbox", HealthWarn, "notes.txt: is no proposal"},
		"no git": {func(t *testing.T, w *Workspace) ProbeOptions {
			return ProbeOptions{LookPath: func(string) (string, error) { return "", exec.ErrNotFound }}
		}, "git", HealthWarn, "not installed"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorkspace(t)
			o := c.break_(t, w)
			if o.Now.IsZero() {
				o.Now = now
			}
			got := find(w.Probe(t.Context(), o), c.check)
			if got.Status != c.status || !strings.Contains(got.Detail, c.detail) || got.Fix == "" {
				t.Errorf("%+v", got)
			}
		})
	}
}

func BenchmarkTake(b *testing.B) {
	dir := b.TempDir()
	p, err := PlanInit(InitOptions{Cwd: dir})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := p.Make(emptyConfig); err != nil {
		b.Fatal(err)
	}
	w := p.Workspace
	c := w.Claimer(ClaimerOptions{})
	defer c.Close()
	doc := []byte(`{"payload":{"kind":"noop","params":{}},"x":"` + strings.Repeat("y", 900) + `"}`)
	if err := os.Mkdir(w.InboxOf("s"), 0o700); err != nil {
		b.Fatal(err)
	}
	for i := range b.N {
		if err := os.WriteFile(fmt.Sprintf("%s/%d.json", w.InboxOf("s"), i), doc, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	b.ResetTimer()
	s, err := w.Scan("s")
	if err != nil {
		b.Fatal(err)
	}
	n := 0
	for {
		entries, err := s.Next(1000)
		if err != nil {
			break
		}
		for _, e := range entries {
			claim, err := c.Take(e, 1<<20, func([]byte) bool { return true })
			if err != nil {
				b.Fatal(err)
			}
			if err := c.Remove(claim); err != nil {
				b.Fatal(err)
			}
			n++
		}
	}
	if n != b.N {
		b.Fatalf("%d of %d", n, b.N)
	}
}
