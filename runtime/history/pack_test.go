package history

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-git/go-billy/v5"
	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/filesystem"
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

// packAll does what Pack does where there are many packs.
func (w *writer) packAll() {
	w.t.Helper()
	r := w.open()
	git, err := exec.LookPath("git")
	if err != nil {
		w.t.Skip(err)
	}
	packs, err := r.packs()
	if err == nil {
		err = r.replacePacks(context.Background(), git, packs)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// TestPacksStayFew: a long history that is packed over and over has no loose objects afterwards, and so many packs at most.
func TestPacksStayFew(t *testing.T) {
	t.Parallel()
	w := newWriter(t)
	for round := range manyPacks + 5 {
		w.add(20).commit()
		w.pack()
		if loose := w.files(loosePattern); len(loose) > 0 {
			t.Fatalf("after %d rounds: %d loose objects are left", round, len(loose))
		}
	}
	if packs := w.files(packPattern); len(packs) > 5 {
		t.Errorf("%d packs", len(packs))
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
	w.add(20).commit()
	w.packAll()
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

// opens is a file system that calls a function before a pack is opened.
type opens struct {
	billy.Filesystem
	pack func()
}

func (o opens) Open(path string) (billy.File, error) {
	if strings.HasSuffix(path, ".pack") {
		o.pack()
	}
	return o.Filesystem.Open(path)
}

// TestPackRemovedWhileReading: of a blob beyond 16 KiB the pack is opened twice, and may be gone by the second time.
func TestPackRemovedWhileReading(t *testing.T) {
	t.Parallel()
	w := newWriter(t)
	w.add(100).commit()
	w.pack()
	blob := plumbing.NewHash(strings.TrimSpace(w.git("rev-parse", "main:"+segmentPath(ledgerDir, 0))))
	w.add(20).commit()
	r := w.open()
	o, opened := openObjects(r.git), 0
	o.store = filesystem.NewStorage(opens{wholePacks{osfs.New(r.git)}, func() {
		if opened++; opened == 2 {
			w.packAll()
		}
	}}, cache.NewObjectLRUDefault())
	if b, err := o.get(plumbing.BlobObject, blob); err != nil || len(b) <= 16<<10 || opened != 2 {
		t.Errorf("%d bytes, opened %d times, %v", len(b), opened, err)
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

const packerEnv = "HISTORY_TEST_PACKER"

// TestPackerProcess is the process that TestKillWhilePacking kills.
func TestPackerProcess(t *testing.T) {
	dir := os.Getenv(packerEnv)
	if dir == "" {
		t.Skip("run by TestKillWhilePacking")
	}
	w := &writer{t: t, dir: dir}
	w.pack()
	w.packAll()
}

// TestKillWhilePacking: a process is killed at some moment of a packing, and another one packs at once. Nothing is lost,
// nothing has to be mended, and whatever git takes for a pack we do as well.
func TestKillWhilePacking(t *testing.T) {
	w := newWriter(t)
	w.git("version")
	w.add(400).commit()
	hashes, whole := w.log(), w.killedPack(time.Minute)
	const rounds = 12
	for i := range rounds {
		for range 5 {
			hashes = append(hashes, w.add(150).commit().Hash)
		}
		w.killedPack(whole * time.Duration(i) / rounds)
		w.pack()
		w.verify()
		c := w.add(10).commit()
		if hashes = append(hashes, c.Hash); len(c.Repairs) > 0 {
			t.Errorf("round %d: %+v", i, c)
		}
		if got := w.log(); !slices.Equal(reversed(got), hashes) {
			t.Fatalf("round %d: history %v, want %v", i, got, hashes)
		}
		if left := w.files("pack/.*.idx"); len(left) > 0 {
			t.Errorf("round %d: %v", i, left)
		}
	}

	// The control: one that let go of objects before their pack had its name would be noticed.
	if err := os.Remove(w.files(packPattern)[0]); err != nil {
		t.Fatal(err)
	}
	if findings, err := w.open().Verify(context.Background()); err == nil && len(findings) == 0 {
		t.Error("nobody misses a pack")
	}
}

func reversed(list []string) []string {
	list = slices.Clone(list)
	slices.Reverse(list)
	return list
}

// killedPack has another process pack in both ways, and kills it after a while. It returns how long that one took.
func (w *writer) killedPack(after time.Duration) time.Duration {
	w.t.Helper()
	start := time.Now()
	cmd := exec.Command(os.Args[0], "-test.run=^TestPackerProcess$")
	cmd.Env = append(os.Environ(), packerEnv+"="+w.dir)
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	kill := time.AfterFunc(after, func() { cmd.Process.Kill() })
	defer kill.Stop()
	if err := cmd.Wait(); err != nil && cmd.ProcessState.Exited() {
		w.t.Errorf("the packing: %v", err)
	}
	return time.Since(start)
}

// TestPackWithoutName: a git repack that was killed leaves a pack under a temporary name, which git reads and go-git does
// not. What git removes for it is not lost, neither at once nor when it is old enough to be swept away.
func TestPackWithoutName(t *testing.T) {
	t.Parallel()
	w, before := damageable(t)
	w.git("pack-objects", "--all", "-q", filepath.Join(gitDir, "objects/pack/.tmp-1-pack"))
	w.pack()
	w.verify()
	left := w.files("pack/.tmp-1-pack-*")
	if len(left) < 2 || len(w.files(loosePattern)) > 0 {
		t.Fatalf("nothing was put to the test: %v and %v", left, w.files(loosePattern))
	}
	for _, path := range left {
		age(t, path)
	}
	if c := w.add(1).commit(); c.Parent != before[0] || len(c.Repairs) > 0 {
		t.Errorf("%+v", c)
	}
	if left = w.files("pack/.tmp-*"); len(left) > 0 {
		t.Errorf("%v", left)
	}
	w.verify()
}

// TestPackHalfNamed: the files of a pack get their names, and lose them, one after the other. Whatever a kill leaves in
// between is no damage, and nobody reads it.
func TestPackHalfNamed(t *testing.T) {
	t.Parallel()
	for _, ext := range []string{".pack", ".idx"} {
		w, before := damageable(t)
		w.git("version")
		w.pack()
		for _, path := range w.files("pack/*" + ext) {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(filepath.Dir(path), "pack-"+strings.Repeat("ab", 20)+ext), b, 0o444); err != nil {
				t.Fatal(err)
			}
		}
		if c := w.add(1).commit(); c.Parent != before[0] || len(c.Repairs) > 0 {
			t.Fatalf("%s: %+v", ext, c)
		}
		w.verify()
	}
}
