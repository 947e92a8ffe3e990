package history

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// writer stands in for the ledger: it appends lines to segments as the write path does, a segment being closed when it
// holds 64 KiB.
type writer struct {
	t         testing.TB
	dir       string
	ledger    Position
	documents Position
}

func newWriter(t testing.TB) *writer { return &writer{t: t, dir: t.TempDir()} }

const (
	closedAt      = 64 << 10
	eventWidth    = 420 // bytes, about
	documentWidth = 420
)

// add appends n events and as many documents, in one batch.
func (w *writer) add(n int) *writer {
	w.t.Helper()
	w.documents = w.append(documentsDir, w.documents, n, documentWidth)
	w.ledger = w.append(ledgerDir, w.ledger, n, eventWidth)
	return w
}

func (w *writer) append(dir string, p Position, n, width int) Position {
	if p.Offset >= closedAt {
		p.Segment, p.Offset = p.Size, 0
	}
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, `{"seq":%d,"artifact":"%x","text":"%0*d"}`+"\n", p.Size+int64(i), sha256.Sum256([]byte{byte(i)}), width-100, i)
	}
	path := filepath.Join(w.dir, segmentPath(dir, p.Segment))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		w.t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := f.Write(b.Bytes()); err != nil {
		w.t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		w.t.Fatal(err)
	}
	p.Size, p.Offset = p.Size+int64(n), p.Offset+int64(b.Len())
	return p
}

var testTime = time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)

func (w *writer) snapshot() Snapshot {
	return Snapshot{
		Ledger:   w.ledger,
		Subject:  fmt.Sprintf("tick: %d events", w.ledger.Size),
		Trailers: []Trailer{{"Sheratan-Tick", "t1"}, {"Job", "a"}, {"Job-Status", "completed"}},
		Time:     testTime.Add(time.Duration(w.ledger.Size) * time.Second),
	}
}

// commit commits what the writer has written through a handle of its own, as a new process would.
func (w *writer) commit() Commit {
	w.t.Helper()
	c, changed, err := w.try()
	if err != nil {
		w.t.Fatal(err)
	}
	if !changed {
		w.t.Fatal("nothing was committed")
	}
	return c
}

func (w *writer) try() (Commit, bool, error) {
	w.t.Helper()
	return w.open().Commit(context.Background(), w.snapshot())
}

func (w *writer) open() *Repository {
	w.t.Helper()
	r, err := Open(w.dir)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// verify checks that neither Verify nor git fsck finds anything.
func (w *writer) verify() {
	w.t.Helper()
	findings, err := w.open().Verify(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range findings {
		w.t.Errorf("finding: %+v", f)
	}
	if _, err := exec.LookPath("git"); err == nil {
		if out := w.git("fsck", "--no-dangling", "--strict"); out != "" {
			w.t.Errorf("git fsck: %s", out)
		}
	}
}

// git runs the real git in the runtime folder, as a person would, and returns what it printed.
func (w *writer) git(args ...string) string {
	w.t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		w.t.Skip("git is not installed")
	}
	cmd := exec.Command("git", args...)
	cmd.Dir = w.dir
	cmd.Env = append(cleanEnv(os.Environ()), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull, "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.t.Errorf("git %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// log returns the hashes from HEAD back.
func (w *writer) log() []string {
	w.t.Helper()
	var hashes []string
	if err := w.open().Log(context.Background(), func(e Entry) error { hashes = append(hashes, e.Hash); return nil }); err != nil {
		w.t.Fatal(err)
	}
	return hashes
}

// objectFile returns the path of the loose object that git names.
func (w *writer) objectFile(name string) string {
	w.t.Helper()
	hash := strings.TrimSpace(w.git("rev-parse", name))
	if len(hash) != 40 {
		w.t.Fatalf("%s: no such object: %s", name, hash)
	}
	return filepath.Join(w.dir, gitDir, "objects", hash[:2], hash[2:])
}

func codes(repairs []Repair) string {
	var codes []string
	for _, r := range repairs {
		codes = append(codes, r.Code)
	}
	return strings.Join(codes, " ")
}

func truncate(t testing.TB, path string) {
	t.Helper()
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
}
