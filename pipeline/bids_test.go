package pipeline

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/ledger"
	"github.com/sheratan/sheratan/schemas"
)

// bids returns the bids that the dispatches of a job name, and the digests of the documents.
func (w *world) bids(id string) (list []Bids, digests []string) {
	w.t.Helper()
	for _, ev := range w.events(id) {
		if ev.Event != job.JobDispatched {
			continue
		}
		ref, ok, err := ledger.RefOf(&ev)
		w.check(err)
		if !ok {
			w.t.Fatalf("%s: dispatched without bids", id)
		}
		doc, err := w.p.docs.Read(ref)
		w.check(err)
		v, err := schemas.Parse(doc, schemas.DefaultLimits)
		w.check(err)
		if found := schemas.Validate("bids", v); found != nil {
			w.t.Errorf("%s: %s: %v", id, doc, found)
		}
		var b Bids
		w.check(json.Unmarshal(doc, &b))
		list, digests = append(list, b), append(digests, ref.SHA256)
	}
	return list, digests
}

// A dispatch names the bids; jobs that were chosen for alike share a document, which is stored once in the life of a process.
func TestBidsAreStored(t *testing.T) {
	w := newWorld(t)
	for round := range 3 {
		for i := range 4 {
			w.propose(noop(fmt.Sprintf("j%d-%d", round, i), ""))
		}
		w.tick()
	}
	list, first := w.bids("j0-0")
	if len(list) != 1 || list[0].Host != LocalHost || len(list[0].Bids) != 1 || !list[0].Bids[0].Eligible ||
		list[0].Reason != "local is the only host that can take it: has a slot free" {
		t.Errorf("bids: %+v", list)
	}
	for _, id := range []string{"j0-3", "j1-0", "j2-3"} {
		if _, digests := w.bids(id); !slices.Equal(digests, first) {
			t.Errorf("%s: bids %v, want %v", id, digests, first)
		}
	}
	w.is("j2-3", job.StatusCompleted, "")
	docs := 0
	for _, path := range w.holding(SchemaBids) {
		if strings.Contains(path, "outbox/documents") {
			b := w.read(path)
			docs += strings.Count(b, SchemaBids)
		}
	}
	if docs != 1 {
		t.Errorf("%d documents with bids, want 1", docs)
	}
	why, err := w.p.Why(t.Context(), "j1-1")
	w.check(err)
	if !slices.ContainsFunc(why.Steps, func(s Step) bool {
		return s.Event == job.JobDispatched && strings.Contains(s.Text, "to host local") && strings.HasSuffix(s.Text, "; "+list[0].Reason)
	}) {
		t.Errorf("why: %+v", why.Steps)
	}
	w.verify()
}

// dispatch by itself says how busy the host was for each job, with one sync for all.
func TestBidsOfDispatch(t *testing.T) {
	w := newWorld(t)
	w.propose(noop("a", ""))
	w.propose(noop("b", `"required_capabilities": ["noop"],`))
	w.check(w.p.Dispatch(t.Context(), nil, func(DispatchLine) error { return nil }))
	a, _ := w.bids("a")
	b, _ := w.bids("b")
	if len(a) != 1 || len(b) != 1 || a[0].Bids[0].Why != "0 of 5 slots taken" || b[0].Bids[0].Why != "1 of 5 slots taken" ||
		!slices.Equal(b[0].Need, []string{"noop"}) {
		t.Errorf("a: %+v, b: %+v", a, b)
	}
	w.verify()
}
