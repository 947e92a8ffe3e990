package ledger

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestTornTail lets a crash leave all sorts of bytes behind the ledger, and checks that exactly these are moved aside.
func TestTornTail(t *testing.T) {
	next := func(pos Position, n int) string { // lines that a commit would have written
		return string(batch(t, pos, n).buf)
	}
	for name, test := range map[string]struct {
		lines int // before
		junk  func(pos Position) (segment int64, bytes string)
		kept  int64 // whole lines in what was left behind
		torn  int   // bytes of it that are torn
	}{
		"half a line": {5, func(p Position) (int64, string) { return 0, next(p, 1)[:100] }, 0, 100},
		"all but the newline": {5, func(p Position) (int64, string) {
			return 0, strings.TrimSuffix(next(p, 1), "\n")
		}, 0, -1},
		"a line and a half": {5, func(p Position) (int64, string) {
			b := next(p, 2)
			return 0, b[:strings.Index(b, "\n")+1+10]
		}, 1, 10},
		"zeros":             {5, func(Position) (int64, string) { return 0, strings.Repeat("\x00", 5000) }, 0, 5000},
		"many zeros":        {5, func(Position) (int64, string) { return 0, strings.Repeat("\x00", 300<<10) }, 0, 300 << 10},
		"a line, and zeros": {5, func(p Position) (int64, string) { return 0, next(p, 1) + "\x00\x00" }, 1, 2},
		"zeros, and whole lines": {5, func(p Position) (int64, string) {
			b := next(p, 3)
			return 0, strings.Repeat("\x00", 200) + b[200:]
		}, 0, -1},
		"a long line without an end": {5, func(Position) (int64, string) { return 0, strings.Repeat("x", 200<<10) }, 0, 200 << 10},
		"an empty segment":           {400, func(Position) (int64, string) { return 400, "" }, 0, 0},
		"a segment of zeros":         {400, func(Position) (int64, string) { return 400, strings.Repeat("\x00", 4096) }, 0, 4096},
		"a segment with half a line": {400, func(p Position) (int64, string) { return 400, next(p, 1)[:9] }, 0, 9},
		"a segment with more": {400, func(p Position) (int64, string) {
			b := next(p, 2)
			return 400, b[:len(b)-1]
		}, 1, -1},
		"the very first segment, empty":  {0, func(Position) (int64, string) { return 0, "" }, 0, 0},
		"the very first segment, broken": {0, func(p Position) (int64, string) { return 0, next(p, 1)[:50] }, 0, 50},
	} {
		t.Run(name, func(t *testing.T) {
			outbox := newOutbox(t)
			l := open(t, outbox, nil)
			pos := Position{}
			if test.lines > 0 {
				pos = write(t, l, pos, test.lines)[0]
			}
			segment, junk := test.junk(pos)
			file := segmentFile(outbox, segment)
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			old, _ := os.ReadFile(file)
			if err := os.WriteFile(file, append(old, junk...), 0o644); err != nil {
				t.Fatal(err)
			}
			lockless(t, outbox, pos.Size+test.kept)

			for from, start := range map[string]Position{"behind the known": pos, "without an index": {}} {
				seqs, end, torn, err := tail(open(t, outbox, nil), start)
				if err != nil || int64(len(seqs)) != pos.Size+test.kept-start.Size || torn == nil {
					t.Fatalf("%s: %d lines, torn %+v, error %v", from, len(seqs), torn, err)
				}
				if !torn.At.Equal(end) {
					t.Errorf("%s: torn at %d, the lines end at %d", from, torn.At.Size, end.Size)
				}
				if err := torn.Guard(pos.Size); err != nil {
					t.Errorf("%s: %v", from, err)
				}
				if err := torn.Guard(pos.Size + test.kept + 1); !isCode(err, CodeShorter) {
					t.Errorf("%s: a tail that was torn off committed lines is let pass: %v", from, err)
				}
			}

			l = open(t, outbox, nil)
			_, end, torn, err := tail(l, pos)
			if err != nil {
				t.Fatal(err)
			}
			aside := filepath.Join(outbox, "..", ".sheratan", "torn")
			moved, err := l.MoveTorn(torn, aside)
			if err != nil {
				t.Fatal(err)
			}
			want := junk
			if test.torn >= 0 {
				want = junk[len(junk)-test.torn:]
			} else if test.kept > 0 {
				want = junk[strings.Index(junk, "\n")+1:]
			}
			sum := sha256.Sum256([]byte(want))
			rel, _ := SegmentPath(segment)
			if moved != (Torn{"outbox/ledger/" + rel, int64(len(want)), hex.EncodeToString(sum[:])}) {
				t.Errorf("moved %+v, want %d bytes", moved, len(want))
			}
			entries, err := os.ReadDir(aside)
			if err != nil || len(entries) != 1 {
				t.Fatalf("%d files aside, %v", len(entries), err)
			}
			if b, err := os.ReadFile(filepath.Join(aside, entries[0].Name())); err != nil || string(b) != want {
				t.Errorf("aside lie %d bytes, want %d; %v", len(b), len(want), err)
			}
			if end, err = l.Write(batch(t, end, 2)); err != nil {
				t.Fatal(err)
			}
			seqs, again, torn, err := tail(open(t, outbox, nil), Position{})
			if err != nil || torn != nil || !again.Equal(end) || int64(len(seqs)) != end.Size {
				t.Errorf("afterwards: %d lines, torn %v, error %v", len(seqs), torn, err)
			}
			verified(t, outbox, end.Size)
		})
	}
}

// lockless checks that those who have no lock see whole lines and no error.
func lockless(t *testing.T, outbox string, size int64) {
	t.Helper()
	n := int64(0)
	if err := open(t, outbox, nil).Scan(0, func(e *Event, _ []byte) error {
		if e.Seq != n {
			t.Errorf("Scan: line %d comes as number %d", e.Seq, n)
		}
		n++
		return nil
	}); err != nil || n != size {
		t.Errorf("Scan: %d lines, want %d; error %v", n, size, err)
	}
	verified(t, outbox, size)
}

// TestCrashWhileMoving repeats MoveTorn where the first one copied and did not come to cut.
func TestCrashWhileMoving(t *testing.T) {
	outbox := newOutbox(t)
	l := open(t, outbox, nil)
	pos := write(t, l, Position{}, 2)[0]
	appendTo(t, segmentFile(outbox, 0), "torn")
	aside := t.TempDir()
	for range 2 {
		again := open(t, outbox, nil)
		_, _, torn, err := tail(again, pos)
		if err != nil || torn == nil {
			t.Fatalf("%v, %v", torn, err)
		}
		if _, err := again.MoveTorn(torn, aside); err != nil {
			t.Fatal(err)
		}
		if entries, _ := os.ReadDir(aside); len(entries) != 1 {
			t.Errorf("%d files aside", len(entries))
		}
		if size, _ := os.Stat(segmentFile(outbox, 0)); size.Size() != pos.Offset {
			t.Errorf("%d bytes stay", size.Size())
		}
		appendTo(t, segmentFile(outbox, 0), "torn")
	}
}

func TestTornTailThatGrew(t *testing.T) {
	outbox := newOutbox(t)
	l := open(t, outbox, nil)
	pos := write(t, l, Position{}, 2)[0]
	appendTo(t, segmentFile(outbox, 0), "torn")
	_, _, torn, err := tail(l, pos)
	if err != nil || torn == nil {
		t.Fatal(torn, err)
	}
	appendTo(t, segmentFile(outbox, 0), " and not by a crash")
	if _, err := l.MoveTorn(torn, t.TempDir()); err == nil {
		t.Error("bytes were cut that nobody looked at")
	}
}

func TestTailStopsForItsFunction(t *testing.T) {
	outbox := newOutbox(t)
	l := open(t, outbox, nil)
	write(t, l, Position{}, 3)
	stop := errors.New("stop")
	var seen []int64
	end, _, err := l.Tail(Position{}, func(e *Event, line []byte, at Position) error {
		seen = append(seen, e.Seq)
		if at.Leaf != LeafHash(line) || at.Size != e.Seq+1 {
			t.Errorf("line %d comes with position %d", e.Seq, at.Size)
		}
		if e.Seq == 1 {
			return stop
		}
		return nil
	})
	if err != stop || !slices.Equal(seen, []int64{0, 1}) || end.Size != 1 {
		t.Errorf("saw %v, end %d, error %v", seen, end.Size, err)
	}
}

// TestTamper changes bytes of each class. Those before the known position must be found by Tail where they are in its
// reach, and by Verify wherever they are; those behind it are tampering too where no crash can explain them.
func TestTamper(t *testing.T) {
	const known, more = 800, 400 // lines; each of the batches has a segment of its own
	replace := func(old, new string) func(string) string {
		return func(s string) string {
			i := strings.LastIndex(s, old)
			return s[:i] + new + s[i+len(old):]
		}
	}
	within := func(segment int64, change func(string) string) func(*testing.T, string) {
		return func(t *testing.T, outbox string) { edit(t, segmentFile(outbox, segment), change) }
	}
	gone := func(segment int64) func(*testing.T, string) {
		return func(t *testing.T, outbox string) {
			if err := os.Remove(segmentFile(outbox, segment)); err != nil {
				t.Fatal(err)
			}
		}
	}
	dropLine := func(s string) string { return s[strings.Index(s, "\n")+1:] }
	swap := func(s string) string {
		lines := strings.SplitAfter(s, "\n")
		lines[3], lines[4] = lines[4], lines[3]
		return strings.Join(lines, "")
	}
	for name, test := range map[string]struct {
		change  func(*testing.T, string)
		tail    string // code from Tail(known), "" for none
		rebuild string // code from Tail(zero)
		verify  []string
	}{
		"nothing":               {func(*testing.T, string) {}, "", "", nil},
		"meta of an early line": {within(0, replace("longer", "LONGER")), "", CodeChainBroken, []string{CodeChainBroken, CodeRootDiffers}},
		"meta of the last line": {within(400, replace("longer", "LONGER")), CodeLastLineDiffers, CodeChainBroken,
			[]string{CodeLastLineDiffers, CodeChainBroken}},
		"a space":              {within(0, replace(`,"zone"`, `, "zone"`)), "", CodeBadLine, []string{CodeBadLine, CodeChainBroken, CodeRootDiffers}},
		"a newline":            {within(0, replace("\n{", "\n\n{")), "", CodeBadLine, []string{CodeBadLine, CodeSeqGap, CodeChainBroken}},
		"a newline taken away": {within(0, replace("}\n{", "}{")), "", CodeBadLine, []string{CodeBadLine, CodeSegmentMissing}},
		"a zero byte":          {within(0, replace("longer", "lon\x00er")), "", CodeSegmentMissing, []string{CodeBadLine, CodeChainBroken, CodeRootDiffers}},
		"seq":                  {within(0, replace(`"seq":399`, `"seq":398`)), "", CodeSeqGap, []string{CodeSeqGap, CodeSegmentMissing}},
		"prev": {within(0, func(s string) string {
			i := strings.LastIndex(s, `"prev":"`) + len(`"prev":"`)
			return s[:i] + zeros + s[i+len(zeros):]
		}), "", CodeChainBroken, []string{CodeChainBroken, CodeChainBroken, CodeRootDiffers}},
		"the first line dropped": {within(0, dropLine), "", CodeSeqGap, []string{CodeSeqGap, CodeChainBroken}},
		"two lines swapped": {within(400, swap), "", CodeSeqGap,
			[]string{CodeSeqGap, CodeChainBroken, CodeSeqGap, CodeChainBroken, CodeSeqGap, CodeChainBroken}},
		"the first segment missing":   {gone(0), "", CodeSegmentMissing, []string{CodeSegmentMissing}},
		"the known segment missing":   {gone(400), CodeSegmentMissing, CodeSegmentMissing, []string{CodeSegmentMissing}},
		"a later segment missing":     {gone(800), CodeSegmentMissing, CodeSegmentMissing, []string{CodeSegmentMissing}},
		"the known segment cut":       {within(400, func(s string) string { return s[:len(s)-1] }), CodeShorter, CodeSegmentMissing, []string{CodeBadLine}},
		"the known segment emptied":   {within(400, func(string) string { return "" }), CodeShorter, CodeSegmentMissing, []string{CodeSegmentMissing}},
		"garbage behind the end":      {within(1200, func(s string) string { return s + "garbage\n" }), CodeBadLine, CodeBadLine, []string{CodeBadLine}},
		"a foreign line at the end":   {within(1200, func(s string) string { return s + line(s, 0) + "\n" }), CodeSeqGap, CodeSeqGap, []string{CodeSeqGap, CodeChainBroken}},
		"a later meta":                {within(1200, func(s string) string { return strings.Replace(s, "longer", "LONGER", 1) }), CodeChainBroken, CodeChainBroken, []string{CodeChainBroken}},
		"a very long line at the end": {within(1200, func(s string) string { return s + strings.Repeat("x", 200<<10) + "\n" }), CodeBadLine, CodeBadLine, []string{CodeBadLine}},
		"a segment of its own": {func(t *testing.T, outbox string) {
			if err := os.WriteFile(segmentFile(outbox, 500), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}, "", "", []string{CodeUnknownFile}},
		"a file of its own": {func(t *testing.T, outbox string) {
			if err := os.WriteFile(filepath.Join(outbox, "ledger", "000", "notes.txt"), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}, "", "", []string{CodeUnknownFile}},
		"a link for a segment": {func(t *testing.T, outbox string) {
			p := segmentFile(outbox, 0)
			if err := errors.Join(os.Rename(p, outbox+"/elsewhere"), os.Symlink(outbox+"/elsewhere", p)); err != nil {
				t.Fatal(err)
			}
		}, "", CodeSegmentReplaced, []string{CodeUnreadable, CodeSegmentMissing, CodeUnknownFile}},
	} {
		t.Run(name, func(t *testing.T) {
			outbox := newOutbox(t)
			l := open(t, outbox, nil)
			ends := write(t, l, Position{}, 400, known-400, more, 10)
			if len(segmentFiles(t, outbox)) != 4 {
				t.Fatal("the test needs a segment for each batch")
			}
			test.change(t, outbox)
			for from, want := range map[Position]string{ends[1]: test.tail, {}: test.rebuild} {
				_, _, torn, err := tail(open(t, outbox, nil), from)
				if want == "" && err != nil || want != "" && !isCode(err, want) {
					t.Errorf("Tail from %d: torn %v, error %v, want %q", from.Size, torn, err, want)
				}
			}
			_, findings := verify(t, outbox, VerifyOptions{Known: []Position{ends[1]}})
			var codes []string
			for _, f := range findings {
				codes = append(codes, f.Code)
			}
			if !slices.Equal(codes, test.verify) {
				t.Errorf("Verify finds %v, want %v", findings, test.verify)
			}
		})
	}
}
