package ledger

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestScanFrom(t *testing.T) {
	outbox := newOutbox(t)
	l := open(t, outbox, nil)
	write(t, l, Position{}, 400, 400, 700, 10, 400, 5)
	const size = 1915
	for _, from := range []int64{0, 1, 399, 400, 401, 1499, 1500, 1914, 1915, 5000} {
		next := from
		if err := l.Scan(from, func(e *Event, line []byte) error {
			if e.Seq != next {
				t.Fatalf("from %d: line %d comes instead of %d", from, e.Seq, next)
			}
			if again, err := ParseLine(line); err != nil || again.ID != e.ID {
				t.Fatalf("from %d: line %d comes with %q", from, e.Seq, line)
			}
			next++
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if next != max(from, size) {
			t.Errorf("from %d: ended at %d, want %d", from, next, size)
		}
	}
}

func TestScanReadsNoEarlierSegment(t *testing.T) {
	outbox := newOutbox(t)
	l := open(t, outbox, nil)
	write(t, l, Position{}, 400, 400, 400)
	for _, first := range []int64{0, 400} {
		if err := os.WriteFile(segmentFile(outbox, first), []byte("garbage\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	count := func(from int64) (n int, err error) {
		return n, l.Scan(from, func(*Event, []byte) error { n++; return nil })
	}
	if n, err := count(1100); err != nil || n != 100 {
		t.Errorf("%d lines, %v", n, err)
	}
	if _, err := count(799); !isCode(err, CodeBadLine) && !isCode(err, CodeSegmentMissing) {
		t.Errorf("garbage was read as %v", err)
	}
}

func TestScanStops(t *testing.T) {
	l := open(t, newOutbox(t), nil)
	write(t, l, Position{}, 5)
	n := 0
	if err := l.Scan(0, func(*Event, []byte) error { n++; return ErrStop }); err != nil || n != 1 {
		t.Errorf("%d lines, %v", n, err)
	}
	boom := errors.New("boom")
	if err := l.Scan(0, func(*Event, []byte) error { return boom }); err != boom {
		t.Errorf("error %v", err)
	}
}

// TestReadersWhileWriting has Scan, Follow, Size and Verify run without a lock against a writer whose batches are long
// enough to be read half written, and whose segments change all the time.
func TestReadersWhileWriting(t *testing.T) {
	outbox := newOutbox(t)
	const batches, size = 60, 230
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var done atomic.Bool

	follow := make(chan error, 1)
	go func() {
		next := int64(0)
		follow <- open(t, outbox, nil).Follow(ctx, 0, func(e *Event, _ []byte) error {
			if e.Seq != next {
				return errors.New("out of order")
			}
			if next++; next == batches*size {
				return ErrStop
			}
			return nil
		})
	}()
	scans := make(chan error, 1)
	go func() {
		for last := int64(0); ; {
			finished := done.Load()
			n := int64(0)
			l := open(t, outbox, nil)
			err := l.Scan(0, func(*Event, []byte) error { n++; return nil })
			if err == nil && n < last {
				err = errors.New("the ledger became shorter")
			}
			if err == nil {
				if n, sizeErr := l.Size(); sizeErr != nil || n < last {
					err = errors.Join(errors.New("Size is behind"), sizeErr)
				}
			}
			if err == nil {
				_, err = l.Verify(ctx, VerifyOptions{}, func(f Finding) error { return errors.New(f.Code + ": " + f.Message) })
			}
			if last = n; err != nil || finished {
				scans <- err
				return
			}
		}
	}()
	l := open(t, outbox, nil)
	pos := Position{}
	for range batches {
		pos = write(t, l, pos, size)[0]
	}
	done.Store(true)
	if err := <-scans; err != nil {
		t.Errorf("Scan and Verify: %v", err)
	}
	if err := <-follow; err != nil {
		t.Errorf("Follow: %v", err)
	}
}

func TestFollow(t *testing.T) {
	outbox := newOutbox(t)
	l := open(t, outbox, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen := make(chan int64, 1000)
	ended := make(chan error, 1)
	go func() {
		ended <- open(t, outbox, nil).Follow(ctx, 2, func(e *Event, _ []byte) error {
			seen <- e.Seq
			return nil
		})
	}()
	expect := func(from, to int64) {
		t.Helper()
		for n := from; n < to; n++ {
			select {
			case got := <-seen:
				if got != n {
					t.Fatalf("line %d came instead of %d", got, n)
				}
			case <-time.After(10 * time.Second):
				t.Fatalf("line %d did not come", n)
			}
		}
	}
	// There is no ledger yet, then a first batch, then half a line, then another segment.
	pos := write(t, l, Position{}, 5)[0]
	expect(2, 5)
	whole := string(batch(t, pos, 1).buf)
	file := segmentFile(outbox, 0)
	appendTo(t, file, whole[:50])
	time.Sleep(2 * pollInterval)
	if len(seen) > 0 {
		t.Error("half a line came")
	}
	if err := os.Truncate(file, pos.Offset); err != nil {
		t.Fatal(err)
	}
	pos = write(t, l, pos, 300)[0]
	expect(5, 305)
	write(t, l, pos, 3)
	expect(305, 308)
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// TestFollowSeesCutBack follows lines of a commit that failed after it was read, in a segment that stays and in one that
// goes away with it.
func TestFollowSeesCutBack(t *testing.T) {
	for _, lines := range []int{5, 400} {
		outbox := newOutbox(t)
		l := open(t, outbox, nil)
		pos := write(t, l, Position{}, lines)[0]
		after := write(t, l, pos, 2)[0]
		seen := make(chan int64, 1000)
		ended := make(chan error, 1)
		go func() {
			ended <- open(t, outbox, nil).Follow(t.Context(), 0, func(e *Event, _ []byte) error {
				seen <- e.Seq
				return nil
			})
		}()
		for n := int64(0); n < after.Size; n++ {
			<-seen
		}
		var err error
		if after.Segment == 0 {
			err = os.Truncate(segmentFile(outbox, 0), pos.Offset)
		} else {
			err = os.Remove(segmentFile(outbox, after.Segment))
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := <-ended; !isCode(err, CodeShorter) {
			t.Errorf("error %v", err)
		}
	}
}

// TestFollowSurvivesSegmentThatGoesAway has a commit fail between making its segment and writing to it.
func TestFollowSurvivesSegmentThatGoesAway(t *testing.T) {
	outbox := newOutbox(t)
	l := open(t, outbox, nil)
	pos := write(t, l, Position{}, 400)[0]
	empty := segmentFile(outbox, 400)
	if err := os.WriteFile(empty, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	seen := make(chan int64, 1000)
	go open(t, outbox, nil).Follow(t.Context(), 399, func(e *Event, _ []byte) error {
		seen <- e.Seq
		return nil
	})
	if n := <-seen; n != 399 {
		t.Fatalf("line %d", n)
	}
	time.Sleep(2 * pollInterval)
	if err := os.Remove(empty); err != nil {
		t.Fatal(err)
	}
	write(t, l, pos, 1)
	select {
	case n := <-seen:
		if n != 400 {
			t.Errorf("line %d", n)
		}
	case <-time.After(10 * time.Second):
		t.Error("nothing came any more")
	}
}

func TestFloorAndAbove(t *testing.T) {
	dir := t.TempDir()
	s := segments{dir: dir, name: LedgerDir}
	have := []int64{0, 999, 1000, 5500, 999_999, 1_000_000, 7_004_000, 999_999_999}
	if _, ok, err := s.floor(maxSeq); ok || err != nil {
		t.Errorf("an empty folder: %v, %v", ok, err)
	}
	for _, n := range have {
		p := s.path(n)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// What a crash or a person may leave: empty folders and files that are no segments.
	for _, d := range []string{"000/900", "500/000", "abc", "000/1"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "000/005/x.jsonl"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int64{-1, 0, 1, 998, 999, 1000, 5499, 5500, 5501, 950_000, 999_999, 1_000_000, 500_000_000, 999_999_998, 999_999_999} {
		floor, above := int64(-1), int64(-1)
		for _, m := range have {
			if m <= n {
				floor = m
			} else if above < 0 {
				above = m
			}
		}
		if got, ok, err := s.floor(n); err != nil || ok != (floor >= 0) || ok && got != floor {
			t.Errorf("floor(%d) = %d, %v, %v, want %d", n, got, ok, err, floor)
		}
		if got, ok, err := s.above(n); err != nil || ok != (above >= 0) || ok && got != above {
			t.Errorf("above(%d) = %d, %v, %v, want %d", n, got, ok, err, above)
		}
	}
	var walked []int64
	var others []string
	err := s.walk(func(n int64) error { walked = append(walked, n); return nil },
		func(p string) error { others = append(others, p); return nil })
	if err != nil || !slices.Equal(walked, have) || strings.Join(others, " ") != "000/005/x.jsonl 000/1 abc" {
		t.Errorf("walk: %v, %v, %v", walked, others, err)
	}
}
