package history

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// files lists what is in the folder of objects: loose ones or packs, by a pattern.
func (w *writer) files(pattern string) []string {
	w.t.Helper()
	found, err := filepath.Glob(filepath.Join(w.dir, gitDir, "objects", pattern))
	if err != nil {
		w.t.Fatal(err)
	}
	return found
}

const (
	loosePattern = "[0-9a-f][0-9a-f]/*"
	packPattern  = "pack/*.pack"
)

func (w *writer) pack() {
	w.t.Helper()
	if packed, err := w.open().Pack(context.Background()); err != nil || !packed.Done {
		w.t.Fatalf("%+v, %v", packed, err)
	}
}

// TestPacksStayFew: a long history that is packed over and over has few packs, and no loose objects afterwards.
func TestPacksStayFew(t *testing.T) {
	t.Parallel()
	w := newWriter(t)
	for round := range 40 {
		for range 1 + round%3 {
			w.add(20).commit()
		}
		w.pack()
		if loose := w.files(loosePattern); len(loose) > 0 {
			t.Fatalf("after %d rounds: %d loose objects are left", round, len(loose))
		}
		if packs := w.files(packPattern); len(packs) > 8 {
			t.Fatalf("after %d rounds: %d packs", round, len(packs))
		}
	}
	w.verify()
}

// TestReadingWhilePacking: who has looked at the packs reads on when they were put together with others.
func TestReadingWhilePacking(t *testing.T) {
	t.Parallel()
	w := newWriter(t)
	w.add(3).commit()
	w.pack()
	first := w.files(packPattern)
	head, err := w.open().readRef()
	if err != nil {
		t.Fatal(err)
	}
	readers := []*objects{openObjects(w.open().git), openObjects(w.open().git)}
	var c *object.Commit
	for _, o := range readers {
		if c, err = o.commit(head); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		w.add(20).commit()
		w.pack()
	}
	if slices.ContainsFunc(w.files(packPattern), func(path string) bool { return slices.Contains(first, path) }) {
		t.Fatal("the first pack is still there")
	}
	if _, err := readers[0].get(plumbing.TreeObject, c.TreeHash); err != nil {
		t.Error(err)
	}
	blob := strings.TrimSpace(w.git("rev-parse", head.String()+":"+segmentPath(ledgerDir, 0)))
	if n, err := readers[1].size(plumbing.NewHash(blob)); err != nil || n == 0 {
		t.Errorf("%d bytes, %v", n, err)
	}
}

// TestCommitsWhilePacking: commits are made all the time while git packs, and so are attempts to pack twice.
func TestCommitsWhilePacking(t *testing.T) {
	t.Parallel()
	w := newWriter(t)
	w.add(3).commit()
	w.git("version")
	stop := make(chan struct{})
	var packers sync.WaitGroup
	packed := 0
	for range 2 {
		packers.Go(func() {
			r := w.open()
			for {
				select {
				case <-stop:
					return
				default:
				}
				done, err := r.Pack(context.Background())
				if err != nil {
					t.Error(err)
				}
				if done.Done {
					packed++ // one at a time
				}
			}
		})
	}
	before := w.log()[0]
	for i := range 150 {
		c, _, err := w.add(1 + i%3*40).try()
		if err != nil || len(c.Repairs) > 0 || c.Parent != before {
			t.Errorf("commit %d: %+v, %v", i, c, err)
			break
		}
		before = c.Hash
	}
	close(stop)
	packers.Wait()
	if packed < 2 {
		t.Errorf("packed %d times", packed)
	}
	w.verify()
}

// TestPackWithOldGit: where git does not know how packs are put together, it packs everything.
func TestPackWithOldGit(t *testing.T) {
	w, _ := damageable(t)
	git, err := exec.LookPath("git")
	if err != nil {
		t.Skip(err)
	}
	bin := t.TempDir()
	script := fmt.Sprintf("#!/bin/sh\ncase \"$*\" in *--geometric*) echo unknown option >&2; exit 129;; esac\nexec %s \"$@\"\n", git)
	if err := os.WriteFile(filepath.Join(bin, "git"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	w.pack()
	if len(w.files(loosePattern)) > 0 || len(w.files(packPattern)) != 1 {
		t.Errorf("left %v, %v", w.files(loosePattern), w.files(packPattern))
	}
	w.verify()
}

// TestKillWhilePacking: git and all that it started are killed at some moment of a packing. Nothing is lost, the next commit repairs
// nothing and looks through no more than usual, and the next packing leaves as little as any.
func TestKillWhilePacking(t *testing.T) {
	w := newWriter(t)
	w.git("version")
	start := time.Now()
	w.add(400).commit()
	w.pack()
	whole := time.Since(start)
	const rounds = 8
	for i := range rounds {
		for range 5 {
			w.add(150).commit()
		}
		killed := w.killedPack(whole * time.Duration(i) / rounds)
		before := w.log()
		_, err := os.Stat(w.open().packingPath())
		if killed == (err != nil) {
			t.Errorf("round %d: killed %t, mark: %v", i, killed, err)
		}
		if w.open().Due(w.ledger.Size) {
			t.Errorf("round %d: something is due", i)
		}
		w.verify()
		c := w.add(10).commit()
		if c.Parent != before[0] || len(c.Repairs) > 0 {
			t.Errorf("round %d: %+v", i, c)
		}
		if _, err := os.Stat(w.open().packingPath()); err == nil {
			t.Errorf("round %d: the mark is left", i)
		}
	}
	for _, left := range w.files("pack/*") {
		old := time.Now().Add(-2 * staleLock)
		if strings.Contains(left, "tmp") {
			if err := os.Chtimes(left, old, old); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.pack()
	if loose, left := w.files(loosePattern), append(w.files("pack/tmp*"), w.files("pack/.tmp*")...); len(loose)+len(left) > 0 {
		t.Errorf("left %v and %v", loose, left)
	}
	w.verify()

	// The control: one that let go of objects before their pack had its name would be noticed.
	if err := os.Remove(w.files(packPattern)[0]); err != nil {
		t.Fatal(err)
	}
	if findings, err := w.open().Verify(context.Background()); err == nil && len(findings) == 0 {
		t.Error("nobody misses a pack")
	}
}

// killedPack packs as Pack does, and kills git and its children after a while. It is false where git was faster.
func (w *writer) killedPack(after time.Duration) bool {
	w.t.Helper()
	r := w.open()
	git, err := exec.LookPath("git")
	if err != nil {
		w.t.Skip(err)
	}
	if err := r.markPacking(); err != nil {
		w.t.Fatal(err)
	}
	cmd := exec.Command(git, slices.Concat([]string{"--git-dir=" + r.git}, packConfig, packCommand)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	time.AfterFunc(after, func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	if cmd.Wait() == nil {
		if err := r.unmarkPacking(); err != nil {
			w.t.Fatal(err)
		}
		return false
	}
	return true
}

// TestPackHalfNamed: the files of a pack get their names, and lose them, one after the other. Whatever a kill leaves in between is no
// damage, nobody reads it, and it is removed when it is old.
func TestPackHalfNamed(t *testing.T) {
	t.Parallel()
	for _, ext := range []string{".pack", ".idx"} {
		w, before := damageable(t)
		w.git("version")
		w.pack()
		half := strings.Repeat("ab", 20)
		for _, path := range w.files("pack/*" + ext) {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(filepath.Dir(path), "pack-"+half+ext), b, 0o444); err != nil {
				t.Fatal(err)
			}
		}
		if c := w.add(1).commit(); c.Parent != before[0] || len(c.Repairs) > 0 {
			t.Fatalf("%s: %+v", ext, c)
		}
		w.verify()
		left := w.files("pack/pack-" + half + "*")
		if len(left) != 1 {
			t.Fatalf("%s: %v are there, and may be somebody's", ext, left)
		}
		old := time.Now().Add(-2 * staleLock)
		if err := os.Chtimes(left[0], old, old); err != nil {
			t.Fatal(err)
		}
		w.pack()
		if left := w.files("pack/pack-" + half + "*"); len(left) > 0 {
			t.Errorf("%s: %v are left", ext, left)
		}
		w.verify()
	}
}

// TestPowerLossWhilePacking: the machine stopped while objects were being packed, and lost some that no commit of late has. They are
// made again, and a kill alone has nobody look for them.
func TestPowerLossWhilePacking(t *testing.T) {
	t.Parallel()
	for _, boot := range []string{"another", bootID()} {
		w, before := damageable(t)
		r := w.open()
		if err := r.markPacking(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(r.packingPath(), []byte(boot), 0o600); err != nil {
			t.Fatal(err)
		}
		if boot == "another" {
			truncate(t, w.objectFile("main~4:"+checkpointPath))
		}
		if due := r.Due(w.ledger.Size); due != (boot == "another") {
			t.Errorf("boot %s: due %t", boot, due)
		}
		repairs, err := r.Repair(context.Background())
		if err != nil || strings.Contains(codes(repairs), CommitRemade) != (boot == "another") {
			t.Errorf("boot %s: %v, %v", boot, repairs, err)
		}
		if _, err := os.Stat(r.packingPath()); err == nil {
			t.Errorf("boot %s: the mark is left", boot)
		}
		if got := w.log(); !slices.Equal(got, before) {
			t.Errorf("boot %s: history %v, want %v", boot, got, before)
		}
		w.verify()
	}
}
