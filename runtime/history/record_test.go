package history

import (
	"context"
	"os"
	"strings"
	"testing"
)

// After a power loss any of the objects of the last commits may be empty, in no particular order.
func TestRepairAfterPowerLoss(t *testing.T) {
	t.Parallel()
	for _, rebooted := range []bool{true, false} {
		w := newWriter(t)
		for range 12 {
			w.add(20).commit()
		}
		before := w.log()
		var lost []string
		for _, name := range []string{"main~4", "main~5^{tree}", "main~7:" + segmentPath(ledgerDir, 0), "main~9:outbox"} {
			lost = append(lost, w.objectFile(name))
		}
		for _, path := range lost {
			truncate(t, path)
		}
		if rebooted {
			rewriteRecord(t, w, func(s string) string { return strings.ReplaceAll(s, bootID(), "another") })
		}
		repairs, err := w.open().Repair(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if !rebooted { // the negative control: a short look does not reach so far
			if len(repairs) > 0 {
				t.Errorf("without a reboot: %v", repairs)
			}
			continue
		}
		if got := codes(repairs); got != strings.TrimSpace(strings.Repeat(" "+CommitRemade, 4)) {
			t.Errorf("repairs %v", repairs)
		}
		if got := w.log(); strings.Join(got, " ") != strings.Join(before, " ") {
			t.Errorf("history %v, want %v", got, before)
		}
		w.verify()
	}
}

// Commits that are old in the record are checked only when they are needed, and are as good then.
func TestRepairFromLongRecord(t *testing.T) {
	t.Parallel()
	w := newWriter(t)
	for range recordKept + 8 {
		w.add(2).commit()
	}
	before := w.log()
	truncate(t, w.objectFile("main~36"))
	rewriteRecord(t, w, func(s string) string { return strings.ReplaceAll(s, bootID(), "another") })
	repairs, err := w.open().Repair(context.Background())
	if err != nil || codes(repairs) != CommitRemade {
		t.Errorf("repairs %v, %v", repairs, err)
	}
	if got := w.log(); strings.Join(got, " ") != strings.Join(before, " ") {
		t.Errorf("history %v, want %v", got, before)
	}
	w.verify()
}

// A commit whose line in the record was cut off by a power loss was not made, and does not disturb the next.
func TestUnfinishedRecord(t *testing.T) {
	t.Parallel()
	for _, torn := range []string{`{"hash":"ab`, "\x00\x00\x00\x00", "{"} {
		w, before := damageable(t)
		rewriteRecord(t, w, func(s string) string { return s + torn })
		if c := w.add(1).commit(); c.Parent != before[0] || len(c.Repairs) > 0 {
			t.Errorf("%+v", c)
		}
		if rec, err := w.open().readRecord(); err != nil || len(rec) != 7 {
			t.Errorf("%d commits in the record, %v", len(rec), err)
		}
	}
}

func TestRecordIsShortened(t *testing.T) {
	t.Parallel()
	w := newWriter(t)
	r := w.open()
	s := w.snapshot()
	for range 4 {
		s.Trailers = append(s.Trailers, Trailer{"Note", strings.Repeat("x", maxValue)})
	}
	most, shortened := 0, 0
	for range 60 {
		s.Ledger = w.add(1).ledger
		if _, _, err := r.Commit(context.Background(), s); err != nil {
			t.Fatal(err)
		}
		rec, err := r.readRecord()
		if err != nil || len(rec) < recordKept && len(rec) < most {
			t.Fatalf("%d commits in the record, %v", len(rec), err)
		}
		if len(rec) < most {
			shortened++
		}
		most = max(most, len(rec))
	}
	if shortened == 0 || most == 60 {
		t.Errorf("the record grew to %d commits", most)
	}
	truncate(t, w.objectFile("main"))
	w.add(1).commit()
	w.verify()
}

func rewriteRecord(t *testing.T, w *writer, f func(string) string) {
	t.Helper()
	path := w.open().recordPath()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(f(string(b))), 0o600); err != nil {
		t.Fatal(err)
	}
}
