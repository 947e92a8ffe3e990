package index

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// epoch is when the histories of the tests begin.
var epoch = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// anyDigest stands where a test does not care for the content.
const anyDigest = "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"

// history is a ledger and its documents in memory, and it writes them.
type history struct {
	events []ledger.Event
	at     []ledger.Position // behind each event
	docs   map[string][]byte
	now    time.Time
}

func newHistory() *history { return &history{docs: map[string][]byte{}, now: epoch} }

// Read, Tail and Scan make a history the ledger and the documents of a rebuild.
func (h *history) Read(ref ledger.Ref) ([]byte, error) {
	doc, ok := h.docs[ref.SHA256]
	if !ok {
		return nil, fmt.Errorf("%s: no such document", ref.SHA256)
	}
	return doc, nil
}

func (h *history) Tail(from ledger.Position, fn func(*ledger.Event, []byte, ledger.Position) error) (ledger.Position,
	*ledger.TornTail, error) {
	for i := from.Size; i < int64(len(h.events)); i++ {
		ev := h.events[i]
		if err := fn(&ev, nil, h.at[i]); err != nil {
			return from, nil, err
		}
	}
	return h.position(), nil, nil
}

func (h *history) Scan(from int64, fn func(*ledger.Event, []byte) error) error {
	for _, ev := range h.events[from:] {
		line, err := ev.AppendLine(nil)
		if err == nil {
			err = fn(&ev, line)
		}
		if errors.Is(err, ledger.ErrStop) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (h *history) position() ledger.Position {
	if len(h.at) == 0 {
		return ledger.Position{}
	}
	return h.at[len(h.at)-1]
}

// make returns the event that would come next. doc, where it is not nil, becomes its document.
func (h *history) make(name job.EventName, id string, meta, doc any) ledger.Event {
	ev := ledger.Event{V: 1, Seq: int64(len(h.events)), ID: fmt.Sprintf("event-%d", len(h.events)), Timestamp: job.FormatTime(h.now),
		Actor: "uid:1000", Event: name, JobID: id, TraceID: id, Prev: h.position().Prev()}
	if doc != nil {
		b, err := json.Marshal(doc)
		if err != nil {
			panic(err)
		}
		ev.ArtifactPath = "outbox/documents/000/000/000000000.jsonl"
		ev.ArtifactSHA256 = fmt.Sprintf("%064x", len(h.docs)+1)
		h.docs[ev.ArtifactSHA256] = b
	}
	var err error
	if ev.Meta, err = ledger.NewMeta(meta); err != nil {
		panic(err)
	}
	return ev
}

// add puts an event behind the others.
func (h *history) add(ev ledger.Event) {
	line, err := ev.AppendLine(nil)
	if err != nil {
		panic(err)
	}
	h.at = append(h.at, h.position().Next(line))
	h.events = append(h.events, ev)
}

// fixture is an index with the history that it is made of.
type fixture struct {
	t  testing.TB
	h  *history
	db *DB
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	db, err := Open(filepath.Join(t.TempDir(), "index.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return &fixture{t: t, h: newHistory(), db: db}
}

// write runs fn in a write transaction and commits it.
func (f *fixture) write(fn func(tx *Tx)) {
	f.t.Helper()
	tx, err := f.db.Begin(context.Background())
	if err != nil {
		f.t.Fatal(err)
	}
	defer tx.Rollback()
	fn(tx)
	if err := tx.SetPosition(f.h.position()); err != nil {
		f.t.Fatal(err)
	}
	if err := tx.Commit(); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) read(fn func(r *Reader)) {
	f.t.Helper()
	if err := f.db.View(context.Background(), func(r *Reader) error { fn(r); return nil }); err != nil {
		f.t.Fatal(err)
	}
}

// event applies an event in a transaction of its own.
func (f *fixture) event(name job.EventName, id string, meta any) {
	f.t.Helper()
	f.eventWith(name, id, meta, nil)
}

func (f *fixture) eventWith(name job.EventName, id string, meta, doc any) {
	f.t.Helper()
	f.write(func(tx *Tx) { f.apply(tx, name, id, meta, doc) })
}

// apply applies an event within a transaction; doc is its document, if it has one.
func (f *fixture) apply(tx *Tx, name job.EventName, id string, meta any, doc ...any) {
	f.t.Helper()
	ev := f.h.make(name, id, meta, append(doc, nil)[0])
	if err := tx.Apply(&ev, f.h); err != nil {
		f.t.Fatal(err)
	}
	f.h.add(ev)
}

// refuse expects the event to be refused, and the index to stay as it is.
func (f *fixture) refuse(name job.EventName, id string, meta any) error {
	f.t.Helper()
	before := f.digest()
	ev := f.h.make(name, id, meta, nil)
	tx, err := f.db.Begin(context.Background())
	if err != nil {
		f.t.Fatal(err)
	}
	refused := tx.Apply(&ev, f.h)
	if refused == nil {
		f.t.Fatalf("%s of %s was applied", name, id)
	}
	if err := tx.Commit(); err != nil {
		f.t.Fatal(err)
	}
	if after := f.digest(); after != before {
		f.t.Fatalf("%s of %s was refused (%v) and changed the index", name, id, refused)
	}
	return refused
}

func (f *fixture) digest() (digest string) {
	f.t.Helper()
	f.read(func(r *Reader) {
		var err error
		if digest, err = r.Digest(); err != nil {
			f.t.Fatal(err)
		}
	})
	return digest
}
