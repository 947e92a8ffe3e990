package history

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What DESIGN promises to people who read the history with git.
func TestRealGit(t *testing.T) {
	t.Parallel()
	w := newWriter(t)
	w.git("version") // skips where there is none
	w.add(3).commit()
	w.add(2).commit()

	if got := w.git("log", "--format=%an <%ae> %at %ct %s"); got != "sheratan <sheratan@localhost> 1767323050 1767323050 tick: 5 events\n"+
		"sheratan <sheratan@localhost> 1767323048 1767323048 tick: 3 events\n" {
		t.Errorf("log: %q", got)
	}
	if got := w.git("log", "-1", "--format=%(trailers:only)"); got != "Ledger-Size: 5\nDocuments-Size: 5\nSheratan-Tick: t1\nJob: a\nJob-Status: completed\n\n" {
		t.Errorf("trailers: %q", got)
	}
	patch := w.git("log", "-p", "-1", "--format=", "--", "outbox/ledger")
	if added := strings.Count(patch, "\n+{"); added != 2 || strings.Contains(patch, "\n-{") {
		t.Errorf("log -p: %d lines added in %s", added, patch)
	}
	if got := w.git("log", "-S", `"seq":4,`, "--format=%s", "--", "outbox/ledger"); got != "tick: 5 events\n" {
		t.Errorf("log -S: %q", got)
	}
	if got := strings.Count(w.git("show", "HEAD:"+segmentPath(ledgerDir, 0)), "\n"); got != 5 {
		t.Errorf("show: %d lines", got)
	}
	clone := filepath.Join(t.TempDir(), "clone")
	w.git("clone", "--quiet", ".", clone)
	a, err := os.ReadFile(filepath.Join(clone, segmentPath(ledgerDir, 0)))
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(w.dir, segmentPath(ledgerDir, 0))); err != nil || string(a) != string(b) {
		t.Errorf("clone has %d bytes, the file %d: %v", len(a), len(b), err)
	}
	if got := w.git("rev-parse", "--is-bare-repository"); got != "true\n" {
		t.Errorf("bare: %q", got)
	}
	if _, err := os.Stat(filepath.Join(w.dir, gitDir, "index")); err == nil {
		t.Error("there is an index")
	}
	w.verify()
}

func TestAuthor(t *testing.T) {
	t.Parallel()
	w := newWriter(t).add(1)
	s := w.snapshot()
	s.Name, s.Email = "An <evil>\nauthor", "a@b>\n\nparent x"
	if _, _, err := w.open().Commit(context.Background(), s); err != nil {
		t.Fatal(err)
	}
	if got := w.git("log", "--format=%an|%ae"); got != "An evil author|a@b parent x\n" {
		t.Errorf("author %q", got)
	}
	w.verify()
}

// Everything works on packed objects and references as on loose ones.
func TestPack(t *testing.T) {
	t.Parallel()
	w, before := damageable(t)
	w.git("version")
	loose := func() int {
		found, err := filepath.Glob(filepath.Join(w.dir, gitDir, "objects", "??", "*"))
		if err != nil {
			t.Fatal(err)
		}
		return len(found)
	}
	if loose() == 0 || w.open().PackDue() {
		t.Errorf("%d loose objects, packing due: %v", loose(), w.open().PackDue())
	}
	if packed, err := w.open().Pack(context.Background()); err != nil || !packed.Done {
		t.Fatalf("%+v, %v", packed, err)
	}
	if n := loose(); n != 0 {
		t.Errorf("%d loose objects are left", n)
	}
	w.git("pack-refs", "--all") // as an operator may
	if _, err := os.Stat(w.open().refPath()); err == nil {
		t.Error("the branch is still a file")
	}
	if repairs, err := w.open().Repair(context.Background()); err != nil || len(repairs) > 0 {
		t.Errorf("repairs %v, %v", repairs, err)
	}
	if got := w.log(); strings.Join(got, " ") != strings.Join(before, " ") {
		t.Errorf("history %v, want %v", got, before)
	}
	w.verify()
	if c := w.add(1).commit(); c.Parent != before[0] || len(c.Repairs) > 0 {
		t.Errorf("%+v", c)
	}
	w.verify()

	// A pack that is cut short is mended from the record as loose objects are.
	packs, err := filepath.Glob(filepath.Join(w.dir, gitDir, "objects", "pack", "*.pack"))
	if err != nil || len(packs) != 1 {
		t.Fatal(packs, err)
	}
	if err := os.Remove(packs[0]); err != nil {
		t.Fatal(err)
	}
	c := w.add(1).commit()
	if !strings.Contains(codes(c.Repairs), CommitRemade) {
		t.Errorf("%+v", c)
	}
	if findings, err := w.open().Verify(context.Background()); err != nil || len(findings) > 0 {
		t.Errorf("findings %v, %v", findings, err)
	}
}

func TestPackStopsWithContext(t *testing.T) {
	t.Parallel()
	w, _ := damageable(t)
	w.git("version")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if packed, err := w.open().Pack(ctx); err == nil || packed.Done {
		t.Errorf("%+v, %v", packed, err)
	}
	w.verify()
}

func TestPackWithoutGit(t *testing.T) {
	w := newWriter(t).add(1)
	w.commit()
	t.Setenv("PATH", t.TempDir())
	if packed, err := w.open().Pack(context.Background()); err != nil || packed.Done || packed.Reason == "" {
		t.Errorf("%+v, %v", packed, err)
	}
}

func TestPackDue(t *testing.T) {
	t.Parallel()
	w := newWriter(t).add(1)
	w.commit()
	for _, name := range sampled {
		if err := os.RemoveAll(filepath.Join(w.dir, gitDir, "objects", name)); err != nil { // what this commit has there
			t.Fatal(err)
		}
		if err := os.Mkdir(filepath.Join(w.dir, gitDir, "objects", name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for i := range LooseBatch*len(sampled)/256 + 1 {
		if w.open().PackDue() {
			t.Fatalf("due with %d objects", i)
		}
		folder := filepath.Join(w.dir, gitDir, "objects", sampled[i%len(sampled)])
		if err := os.WriteFile(filepath.Join(folder, strings.Repeat("a", 30)+string(rune('a'+i))), nil, 0o444); err != nil {
			t.Fatal(err)
		}
	}
	if !w.open().PackDue() {
		t.Error("not due")
	}
}

func TestCleanEnv(t *testing.T) {
	t.Parallel()
	got := strings.Join(cleanEnv([]string{"HOME=/x", "GIT_DIR=/y", "PATH=/z", "GIT_INDEX_FILE=a", "GITHUB=b"}), " ")
	if got != "HOME=/x PATH=/z GITHUB=b" {
		t.Errorf("%q", got)
	}
}
