package pipeline

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/sheratan/sheratan/runtime/ledger"
)

// TestVerifiedRemembers edits an event, chains everything behind it again and makes the index anew, as somebody would who knows the
// format. What is left that knows better is what the last verification remembered, until that is taken away as well.
func TestVerifiedRemembers(t *testing.T) {
	w := newWorld(t)
	w.propose(`{"id": "a", "payload": {"kind": "noop", "params": {}}}`)
	w.tick()
	w.verify()
	w.propose(`{"id": "b", "payload": {"kind": "noop", "params": {}}}`)
	w.tick()
	w.rechain(func(ev *ledger.Event) {
		if ev.Seq == 3 {
			ev.Actor = "somebody else"
		}
	})
	codes := func(o VerifyOptions) (list []string) {
		t.Helper()
		v, err := w.p.Verify(context.Background(), o)
		w.check(err)
		for _, f := range v.Findings {
			list = append(list, f.Code)
		}
		return list
	}
	if got := codes(VerifyOptions{}); !slices.Contains(got, ledger.CodeLastLineDiffers) {
		t.Errorf("found %q", got)
	}
	if got := codes(VerifyOptions{SinceLast: true}); !slices.Contains(got, CodeVerifiedDiffers) || !slices.Contains(got, ledger.CodeLastLineDiffers) {
		t.Errorf("since the last verification: %q", got)
	}
	w.check(os.Remove(filepath.Join(w.ws.State(), "verified")))
	if got := codes(VerifyOptions{}); slices.Contains(got, ledger.CodeLastLineDiffers) || slices.Contains(got, ledger.CodeChainBroken) {
		t.Errorf("without what was remembered: %q", got)
	}
}

// rechain changes events of the ledger and makes all that follows fit.
func (w *world) rechain(change func(*ledger.Event)) {
	w.t.Helper()
	b := ledger.NewBatch(ledger.Position{})
	w.check(w.p.log.Scan(0, func(ev *ledger.Event, _ []byte) error {
		change(ev)
		return b.Add(ev)
	}))
	w.check(w.p.Close(context.Background()))
	w.check(os.RemoveAll(w.ws.LedgerDir()))
	log, err := ledger.Open(w.ws.Outbox(), nil)
	w.check(err)
	_, err = log.Write(b)
	w.check(err)
	w.check(log.Close())
	for _, ext := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(w.ws.IndexDB() + ext); err != nil && !os.IsNotExist(err) {
			w.t.Fatal(err)
		}
	}
	w.p = w.open()
	_, err = w.p.RebuildIndex(context.Background(), nil)
	w.check(err)
}
