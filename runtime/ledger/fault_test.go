package ledger

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/sheratan/sheratan/runtime/durable"
)

var errFault = errors.New("the disk is on fire")

// failNth breaks the nth call of op, from 0, and counts all of them.
type failNth struct {
	op    durable.Op
	n     int
	fault durable.Fault
	also  map[durable.Op]*durable.Fault // broken each time
	armed bool
	calls map[durable.Op]int
}

func (f *failNth) ask(op durable.Op) *durable.Fault {
	if !f.armed {
		return nil
	}
	if f.calls == nil {
		f.calls = map[durable.Op]int{}
	}
	f.calls[op]++
	if op == f.op && f.calls[op]-1 == f.n {
		return &f.fault
	}
	return f.also[op]
}

// kinds are the ways in which a call fails.
var kinds = map[string]durable.Fault{
	"not persisted":  {Err: errFault},
	"half persisted": {Err: errFault, Bytes: 700},
	"persisted":      {Err: errFault, Persist: true},
}

// TestCommitFails breaks every call of a commit, into a segment that exists and into a new one. Whatever is broken, the
// ledger must be what it was before, the handle must refuse to go on, and another one must be able to.
func TestCommitFails(t *testing.T) {
	for _, where := range []struct {
		name  string
		lines int // before the commit that fails
		ops   []durable.Op
	}{
		{"first segment", 0, []durable.Op{durable.OpOpen, durable.OpWrite, durable.OpSync, durable.OpSyncName}},
		{"same segment", 20, []durable.Op{durable.OpWrite, durable.OpSync}},
		{"next segment", 400, []durable.Op{durable.OpOpen, durable.OpWrite, durable.OpSync, durable.OpSyncName}},
	} {
		// Without a fault the same commit makes exactly these calls: none is left out below.
		counted := &failNth{}
		l, pos, _ := prepared(t, where.lines, counted)
		counted.armed = true
		if _, err := l.Write(batch(t, pos, 5)); err != nil {
			t.Fatal(err)
		}
		if got := slices.Sorted(maps.Keys(counted.calls)); !slices.Equal(got, slices.Sorted(slices.Values(where.ops))) {
			t.Fatalf("%s: a commit calls %v, the test breaks %v", where.name, got, where.ops)
		}
		for _, op := range where.ops {
			for name, kind := range kinds {
				if op != durable.OpWrite && name == "half persisted" {
					continue
				}
				t.Run(fmt.Sprint(where.name, "/", op, "/", name), func(t *testing.T) {
					f := &failNth{op: op, fault: kind}
					l, pos, outbox := prepared(t, where.lines, f)
					before := segmentFiles(t, outbox)
					f.armed = true
					b := batch(t, pos, 5)
					end, err := l.Write(b)
					if !errors.Is(err, errFault) || !end.Equal(pos) {
						t.Fatalf("position %d, error %v", end.Size, err)
					}
					if after := segmentFiles(t, outbox); !maps.Equal(after, before) {
						t.Errorf("the ledger was left changed: %d files, %d before", len(after), len(before))
					}
					if _, err := l.Write(b); !errors.Is(err, errFault) {
						t.Errorf("the handle goes on after a failure: %v", err)
					}
					f.armed = false
					again := open(t, outbox, nil)
					if seqs, end, torn, err := tail(again, pos); len(seqs) != 0 || !end.Equal(pos) || torn != nil || err != nil {
						t.Errorf("the next process finds %v, torn %v, error %v", seqs, torn, err)
					}
					if _, err := again.Write(batch(t, pos, 5)); err != nil {
						t.Errorf("the next process cannot write: %v", err)
					}
				})
			}
		}
	}
}

func prepared(t *testing.T, lines int, f *failNth) (*Log, Position, string) {
	outbox := newOutbox(t)
	l := open(t, outbox, f.ask)
	pos := Position{}
	if lines > 0 {
		pos = write(t, l, pos, lines)[0]
	}
	return l, pos, outbox
}

// TestCuttingBackFails has the disk refuse that as well, as a read-only one would. Then the next process finds the bytes
// behind the position: whole lines are history, the rest is torn.
func TestCuttingBackFails(t *testing.T) {
	for name, want := range map[string]struct{ lines, torn int64 }{
		"not persisted":  {0, 0},
		"half persisted": {1, 1},
		"persisted":      {5, 0},
	} {
		for _, lines := range []int{0, 20, 400} {
			t.Run(fmt.Sprint(name, "/", lines), func(t *testing.T) {
				f := &failNth{op: durable.OpWrite, fault: kinds[name], also: map[durable.Op]*durable.Fault{
					durable.OpTruncate: {Err: errFault}, durable.OpRemove: {Err: errFault}}}
				l, pos, outbox := prepared(t, lines, f)
				f.armed = true
				b := batch(t, pos, 5)
				if _, err := l.Write(b); !errors.Is(err, errFault) {
					t.Fatal(err)
				}
				again := open(t, outbox, nil)
				seqs, end, torn, err := tail(again, pos)
				if err != nil || int64(len(seqs)) != want.lines || end.Size != pos.Size+want.lines {
					t.Fatalf("found %v, error %v", seqs, err)
				}
				// A segment that was made and not written is torn as a whole.
				if isTorn := want.torn > 0 || name == "not persisted" && lines != 20; (torn != nil) != isTorn {
					t.Fatalf("torn %+v, want %v", torn, isTorn)
				}
				if torn != nil {
					if _, err := again.MoveTorn(torn, t.TempDir()); err != nil {
						t.Fatal(err)
					}
				}
				if _, err := again.Write(batch(t, end, 3)); err != nil {
					t.Error(err)
				}
				verified(t, outbox, end.Size+3)
			})
		}
	}
}

// verified runs Verify and expects nothing to be wrong.
func verified(t *testing.T, outbox string, size int64) {
	t.Helper()
	end, findings := verify(t, outbox, VerifyOptions{Documents: true})
	if end.Size != size || len(findings) != 0 {
		t.Errorf("verify: %d lines, want %d; findings %v", end.Size, size, findings)
	}
}

func verify(t *testing.T, outbox string, opts VerifyOptions) (Position, []Finding) {
	t.Helper()
	l := open(t, outbox, nil)
	var findings []Finding
	end, err := l.Verify(t.Context(), opts, func(f Finding) error {
		findings = append(findings, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return end, findings
}

// TestNegativeControl shows what the tests above would see if a failed commit were not cut back, or a torn tail were
// written behind: a line that nobody can read, in the middle of the ledger.
func TestNegativeControl(t *testing.T) {
	outbox := newOutbox(t)
	l := open(t, outbox, nil)
	pos := write(t, l, Position{}, 5)[0]
	appendTo(t, segmentFile(outbox, 0), `{"actor":"sheratan ga`)
	b := batch(t, pos, 2)
	f, err := durable.OpenAppend(segmentFile(outbox, 0), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(b.buf); err != nil {
		t.Fatal(err)
	}
	if _, findings := verify(t, outbox, VerifyOptions{}); len(findings) == 0 {
		t.Error("Verify sees nothing")
	}
	if _, _, _, err := tail(open(t, outbox, nil), pos); !isCode(err, CodeBadLine) {
		t.Errorf("Tail sees %v", err)
	}
}

func isCode(err error, code string) bool {
	var tampered *TamperError
	return errors.As(err, &tampered) && tampered.Code == code
}
