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
	if err != nil || len(findings) != 2 || findings[0].Code != GitForeign || findings[1].Code != GitMessage {
		t.Errorf("findings %+v, %v", findings, err)
	}
	c := w.add(1).commit()
	if codes(c.Repairs) != BranchReplaced || c.Parent != other ||
		!strings.Contains(c.Repairs[0].Message, before[0]+", which stays until somebody prunes the repository") {
		t.Errorf("%+v", c)
	}
	for _, pack := range []func(){w.pack, w.packAll} {
		pack()
		w.git("cat-file", "-e", before[0]+"^{tree}")
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
