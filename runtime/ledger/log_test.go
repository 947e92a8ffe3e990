package ledger

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sheratan/sheratan/runtime/durable"
)

func TestSegmentPath(t *testing.T) {
	for n, want := range map[int64]string{
		0: "000/000/000000000.jsonl", 4000: "000/004/000004000.jsonl", 4999: "000/004/000004999.jsonl",
		1234567: "001/234/001234567.jsonl", 999999999: "999/999/999999999.jsonl",
	} {
		got, err := SegmentPath(n)
		if err != nil || got != want {
			t.Errorf("%d: %s, %v, want %s", n, got, err, want)
		}
		if back, ok := parseSegmentPath(want); !ok || back != n {
			t.Errorf("%s is read as %d, %v", want, back, ok)
		}
	}
	for _, n := range []int64{-1, 1_000_000_000} {
		if p, err := SegmentPath(n); err == nil {
			t.Errorf("%d has the path %s", n, p)
		}
	}
	for _, p := range []string{"", "000004000.jsonl", "000/005/000004000.jsonl", "000/004/4000.jsonl", "000/004/000004000.json",
		"../000/004/000004000.jsonl", "000/004/+00004000.jsonl", "000//004/000004000.jsonl"} {
		if _, ok := parseSegmentPath(p); ok {
			t.Errorf("%q was taken for a segment", p)
		}
	}
}

func TestWriteAndReadBack(t *testing.T) {
	outbox := newOutbox(t)
	l := open(t, outbox, nil)
	ends := write(t, l, Position{}, 3, 1, 2)
	last := ends[len(ends)-1]
	for _, from := range append([]Position{{}}, ends...) {
		for name, reader := range map[string]*Log{"the same handle": l, "another": open(t, outbox, nil)} {
			seqs, end, torn, err := tail(reader, from)
			if err != nil || torn != nil || !end.Equal(last) || int64(len(seqs)) != last.Size-from.Size {
				t.Errorf("%s from %d: %v, end %+v, torn %v, error %v", name, from.Size, seqs, end, torn, err)
			}
		}
	}
	if size, err := l.Size(); err != nil || size != 6 {
		t.Errorf("size %d, %v", size, err)
	}
}

func TestEmptyLedger(t *testing.T) {
	l := open(t, newOutbox(t), nil)
	seqs, end, torn, err := tail(l, Position{})
	if len(seqs) != 0 || !end.Equal(Position{}) || torn != nil || err != nil {
		t.Errorf("%v, %+v, %v, %v", seqs, end, torn, err)
	}
	if size, err := l.Size(); err != nil || size != 0 {
		t.Errorf("size %d, %v", size, err)
	}
	if end, err := l.Write(NewBatch(Position{})); err != nil || end.Size != 0 {
		t.Errorf("an empty batch: %+v, %v", end, err)
	}
}

// TestSegments writes batches until there are segments of all kinds and checks that a batch is never split, that a segment
// is closed once it has 64 KiB, and that the link points to the last one.
func TestSegments(t *testing.T) {
	outbox := newOutbox(t)
	l := open(t, outbox, nil)
	pos := Position{}
	var begins []int64
	for range 12 {
		b := batch(t, pos, 100)
		if b.Position().Offset == int64(b.Bytes()) {
			begins = append(begins, pos.Size)
			if pos.Size > 0 && pos.Offset < SegmentBytes {
				t.Errorf("the segment before %d was closed with %d bytes", pos.Size, pos.Offset)
			}
		} else if pos.Offset >= SegmentBytes {
			t.Errorf("at %d: %d bytes, and the segment goes on", pos.Size, pos.Offset)
		}
		var err error
		if pos, err = l.Write(b); err != nil {
			t.Fatal(err)
		}
		target, err := os.Readlink(filepath.Join(outbox, "ledger.jsonl"))
		p, _ := SegmentPath(begins[len(begins)-1])
		if err != nil || target != "ledger/"+p {
			t.Errorf("the link points to %s, %v", target, err)
		}
	}
	if len(begins) < 4 {
		t.Fatalf("only %d segments; the test needs some", len(begins))
	}
	files := segmentFiles(t, outbox)
	if len(files) != len(begins) {
		t.Errorf("%d files, want %d", len(files), len(begins))
	}
	for _, first := range begins {
		p, _ := SegmentPath(first)
		if e, err := ParseLine([]byte(line(files[p], 0))); err != nil || e.Seq != first {
			t.Errorf("%s begins with %d, %v", p, e.Seq, err)
		}
	}
	seqs, end, torn, err := tail(open(t, outbox, nil), Position{})
	if err != nil || torn != nil || len(seqs) != 1200 || !end.Equal(pos) {
		t.Errorf("%d lines, torn %v, error %v", len(seqs), torn, err)
	}
}

func TestLinkIsNotNeeded(t *testing.T) {
	outbox := newOutbox(t)
	// A folder in its place cannot be replaced.
	if err := os.MkdirAll(filepath.Join(outbox, "ledger.jsonl", "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	l := open(t, outbox, nil)
	ends := write(t, l, Position{}, 2)
	if seqs, _, _, err := tail(l, Position{}); err != nil || len(seqs) != 2 || ends[0].Size != 2 {
		t.Errorf("%v, %v", seqs, err)
	}
	if _, err := os.Lstat(filepath.Join(outbox, durable.TempPrefix+"ledger.jsonl")); err == nil {
		t.Error("a temporary link was left behind")
	}
}

func TestAppendTakesOnlyLinesOfThisPlace(t *testing.T) {
	outbox := newOutbox(t)
	l := open(t, outbox, nil)
	lines := func(b *Batch) (out [][]byte) {
		for _, s := range strings.Split(strings.TrimSuffix(string(b.buf), "\n"), "\n") {
			out = append(out, []byte(s))
		}
		return out
	}
	good := lines(batch(t, Position{}, 3))
	for name, bad := range map[string][][]byte{
		"not from the beginning": good[1:],
		"a gap":                  {good[0], good[2]},
		"a line twice":           {good[0], good[0]},
		"no line":                {[]byte("{}")},
	} {
		if _, err := l.Append(Position{}, bad); err == nil {
			t.Errorf("%s was written", name)
		}
	}
	if files := segmentFiles(t, outbox); len(files) != 0 {
		t.Fatalf("refused lines left files: %v", files)
	}
	end, err := l.Append(Position{}, good)
	if err != nil || !end.Equal(batch(t, Position{}, 3).Position()) {
		t.Errorf("%+v, %v", end, err)
	}
	if _, err := l.Append(end, lines(batch(t, end, 2))); err != nil {
		t.Error(err)
	}
}

func TestWriteRefusesAnotherEnd(t *testing.T) {
	for name, test := range map[string]struct {
		change func(t *testing.T, outbox string, ends []Position)
		code   string
	}{
		"nothing": {func(*testing.T, string, []Position) {}, ""},
		"a line more": {func(t *testing.T, outbox string, ends []Position) {
			write(t, open(t, outbox, nil), ends[1], 1)
		}, CodeLonger},
		"a byte less": {func(t *testing.T, outbox string, ends []Position) {
			if err := os.Truncate(segmentFile(outbox, 0), ends[1].Offset-1); err != nil {
				t.Fatal(err)
			}
		}, CodeShorter},
		"segment gone": {func(t *testing.T, outbox string, _ []Position) {
			if err := os.Remove(segmentFile(outbox, 0)); err != nil {
				t.Fatal(err)
			}
		}, CodeSegmentMissing},
		"segment copied": {func(t *testing.T, outbox string, _ []Position) {
			b, _ := os.ReadFile(segmentFile(outbox, 0))
			if err := durable.WriteFile(segmentFile(outbox, 0), b, 0o644); err != nil {
				t.Fatal(err)
			}
		}, CodeSegmentReplaced},
	} {
		t.Run(name, func(t *testing.T) {
			outbox := newOutbox(t)
			l := open(t, outbox, nil)
			ends := write(t, l, Position{}, 2, 2)
			test.change(t, outbox, ends)
			before := segmentFiles(t, outbox)
			_, err := l.Write(batch(t, ends[1], 1))
			var tampered *TamperError
			if errors.As(err, &tampered) != (test.code != "") || tampered != nil && tampered.Code != test.code {
				t.Fatalf("error %v, want code %q", err, test.code)
			}
			if test.code == "" {
				return
			}
			if after := segmentFiles(t, outbox); len(after) != len(before) || after["000/000/000000000.jsonl"] != before["000/000/000000000.jsonl"] {
				t.Error("something was written")
			}
		})
	}
}

func TestNewSegmentNeverOverwrites(t *testing.T) {
	outbox := newOutbox(t)
	l := open(t, outbox, nil)
	ends := write(t, l, Position{}, 400)
	if ends[0].Offset < SegmentBytes {
		t.Fatal("the first batch does not fill a segment")
	}
	if err := os.WriteFile(segmentFile(outbox, 400), []byte("precious\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := l.Write(batch(t, ends[0], 1))
	var tampered *TamperError
	if !errors.As(err, &tampered) || tampered.Code != CodeLonger {
		t.Errorf("error %v", err)
	}
	if b, _ := os.ReadFile(segmentFile(outbox, 400)); string(b) != "precious\n" {
		t.Errorf("the file there now has %q", b)
	}
}

func TestOpenNeedsFolder(t *testing.T) {
	if _, err := Open(filepath.Join(t.TempDir(), "missing"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

func TestSegmentIsNotALink(t *testing.T) {
	outbox := newOutbox(t)
	ends := write(t, open(t, outbox, nil), Position{}, 2)
	p := segmentFile(outbox, 0)
	for name, make := range map[string]func() error{
		"symlink": func() error { return os.Symlink(p+".real", p) },
		"FIFO":    func() error { return syscall.Mkfifo(p, 0o644) },
	} {
		if err := os.Rename(p, p+".real"); err != nil {
			t.Fatal(err)
		}
		if err := make(); err != nil {
			t.Fatal(err)
		}
		l := open(t, outbox, nil)
		if _, err := l.Write(batch(t, ends[0], 1)); err == nil {
			t.Errorf("%s: written through", name)
		}
		if err := l.Scan(0, func(*Event, []byte) error { return nil }); err == nil {
			t.Errorf("%s: read through", name)
		}
		if err := os.Rename(p+".real", p); err != nil {
			t.Fatal(err)
		}
	}
}
