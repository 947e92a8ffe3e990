package pipeline

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/ledger"
)

func TestIdentity(t *testing.T) {
	w := newWorld(t)
	if l := w.propose(noop("a", "")); l.JobID != "a" || l.Status != "pending" || l.Zone != "approved" {
		t.Fatalf("%+v", l)
	}
	if l := w.propose(noop("a", "")); l.JobID != "a" || l.Status != "pending" {
		t.Errorf("the same once more: %+v", l)
	}
	for source, text := range map[string]string{"operator": exec("a", "", "true"), "agent": noop("a", "")} {
		l := w.proposeAs(source, text)
		if l.JobID == "a" || l.Status != "quarantined" || !slices.Equal(codes(l), []string{"ID_REUSED"}) {
			t.Errorf("%s: %s %s %v", source, l.JobID, l.Status, codes(l))
		}
		w.is(l.JobID, job.StatusQuarantined, "")
	}
	w.is("a", job.StatusPending, "")
	if n := len(w.names("a")); n != 4 { // received, gated, approved, proposed again
		t.Errorf("a has %v", w.names("a"))
	}
	w.verify()
}

func TestLinesOfOneFile(t *testing.T) {
	w := newWorld(t)
	w.drop("operator", "l.jsonl", strings.Join([]string{noop("a", ""), "", noop("a", ""), "not json", exec("a", "", "true"),
		noop("b", `"depends_on": ["c"],`), noop("c", `"depends_on": ["b"],`), strings.Repeat("x", 2<<20)}, "\n"))
	if lines := w.gate(); len(lines) != 0 {
		t.Fatalf("it may still be growing, and was taken: %v", lines)
	}
	w.forward(3e9)
	var got []string
	for _, l := range w.gate() {
		got = append(got, fmt.Sprintf("%t %s %v", len(l.JobID) == 1, l.Status, codes(l)))
	}
	want := []string{"true pending []", "true pending []", "false quarantined [SYNTAX NOT_EXAMINED]", "false quarantined [ID_REUSED]",
		"true pending []", "true quarantined [DEPENDENCY_CYCLE]", "false quarantined [TOO_LARGE NOT_EXAMINED]"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	var l GateLine
	_, err := w.p.Gate(t.Context(), GateOptions{IDs: []string{"c"}}, func(x GateLine) error { l = x; return nil })
	if err != nil || l.Status != "quarantined" || !slices.Equal(codes(l), []string{"DEPENDENCY_CYCLE"}) {
		t.Errorf("gated again: %v %v, %v", l.Status, codes(l), err)
	}
	raw := 0
	for _, row := range w.quarantined() {
		if info, err := os.Stat(filepath.Join(w.ws.Blocked(row.ID), "raw")); err == nil && info.Size() > 0 {
			raw++
		}
	}
	if raw != 2 { // the one that is no JSON, and the file with the long line
		t.Errorf("the bytes of %d are kept", raw)
	}
	w.tick()
	w.is("a", job.StatusCompleted, "")
	w.is("b", job.StatusPending, "")
	w.verify()
}

func (w *world) quarantined() []indexRow {
	w.t.Helper()
	var rows []indexRow
	w.check(w.p.Jobs(w.t.Context(), JobFilter{Status: []string{"quarantined"}}, func(l JobLine) error {
		rows = append(rows, w.row(l.ID))
		return nil
	}))
	return rows
}

func TestKeys(t *testing.T) {
	const k = `"idempotency_key": "k",`
	w := newWorld(t)
	w.propose(noop("first", k))
	w.propose(noop("second", k))
	w.is("second", job.StatusPending, "")
	if l := w.propose(exec("other", k, "true")); !slices.Equal(codes(l), []string{"KEY_REUSED"}) {
		t.Errorf("another payload: %v", codes(l))
	}
	if l := w.proposeAs("agent", exec("stranger", k, "true")); l.Status != "pending" {
		t.Errorf("the key of another source: %v", codes(l))
	}
	w.tick()
	w.is("first", job.StatusCompleted, "")
	w.is("second", job.StatusCompleted, "")
	w.is("stranger", job.StatusCompleted, "")
	w.propose(noop("late", k))
	w.is("late", job.StatusCompleted, "")
	if row := w.row("late"); row.JoinedTo != "first" || row.Attempt != 0 {
		t.Errorf("late: %+v", row.Queue)
	}
	w.verify()
}

func TestKeyOfAFailedJob(t *testing.T) {
	const k = `"idempotency_key": "k", "max_retries": 0,`
	w := newWorld(t)
	w.propose(exec("a", k, "false"))
	w.tick()
	l, err := w.p.Revise(t.Context(), "a", Draft{Name: "-", Data: []byte(exec("a", "", "true"))})
	w.check(err)
	if l.JobID == "a" || l.Status != "pending" {
		t.Fatalf("%+v", l)
	}
	w.tick()
	w.is(l.JobID, job.StatusCompleted, "")
	w.propose(exec("c", k, "true"))
	if row := w.row("c"); row.Status != job.StatusCompleted || row.JoinedTo != l.JobID {
		t.Errorf("c: %s %+v", row.Status, row.Queue)
	}
	var unfit *StateError
	if err := w.p.Retry(t.Context(), Selection{IDs: []string{"a"}}, ignoreJob); !asError(err, &unfit) {
		t.Errorf("retry of a revised job: %v", err)
	}
	w.verify()
}

// A job that has failed for good answers for nobody: the same work, or other work under its key, is done when it is proposed again.
func TestKeyOfAFailedJobIsFree(t *testing.T) {
	const k = `"idempotency_key": "k", "max_retries": 0,`
	w := newWorld(t)
	w.propose(exec("a", k, "false"))
	w.proposeAs("agent", exec("stranger", k, "false"))
	w.tick()
	w.is("a", job.StatusFailed, "exit status 1")
	w.propose(noop("blocked", `"idempotency_key": "k", "priority": "none",`)) // it is not approved, and gets no key
	if !w.row("a").HoldsKey {
		t.Error("a blocked job has taken the key")
	}
	if l := w.propose(exec("b", k, "true")); l.Status != string(job.StatusPending) {
		t.Fatalf("other work under the key: %v", codes(l))
	}
	w.propose(exec("c", k, "true"))
	w.tick()
	w.is("b", job.StatusCompleted, "")
	w.is("c", job.StatusCompleted, "")
	if b, c := w.row("b"), w.row("c"); b.JoinedTo != "" || b.Attempt != 1 || !b.HoldsKey || c.JoinedTo != "b" {
		t.Errorf("b: joined to %q, %d attempts, has the key: %v; c: joined to %q", b.JoinedTo, b.Attempt, b.HoldsKey, c.JoinedTo)
	}
	if w.row("a").HoldsKey || !slices.Contains(w.names("a"), job.KeyExpired) {
		t.Error("the failed job still has the key, or the ledger does not say that it lost it")
	}
	if !w.row("stranger").HoldsKey {
		t.Error("the key of another source was given away")
	}
	// Taken up again, the failed one does something else under the key of another.
	var unfit *StateError
	if err := w.p.Retry(t.Context(), Selection{IDs: []string{"a"}}, ignoreJob); !asError(err, &unfit) {
		t.Errorf("retry of a: %v", err)
	}
	w.verify()
}

// A job that became ready before it was joined to the holder of its key gets the key of one that has failed.
func TestKeyOfAFailedJobGoesToOneThatWaited(t *testing.T) {
	const k = `"idempotency_key": "k", "max_retries": 0,`
	w := newWorld(t)
	w.propose(exec("a", k, "false"))
	w.propose(noop("first", ""))
	w.tick()
	w.propose(exec("b", k+`"depends_on": ["later"],`, "true"))
	w.propose(noop("later", ""))
	w.tick()
	w.is("b", job.StatusCompleted, "")
	if b := w.row("b"); b.JoinedTo != "" || !b.HoldsKey {
		t.Errorf("b: joined to %q, has the key: %v", b.JoinedTo, b.HoldsKey)
	}
	w.verify()
}

// Those who wait for the holder of their key end with it, however it ends, and however long the chain is.
func TestJoinedEndWithTheHolder(t *testing.T) {
	const k = `"idempotency_key": "k",`
	for name, end := range map[string]func(*world) error{
		"cancelled": func(w *world) error { return w.p.Cancel(t.Context(), Selection{IDs: []string{"a"}}, "", ignoreJob) },
		"completed": func(w *world) error { return w.p.Tick(t.Context(), TickOptions{}, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.propose(noop("a", k))
			w.propose(noop("b", k))
			w.joinTo("c", "b", k)
			w.check(end(w))
			for _, id := range []string{"a", "b", "c"} {
				if row := w.row(id); !row.Status.Final() {
					t.Errorf("%s is %s", id, row.Status)
				}
				w.onePlace(id)
			}
		})
	}
}

// joinTo makes a job that waits for one that waits itself, as it comes about when the key changes hands.
func (w *world) joinTo(id, holder, more string) {
	w.t.Helper()
	w.propose(noop(id, more))
	row, to := w.row(id), w.row(holder)
	w.check(w.p.transact(w.t.Context(), func(b *batch) error { return b.join(row.ID, row.TraceID, to) }))
	w.p.projected()
}

func TestJoinedOfALostBatch(t *testing.T) {
	const k = `"idempotency_key": "k",`
	w := newWorld(t)
	w.propose(noop("a", k))
	w.propose(noop("b", k))
	row := w.row("a")
	w.check(w.p.transact(t.Context(), func(b *batch) error { // the end of the batch, with what becomes of b, is missing
		b.jobEvent("operator", job.JobCancelled, row.ID, row.TraceID, "outbox", ledger.Cancelled{}, nil)
		return nil
	}))
	w.status("b", job.StatusPending)
	w.check(w.p.Recover(t.Context()))
	w.status("b", job.StatusFailed)
}

func (w *world) status(id string, status job.Status) {
	w.t.Helper()
	if got := w.row(id).Status; got != status {
		w.t.Errorf("%s is %s, want %s", id, got, status)
	}
}
