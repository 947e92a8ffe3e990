package ledger

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/durable"
)

// newOutbox makes the folders that a workspace has.
func newOutbox(t testing.TB) string {
	t.Helper()
	outbox := filepath.Join(t.TempDir(), "runtime", "outbox")
	for _, dir := range []string{outbox, filepath.Join(outbox, "..", ".sheratan")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return outbox
}

func open(t testing.TB, outbox string, faults durable.Faults) *Log {
	t.Helper()
	l, err := Open(outbox, faults)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func openDocuments(t testing.TB, outbox string, faults durable.Faults) *Documents {
	t.Helper()
	d, err := OpenDocuments(outbox, faults)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// sample is an event with about as many bytes as most have.
func sample(n int64) Event {
	return Event{
		Timestamp: "2026-03-01T12:00:00.000000Z",
		Actor:     "sheratan gate",
		Event:     job.JobCancelled,
		JobID:     fmt.Sprintf("job-%d", n),
		TraceID:   fmt.Sprintf("job-%d", n),
		Zone:      "outbox",
		Meta:      []byte(`{"reason":"no longer wanted"}`),
	}
}

// write commits batches of the given sizes and returns the position behind each.
func write(t testing.TB, l *Log, pos Position, sizes ...int) []Position {
	t.Helper()
	var ends []Position
	for _, n := range sizes {
		b := batch(t, pos, n)
		var err error
		if pos, err = l.Write(b); err != nil {
			t.Fatal(err)
		}
		ends = append(ends, pos)
	}
	return ends
}

func batch(t testing.TB, pos Position, n int) *Batch {
	t.Helper()
	b := NewBatch(pos)
	for range n {
		e := sample(b.Position().Size)
		if err := b.Add(&e); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// tail reads everything behind pos.
func tail(l *Log, pos Position) (seqs []int64, end Position, torn *TornTail, err error) {
	end, torn, err = l.Tail(pos, func(e *Event, _ []byte, _ Position) error {
		seqs = append(seqs, e.Seq)
		return nil
	})
	return seqs, end, torn, err
}

// segmentFiles returns the content of every segment by its path relative to the folder of the ledger.
func segmentFiles(t testing.TB, outbox string) map[string]string {
	t.Helper()
	files := map[string]string{}
	dir := filepath.Join(outbox, "ledger")
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		files[rel] = string(b)
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return files
}

// segmentFile returns the path of a segment of the ledger.
func segmentFile(outbox string, first int64) string {
	p, err := SegmentPath(first)
	if err != nil {
		panic(err)
	}
	return filepath.Join(outbox, "ledger", p)
}

func edit(t testing.TB, path string, change func(string) string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	after := change(string(b))
	if after == string(b) {
		t.Fatalf("%s: the edit changes nothing", path)
	}
	if err := os.WriteFile(path, []byte(after), 0o644); err != nil {
		t.Fatal(err)
	}
}

func appendTo(t testing.TB, path, s string) {
	t.Helper()
	edit(t, path, func(old string) string { return old + s })
}

// line returns line n, without its newline, of a segment's content.
func line(content string, n int) string {
	return strings.Split(content, "\n")[n]
}
