package history

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
)

func TestVerifyFinds(t *testing.T) {
	t.Parallel()
	edit := func(t *testing.T, w *writer, path string, f func([]byte) []byte) {
		t.Helper()
		path = filepath.Join(w.dir, path)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f(b), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	flip := func(b []byte) []byte { b[200] ^= 1; return b }
	cases := map[string]struct {
		damage func(t *testing.T, w *writer)
		want   string // codes and paths that must be among the findings
		count  int
	}{
		"nothing":       {func(*testing.T, *writer) {}, "", 0},
		"file grown":    {func(t *testing.T, w *writer) { w.add(5) }, "", 0},
		"ledger edited": {func(t *testing.T, w *writer) { edit(t, w, segmentPath(ledgerDir, 0), flip) }, GitDiffers + " " + segmentPath(ledgerDir, 0), 1},
		"document edited": {func(t *testing.T, w *writer) { edit(t, w, segmentPath(documentsDir, 1903), flip) },
			GitDiffers + " " + segmentPath(documentsDir, 1903), 1},
		"ledger cut": {func(t *testing.T, w *writer) {
			edit(t, w, segmentPath(ledgerDir, 2113), func(b []byte) []byte { return firstLines(b, 3) })
		}, GitDiffers + " " + segmentPath(ledgerDir, 2113), 1},
		"closed segment grown": {func(t *testing.T, w *writer) {
			edit(t, w, segmentPath(ledgerDir, 0), func(b []byte) []byte { return append(b, "{}\n"...) })
		}, GitIncomplete + " " + segmentPath(ledgerDir, 0), 1},
		"segment gone": {func(t *testing.T, w *writer) {
			if err := os.Remove(filepath.Join(w.dir, segmentPath(ledgerDir, 403))); err != nil {
				t.Fatal(err)
			}
		}, GitNoFile + " " + segmentPath(ledgerDir, 403), 1},
		"repository gone": {func(t *testing.T, w *writer) {
			if err := os.RemoveAll(filepath.Join(w.dir, gitDir)); err != nil {
				t.Fatal(err)
			}
		}, GitMissing + " ", 1},
		"branch gone":     {func(t *testing.T, w *writer) { w.git("update-ref", "-d", branch) }, GitMissing + " ", 1},
		"branch empty":    {func(t *testing.T, w *writer) { truncate(t, w.open().refPath()) }, GitBranch + " ", 1},
		"old blob empty":  {func(t *testing.T, w *writer) { truncate(t, w.objectFile("main~4:"+checkpointPath)) }, GitObject + " " + checkpointPath, 1},
		"old tree gone":   {func(t *testing.T, w *writer) { os.Remove(w.objectFile("main~4:outbox")) }, GitObject + " outbox/ledger", 1},
		"old commit gone": {func(t *testing.T, w *writer) { os.Remove(w.objectFile("main~3")) }, GitObject + " ", 1},
		"foreign file": {func(t *testing.T, w *writer) {
			foreign(t, w, "", func(o *objects, base plumbing.Hash) plumbing.Hash {
				blob, _ := o.put(plumbing.BlobObject, []byte("x"))
				tree, _ := o.graft(base, []file{{"README", blob}})
				return tree
			})
		}, GitUntracked + " README", 1},
		"file removed": {func(t *testing.T, w *writer) {
			foreign(t, w, "", func(o *objects, _ plumbing.Hash) plumbing.Hash {
				tree, _ := o.graft(plumbing.ZeroHash, []file{{checkpointPath, plumbing.ComputeHash(plumbing.BlobObject, nil)}})
				return tree
			})
		}, GitRemoved + " outbox/ledger", 5},
		"wrong size": {func(t *testing.T, w *writer) {
			foreign(t, w, "Ledger-Size: 7\nDocuments-Size: 2413\n", func(_ *objects, base plumbing.Hash) plumbing.Hash { return base })
		}, GitSize + " outbox/ledger", 1},
		"shorter segment": {func(t *testing.T, w *writer) {
			foreign(t, w, "Ledger-Size: 2114\nDocuments-Size: 2413\n", func(o *objects, base plumbing.Hash) plumbing.Hash {
				b, err := w.open().read(segmentPath(ledgerDir, 2113), -1)
				if err != nil {
					t.Fatal(err)
				}
				blob, _ := o.put(plumbing.BlobObject, firstLines(b, 1))
				tree, _ := o.graft(base, []file{{segmentPath(ledgerDir, 2113), blob}})
				return tree
			})
		}, GitRemoved + " " + segmentPath(ledgerDir, 2113), 1},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, _ := damageable(t)
			c.damage(t, w)
			findings, err := w.open().Verify(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			if len(findings) != c.count {
				t.Errorf("%d findings, want %d", len(findings), c.count)
			}
			found := c.want == ""
			for _, f := range findings {
				found = found || strings.HasPrefix(f.Code+" "+f.Path, c.want)
			}
			if !found || t.Failed() {
				t.Errorf("no %s in %+v", c.want, findings)
			}
		})
	}
}

// foreign puts a commit on the branch that this program would not make, and on the record, so that only its content is
// wrong.
func foreign(t *testing.T, w *writer, trailers string, change func(*objects, plumbing.Hash) plumbing.Hash) {
	t.Helper()
	r := w.open()
	o := openObjects(r.git)
	head, err := r.readRef()
	if err != nil {
		t.Fatal(err)
	}
	c, err := o.commit(head)
	if err != nil {
		t.Fatal(err)
	}
	c.TreeHash, c.ParentHashes = change(o, c.TreeHash), []plumbing.Hash{head}
	if trailers != "" {
		c.Message = "foreign\n\n" + trailers
	}
	raw, err := printCommit(c)
	if err != nil {
		t.Fatal(err)
	}
	hash, err := o.put(plumbing.CommitObject, raw)
	if err != nil {
		t.Fatal(err)
	}
	if err := o.flush(); err != nil {
		t.Fatal(err)
	}
	if err := r.extendRecord(hash, raw, nil); err != nil {
		t.Fatal(err)
	}
	if err := r.moveRef(context.Background(), head, hash, false); err != nil {
		t.Fatal(err)
	}
}

// Damage at any byte of any object is a finding, an error or nothing, and never a crash.
func TestVerifySurvivesGarbage(t *testing.T) {
	t.Parallel()
	w := newWriter(t)
	for range 3 {
		w.add(2).commit()
	}
	if _, err := w.open().Pack(context.Background()); err != nil {
		t.Fatal(err)
	}
	w.add(2).commit()
	var files []string
	for _, pattern := range []string{"objects/??/*", "objects/pack/*.pack", "objects/pack/*.idx"} {
		found, err := filepath.Glob(filepath.Join(w.dir, gitDir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	found := 0
	for _, path := range files {
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
		for at := 0; at < len(good); at += max(1, len(good)/6) {
			for _, bad := range [][]byte{good[:at], append(bytes.Clone(good[:at]), bytes.Repeat([]byte{0xff}, len(good)-at)...)} {
				if err := os.WriteFile(path, bad, 0o644); err != nil {
					t.Fatal(err)
				}
				if findings, err := w.open().Verify(context.Background()); err != nil || len(findings) > 0 {
					found++
				}
			}
		}
		if err := os.WriteFile(path, good, 0o444); err != nil {
			t.Fatal(err)
		}
	}
	if found < 20 {
		t.Errorf("damage was noticed %d times", found)
	}
	w.verify()
}
