package history

import (
	"context"
	"errors"
	"io/fs"
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

// What cannot be mended is kept, and history begins again.
func TestRestart(t *testing.T) {
	t.Parallel()
	forget := func(t *testing.T, w *writer) {
		if err := os.Remove(w.open().recordPath()); err != nil {
			t.Fatal(err)
		}
	}
	cases := map[string]func(t *testing.T, w *writer){
		"commit and record lost": func(t *testing.T, w *writer) { truncate(t, w.objectFile("main")); forget(t, w) },
		"branch and record lost": func(t *testing.T, w *writer) { truncate(t, w.open().refPath()); forget(t, w) },
		"segment edited, blob lost": func(t *testing.T, w *writer) {
			truncate(t, w.objectFile("main:"+segmentPath(ledgerDir, 0)))
			truncate(t, w.objectFile("main"))
			path := filepath.Join(w.dir, segmentPath(ledgerDir, 0))
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			b[100] ^= 1
			if err := os.WriteFile(path, b, 0o644); err != nil {
				t.Fatal(err)
			}
		},
	}
	for name, damage := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, _ := damageable(t)
			damage(t, w)
			c := w.commit()
			if codes(c.Repairs) != HistoryRestarted || c.Parent != "" {
				t.Errorf("%+v", c)
			}
			if _, err := os.Stat(filepath.Join(w.dir, gitDir+".damaged-1", "objects")); err != nil {
				t.Error(err)
			}
			if got := w.log(); len(got) != 1 {
				t.Errorf("%d commits, want 1", len(got))
			}
			w.verify()
		})
	}
}

// With .git gone and a history longer than the record, the record cannot bring it back.
func TestRestartOfLongHistory(t *testing.T) {
	t.Parallel()
	w := newWriter(t)
	for range recordKept + 3 {
		w.add(1).commit()
	}
	if err := w.open().shortenRecord(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(w.dir, gitDir)); err != nil {
		t.Fatal(err)
	}
	c := w.commit()
	if codes(c.Repairs) != FrameRestored+" "+HistoryRestarted || c.Parent != "" {
		t.Errorf("%+v", c)
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

// A fresh lock that is not ours is waited for, then named.
func TestForeignLock(t *testing.T) {
	t.Parallel()
	w := newWriter(t).add(1)
	w.commit()
	lockBranch(t, w, "")
	_, changed, err := w.add(1).try()
	var locked *RefLockedError
	if changed || !errors.As(err, &locked) {
		t.Fatalf("%v, %v", changed, err)
	}
	go func() {
		time.Sleep(lockPatience / 4)
		os.Remove(locked.Path)
	}()
	// The commit was made and recorded before it met the lock.
	c, _, err := w.add(1).try()
	if err != nil || codes(c.Repairs) != BranchRestored {
		t.Errorf("%+v, %v", c, err)
	}
	w.verify()
}

// Somebody made commits of their own: they are reported, found, and not thrown away.
func TestBranchReplaced(t *testing.T) {
	t.Parallel()
	w, before := damageable(t)
	other := strings.TrimSpace(w.git("-c", "user.name=x", "-c", "user.email=x@y", "commit-tree", "-m", "mine", "-p", "main~2", "main~2^{tree}"))
	writeRef(t, w, other)
	findings, err := w.open().Verify(context.Background())
	if err != nil || len(findings) != 2 || findings[0].Code != GitBranch || findings[1].Code != GitMessage {
		t.Errorf("findings %+v, %v", findings, err)
	}
	c := w.add(1).commit()
	if codes(c.Repairs) != BranchReplaced || c.Parent != other || !strings.Contains(c.Repairs[0].Message, before[0]) {
		t.Errorf("%+v", c)
	}
}

// After a power loss any of the objects of the last commits may be empty, in no particular order.
func TestRepairAfterPowerLoss(t *testing.T) {
	t.Parallel()
	for _, rebooted := range []bool{true, false} {
		w := newWriter(t)
		for range 12 {
			w.add(20).commit()
		}
		before := w.log()
		var lost []string
		for _, name := range []string{"main~4", "main~5^{tree}", "main~7:" + segmentPath(ledgerDir, 0), "main~9:outbox"} {
			lost = append(lost, w.objectFile(name))
		}
		for _, path := range lost {
			truncate(t, path)
		}
		if rebooted {
			rewriteRecord(t, w, func(s string) string { return strings.ReplaceAll(s, bootID(), "another") })
		}
		repairs, err := w.open().Repair(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if !rebooted { // the negative control: a short look does not reach so far
			if len(repairs) > 0 {
				t.Errorf("without a reboot: %v", repairs)
			}
			continue
		}
		if got := codes(repairs); got != strings.TrimSpace(strings.Repeat(" "+CommitRemade, 4)) {
			t.Errorf("repairs %v", repairs)
		}
		if got := w.log(); strings.Join(got, " ") != strings.Join(before, " ") {
			t.Errorf("history %v, want %v", got, before)
		}
		w.verify()
	}
}

// A commit whose line in the record was cut off by a power loss was not made, and does not disturb the next.
func TestUnfinishedRecord(t *testing.T) {
	t.Parallel()
	for _, torn := range []string{`{"hash":"ab`, "\x00\x00\x00\x00", "{"} {
		w, before := damageable(t)
		rewriteRecord(t, w, func(s string) string { return s + torn })
		if c := w.add(1).commit(); c.Parent != before[0] || len(c.Repairs) > 0 {
			t.Errorf("%+v", c)
		}
		if rec, err := w.open().readRecord(); err != nil || len(rec) != 7 {
			t.Errorf("%d commits in the record, %v", len(rec), err)
		}
	}
}

func TestRecordIsShortened(t *testing.T) {
	t.Parallel()
	w := newWriter(t)
	r := w.open()
	s := w.snapshot()
	for range 4 {
		s.Trailers = append(s.Trailers, Trailer{"Note", strings.Repeat("x", maxValue)})
	}
	most, shortened := 0, 0
	for range 60 {
		s.Ledger = w.add(1).ledger
		if _, _, err := r.Commit(context.Background(), s); err != nil {
			t.Fatal(err)
		}
		rec, err := r.readRecord()
		if err != nil || len(rec) < recordKept && len(rec) < most {
			t.Fatalf("%d commits in the record, %v", len(rec), err)
		}
		if len(rec) < most {
			shortened++
		}
		most = max(most, len(rec))
	}
	if shortened == 0 || most == 60 {
		t.Errorf("the record grew to %d commits", most)
	}
	truncate(t, w.objectFile("main"))
	w.add(1).commit()
	w.verify()
}

func rewriteRecord(t *testing.T, w *writer, f func(string) string) {
	t.Helper()
	path := w.open().recordPath()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(f(string(b))), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestInterruptedFirstCommit(t *testing.T) {
	t.Parallel()
	w := newWriter(t).add(3)
	w.commit()
	before := w.log()
	for _, path := range []string{w.open().refPath(), w.open().recordPath()} {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	truncate(t, w.objectFile(before[0]+":"+segmentPath(ledgerDir, 0))) // the power went as well
	c := w.commit()
	if c.Hash != before[0] || len(c.Repairs) > 0 {
		t.Errorf("%+v, want %s", c, before[0])
	}
	w.verify()
}

func TestLeftoversAreRemoved(t *testing.T) {
	t.Parallel()
	w := newWriter(t).add(1)
	w.commit()
	old := filepath.Join(w.dir, gitDir, "objects", "tmp_obj_old")
	young := filepath.Join(w.dir, gitDir, "objects", "tmp_obj_young")
	for _, path := range []string{old, young} {
		if err := os.WriteFile(path, nil, 0o444); err != nil {
			t.Fatal(err)
		}
	}
	age(t, old)
	w.add(1).commit()
	if _, err := os.Stat(old); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("old: %v", err)
	}
	if _, err := os.Stat(young); err != nil {
		t.Errorf("young: %v", err)
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
