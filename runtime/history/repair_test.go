package history

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// damageable makes a repository of six commits, each of which changes the checkpoint as well.
func damageable(t *testing.T) (*writer, []string) {
	w := newWriter(t)
	for _, n := range []int{3, 400, 1500, 10, 200, 300} {
		w.add(n)
		path := filepath.Join(w.dir, checkpointPath)
		if err := os.WriteFile(path, []byte(strings.Repeat("root\n", n)), 0o644); err != nil {
			t.Fatal(err)
		}
		w.commit()
	}
	return w, w.log()
}

// Each of these is put right without changing a single hash.
func TestRepairKeepsHistory(t *testing.T) {
	t.Parallel()
	remove := func(t *testing.T, path string) {
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
	}
	garbage := func(t *testing.T, path string) {
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("x\x9c\x00garbage"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	empty := func(t *testing.T, path string) { truncate(t, path) }
	object := func(name string, damage func(*testing.T, string)) func(*testing.T, *writer) {
		return func(t *testing.T, w *writer) { damage(t, w.objectFile(name)) }
	}
	cases := map[string]struct {
		damage func(t *testing.T, w *writer)
		want   string
	}{
		"commit empty":          {object("main", empty), CommitRemade},
		"commit missing":        {object("main", remove), CommitRemade},
		"commit garbage":        {object("main", garbage), CommitRemade},
		"tree empty":            {object("main^{tree}", empty), CommitRemade},
		"folder missing":        {object("main:outbox/ledger/000", remove), CommitRemade},
		"blob empty":            {object("main:"+checkpointPath, empty), CommitRemade},
		"blob garbage":          {object("main:outbox/documents", garbage), CommitRemade},
		"parent empty":          {object("main~1", empty), CommitRemade},
		"parent's tree missing": {object("main~1:outbox", remove), CommitRemade},
		"parent's blob empty":   {object("main~1:"+checkpointPath, empty), CommitRemade},
		"both commits": {func(t *testing.T, w *writer) {
			a, b := w.objectFile("main"), w.objectFile("main~1")
			empty(t, a)
			empty(t, b)
		}, CommitRemade + " " + CommitRemade},
		"branch missing":               {func(t *testing.T, w *writer) { remove(t, w.open().refPath()) }, BranchRestored},
		"branch empty":                 {func(t *testing.T, w *writer) { empty(t, w.open().refPath()) }, BranchRestored},
		"branch garbage":               {func(t *testing.T, w *writer) { garbage(t, w.open().refPath()) }, BranchRestored},
		"branch of a missing commit":   {func(t *testing.T, w *writer) { writeRef(t, w, strings.Repeat("ab", 20)) }, BranchRestored},
		"branch set back":              {func(t *testing.T, w *writer) { w.git("update-ref", branch, "main~3") }, BranchRestored},
		"commit never set":             {func(t *testing.T, w *writer) { w.git("update-ref", branch, "main~1") }, BranchRestored},
		"HEAD empty":                   {func(t *testing.T, w *writer) { empty(t, filepath.Join(w.dir, gitDir, "HEAD")) }, FrameRestored},
		"config missing":               {func(t *testing.T, w *writer) { remove(t, filepath.Join(w.dir, gitDir, "config")) }, FrameRestored},
		"objects missing":              {func(t *testing.T, w *writer) { remove(t, filepath.Join(w.dir, gitDir, "objects")) }, FrameRestored + strings.Repeat(" "+CommitRemade, 6)},
		"all of .git, in the record":   {func(t *testing.T, w *writer) { remove(t, filepath.Join(w.dir, gitDir)) }, FrameRestored + strings.Repeat(" "+CommitRemade, 6) + " " + BranchRestored},
		"lock of a killed commit":      {func(t *testing.T, w *writer) { lockBranch(t, w, w.log()[0]) }, LockRemoved},
		"old lock of somebody's":       {func(t *testing.T, w *writer) { lockBranch(t, w, ""); age(t, w.open().lockPath()) }, LockRemoved},
		"record damaged":               {func(t *testing.T, w *writer) { rewriteRecord(t, w, func(string) string { return "garbage\n" }) }, RecordSetAside},
		"blob of an older, whole tree": {func(t *testing.T, w *writer) { remove(t, w.objectFile("main:"+segmentPath(ledgerDir, 1903))) }, CommitRemade},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, before := damageable(t)
			c.damage(t, w)

			repairs, err := w.open().Repair(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			if got := codes(repairs); got != c.want {
				t.Errorf("repairs %s, want %s: %v", got, c.want, repairs)
			}
			if got := w.log(); strings.Join(got, " ") != strings.Join(before, " ") {
				t.Errorf("history changed:\n%v\n%v", before, got)
			}
			w.verify()
			if again, err := w.open().Repair(context.Background()); err != nil || len(again) > 0 {
				t.Errorf("a second repair: %v, %v", again, err)
			}
			if next := w.add(2).commit(); next.Parent != before[0] || len(next.Repairs) > 0 {
				t.Errorf("next commit %+v, want parent %s", next, before[0])
			}
			w.verify()
		})
	}
}

// Where the branch was set back, or an object of the last commits is damaged, the machine may have lost its power: damage is
// looked for behind commits that are good. Alone, such damage is found by whoever was told to look for it.
func TestRepairLooksFurther(t *testing.T) {
	t.Parallel()
	for name, sign := range map[string]func(*testing.T, *writer){
		"branch set back": func(_ *testing.T, w *writer) { w.git("update-ref", branch, "main~2") },
		"last blob empty": func(t *testing.T, w *writer) { truncate(t, w.objectFile("main:"+checkpointPath)) },
		"told": func(t *testing.T, w *writer) {
			if err := w.open().Suspect(); err != nil {
				t.Fatal(err)
			}
		},
		"": func(*testing.T, *writer) {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, before := damageable(t)
			truncate(t, w.objectFile("main~4:"+checkpointPath))
			sign(t, w)
			due := w.open().Due(w.ledger.Size)
			repairs, err := w.open().Repair(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			if name == "" {
				if len(repairs) > 0 || due {
					t.Errorf("without a sign: repairs %v, due %t", repairs, due)
				}
				return
			}
			if !strings.Contains(codes(repairs), CommitRemade) || due != (name != "last blob empty") {
				t.Errorf("repairs %s, due %t", codes(repairs), due)
			}
			if got := w.log(); strings.Join(got, " ") != strings.Join(before, " ") {
				t.Errorf("history changed:\n%v\n%v", before, got)
			}
			w.verify()
			if w.open().Due(w.ledger.Size) {
				t.Error("there is still something to do")
			}
		})
	}
}

// What a killed commit left half written is removed at once, what other programs may be writing only when it is old.
func TestRepairRemovesLeftovers(t *testing.T) {
	t.Parallel()
	w, _ := damageable(t)
	objects := filepath.Join(w.dir, gitDir, "objects")
	ours, others, old := filepath.Join(objects, tempObject+"1"), filepath.Join(objects, "tmp_obj_1"), filepath.Join(objects, "pack", "tmp_pack_1")
	for _, path := range []string{ours, others, old} {
		if err := os.WriteFile(path, []byte("x"), 0o444); err != nil {
			t.Fatal(err)
		}
	}
	age(t, old)
	if _, err := w.open().Repair(context.Background()); err != nil {
		t.Fatal(err)
	}
	for path, kept := range map[string]bool{ours: false, others: true, old: false} {
		if _, err := os.Lstat(path); (err == nil) != kept {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// A negative control: without Repair, git does find the damage of the cases above.
func TestDamageIsDamage(t *testing.T) {
	t.Parallel()
	w, _ := damageable(t)
	truncate(t, w.objectFile("main:"+checkpointPath))
	findings, err := w.open().Verify(context.Background())
	if err != nil || len(findings) != 1 || findings[0].Code != GitObject || findings[0].Path != checkpointPath {
		t.Errorf("findings %+v, %v", findings, err)
	}
}

// Commit repairs by itself: at the beginning, and when it meets damage later.
func TestCommitRepairs(t *testing.T) {
	t.Parallel()
	w, before := damageable(t)
	truncate(t, w.objectFile("main"))
	r := w.open()
	c, changed, err := r.Commit(context.Background(), w.add(1).snapshot())
	if err != nil || !changed || c.Parent != before[0] || codes(c.Repairs) != CommitRemade {
		t.Fatalf("first: %+v %v %v", c, changed, err)
	}
	truncate(t, w.objectFile("main"))
	d, changed, err := r.Commit(context.Background(), w.add(1).snapshot())
	if err != nil || !changed || d.Parent != c.Hash || codes(d.Repairs) != CommitRemade {
		t.Fatalf("later: %+v %v %v", d, changed, err)
	}
	if err := os.RemoveAll(filepath.Join(w.dir, gitDir)); err != nil {
		t.Fatal(err)
	}
	e, changed, err := r.Commit(context.Background(), w.add(1).snapshot())
	if err != nil || !changed || e.Parent != d.Hash || !strings.HasPrefix(codes(e.Repairs), FrameRestored) {
		t.Fatalf("without .git: %+v %v %v", e, changed, err)
	}
	w.verify()
}

// A file that cannot be read is no reason to give up the history.
func TestRepairDoesNotTakeErrorsForDamage(t *testing.T) {
	t.Parallel()
	w, before := damageable(t)
	path := w.objectFile("main")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	// Root may read everything, so the error is that of a symbolic link in a circle.
	if err := os.Symlink(path, path); err != nil {
		t.Fatal(err)
	}
	repairs, err := w.open().Repair(context.Background())
	if err == nil || len(repairs) > 0 {
		t.Fatalf("repairs %v, %v", repairs, err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if c := w.add(1).commit(); c.Parent != before[0] {
		t.Errorf("%+v", c)
	}
}

func writeRef(t *testing.T, w *writer, hash string) {
	t.Helper()
	if err := os.WriteFile(w.open().refPath(), []byte(hash+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

func lockBranch(t *testing.T, w *writer, content string) {
	t.Helper()
	if err := os.WriteFile(w.open().lockPath(), []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func age(t *testing.T, path string) {
	t.Helper()
	old := time.Now().Add(-2 * staleLock)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
}
