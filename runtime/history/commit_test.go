package history

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestCommit(t *testing.T) {
	t.Parallel()
	w := newWriter(t)
	if err := Init(w.dir); err != nil {
		t.Fatal(err)
	}
	if c, changed, err := w.try(); err != nil || changed || c.Hash != "" {
		t.Fatalf("an empty ledger: %+v %v %v", c, changed, err)
	}
	first := w.add(3).commit()
	if again, changed, err := w.try(); err != nil || changed || again.Hash != first.Hash {
		t.Fatalf("nothing new: %+v %v %v, want no change and %s", again, changed, err, first.Hash)
	}
	second := w.add(400).commit() // closes the segments
	third := w.add(1500).commit() // new segments, in new folders
	w.add(1)
	fourth := w.commit()
	if second.Parent != first.Hash || third.Parent != second.Hash || fourth.Parent != third.Hash {
		t.Errorf("commits are not a line: %+v", []Commit{first, second, third, fourth})
	}
	if len(first.Repairs) != 0 || len(fourth.Repairs) != 0 {
		t.Errorf("repairs: %+v %+v", first.Repairs, fourth.Repairs)
	}
	w.verify()

	files := strings.Fields(w.git("ls-tree", "-r", "--name-only", "main"))
	want := []string{
		"outbox/documents/000/000/000000000.jsonl",
		"outbox/documents/000/000/000000403.jsonl",
		"outbox/documents/000/001/000001903.jsonl",
		"outbox/ledger/000/000/000000000.jsonl",
		"outbox/ledger/000/000/000000403.jsonl",
		"outbox/ledger/000/001/000001903.jsonl",
	}
	if !slices.Equal(files, want) {
		t.Errorf("tracked files:\n%s", strings.Join(files, "\n"))
	}
	for _, path := range files {
		b, err := os.ReadFile(filepath.Join(w.dir, path))
		if err != nil {
			t.Fatal(err)
		}
		if got := w.git("show", "main:"+path); got != string(b) {
			t.Errorf("%s: git has %d bytes, the file %d", path, len(got), len(b))
		}
	}
	head, err := w.open().Head()
	if err != nil || head.Hash != fourth.Hash || head.LedgerSize != 1904 || head.Time.Unix() != w.snapshot().Time.Unix() {
		t.Errorf("head %+v, %v", head, err)
	}
	if p, err := w.open().Committed(); err != nil || p != w.ledger {
		t.Errorf("committed %+v, %v, want %+v", p, err, w.ledger)
	}
}

// What lies beyond the committed position, and a line that is being written, are not for this commit.
func TestCommitReadsNoFurther(t *testing.T) {
	t.Parallel()
	w := newWriter(t).add(3)
	old := *w
	w.add(2)
	f, err := os.OpenFile(filepath.Join(w.dir, segmentPath(documentsDir, 0)), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"half a doc`); err != nil {
		t.Fatal(err)
	}
	f.Close()

	old.commit()
	if got := strings.Count(w.git("show", "main:"+segmentPath(ledgerDir, 0)), "\n"); got != 3 {
		t.Errorf("%d events were committed, want 3", got)
	}
	if doc := w.git("show", "main:"+segmentPath(documentsDir, 0)); strings.Contains(doc, "half a doc") || strings.Count(doc, "\n") != 5 {
		t.Errorf("documents: %d lines, ending in %q", strings.Count(doc, "\n"), doc[len(doc)-12:])
	}
	w.verify()
}

// A process that comes late with an old position must not take back what another has committed.
func TestCommitOfOldPosition(t *testing.T) {
	t.Parallel()
	w := newWriter(t).add(3)
	same, older := *w, *w
	w.add(2).commit()
	if c, changed, err := same.try(); err != nil || changed {
		t.Errorf("same segment: %+v %v %v", c, changed, err)
	}
	w.add(400).commit()
	w.add(1).commit()
	if c, changed, err := older.try(); err != nil || changed {
		t.Errorf("older segment: %+v %v %v", c, changed, err)
	}
	older.ledger = Position{}
	if c, changed, err := older.try(); err != nil || changed {
		t.Errorf("empty position: %+v %v %v", c, changed, err)
	}
	if got := len(w.log()); got != 3 {
		t.Errorf("%d commits, want 3", got)
	}
}

func TestCommitRefuses(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		break_ func(t *testing.T, w *writer) Snapshot
		want   string
	}{
		"position beyond the file": {func(t *testing.T, w *writer) Snapshot {
			s := w.snapshot()
			s.Ledger.Offset += 10
			return s
		}, "are committed"},
		"position inside a line": {func(t *testing.T, w *writer) Snapshot {
			s := w.snapshot()
			s.Ledger.Offset -= 10
			return s
		}, "not the end of a line"},
		"wrong size": {func(t *testing.T, w *writer) Snapshot {
			s := w.snapshot()
			s.Ledger.Size++
			return s
		}, "has events up to"},
		"impossible position": {func(t *testing.T, w *writer) Snapshot {
			s := w.snapshot()
			s.Ledger.Segment = s.Ledger.Size + 1
			return s
		}, "impossible"},
		"size trailer of the caller": {func(t *testing.T, w *writer) Snapshot {
			s := w.add(1).snapshot()
			s.Trailers = append(s.Trailers, Trailer{"Ledger-Size", "9"})
			return s
		}, "written by the commit itself"},
		"trailer with a line break": {func(t *testing.T, w *writer) Snapshot {
			s := w.add(1).snapshot()
			s.Trailers = append(s.Trailers, Trailer{"Job", "a\nJob: b"})
			return s
		}, "printable"},
		"segment gone": {func(t *testing.T, w *writer) Snapshot {
			w.add(400).add(1)
			if err := os.Remove(filepath.Join(w.dir, segmentPath(ledgerDir, 0))); err != nil {
				t.Fatal(err)
			}
			return w.snapshot()
		}, segmentPath(ledgerDir, 0) + ": missing"},
		"active segment gone": {func(t *testing.T, w *writer) Snapshot {
			w.add(400).add(1)
			if err := os.Remove(filepath.Join(w.dir, segmentPath(ledgerDir, 403))); err != nil {
				t.Fatal(err)
			}
			return w.snapshot()
		}, segmentPath(ledgerDir, 403) + ": missing"},
		"documents cut": {func(t *testing.T, w *writer) Snapshot {
			if err := os.Truncate(filepath.Join(w.dir, segmentPath(documentsDir, 0)), 1000); err != nil {
				t.Fatal(err)
			}
			w.ledger = w.append(ledgerDir, w.ledger, 1, eventWidth)
			return w.snapshot()
		}, "that are in git"},
		"closed segment torn": {func(t *testing.T, w *writer) Snapshot {
			path := filepath.Join(w.dir, segmentPath(ledgerDir, 0))
			w.add(400)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			w.add(1)
			if err := os.WriteFile(path, append(b, "torn"...), 0o644); err != nil {
				t.Fatal(err)
			}
			return w.snapshot()
		}, "unfinished line"},
		"symbolic link": {func(t *testing.T, w *writer) Snapshot {
			path := filepath.Join(w.dir, segmentPath(ledgerDir, 0))
			if err := os.Rename(path, path+".x"); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(path+".x", path); err != nil {
				t.Fatal(err)
			}
			return w.add(0).snapshot()
		}, "not a regular file"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWriter(t).add(3)
			before := w.commit()
			s := c.break_(t, w)
			_, changed, err := w.open().Commit(context.Background(), s)
			if changed || err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("changed %v, error %v, want one with %q", changed, err, c.want)
			}
			if head, err := w.open().Head(); err != nil || head.Hash != before.Hash {
				t.Errorf("head %s, %v, want %s", head.Hash, err, before.Hash)
			}
		})
	}
}

func TestCommitIsDeterministic(t *testing.T) {
	t.Parallel()
	a, b := newWriter(t), newWriter(t)
	for _, n := range []int{1, 300, 1, 2000, 5} {
		if x, y := a.add(n).commit(), b.add(n).commit(); x.Hash != y.Hash {
			t.Fatalf("after %d events: %s and %s", a.ledger.Size, x.Hash, y.Hash)
		}
	}
	c := newWriter(t).add(1)
	s := c.snapshot()
	s.Time = s.Time.Add(1e9)
	other, _, err := c.open().Commit(context.Background(), s)
	if err != nil {
		t.Fatal(err)
	}
	if log := a.log(); other.Hash == log[len(log)-1] {
		t.Error("another time gives the same hash")
	}
}

func TestCheckpointIsTracked(t *testing.T) {
	t.Parallel()
	w := newWriter(t).add(3)
	w.commit()
	put := func(text string) {
		if err := os.WriteFile(filepath.Join(w.dir, checkpointPath), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	put("origin\n3\nroot\n")
	w.commit()
	if got := w.git("show", "main:"+checkpointPath); got != "origin\n3\nroot\n" {
		t.Errorf("checkpoint %q", got)
	}
	if _, changed, err := w.try(); changed || err != nil {
		t.Errorf("the same checkpoint: %v %v", changed, err)
	}
	w.add(1).commit()
	if err := os.Remove(filepath.Join(w.dir, checkpointPath)); err != nil {
		t.Fatal(err)
	}
	w.add(1).commit()
	if got := w.git("show", "main:"+checkpointPath); got != "origin\n3\nroot\n" {
		t.Errorf("checkpoint after it was removed: %q", got)
	}
	w.verify()
}

func TestErrorsWithoutRepository(t *testing.T) {
	t.Parallel()
	w := newWriter(t)
	if _, err := w.open().Head(); !errors.Is(err, ErrNoRepository) {
		t.Errorf("no repository: %v", err)
	}
	if err := Init(w.dir); err != nil {
		t.Fatal(err)
	}
	if _, err := w.open().Head(); !errors.Is(err, ErrNoCommits) {
		t.Errorf("no commits: %v", err)
	}
	if _, err := w.open().Committed(); !errors.Is(err, ErrNoCommits) {
		t.Errorf("no commits: %v", err)
	}
	if _, err := Open(filepath.Join(w.dir, "missing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
}
