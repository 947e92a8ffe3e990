package pipeline

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/pipeline/mission"
	"github.com/sheratan/sheratan/runtime/index"
)

// decided is a mission in which an operator decides about most jobs.
const decided = `{"$schema": "sheratan.mission/v1", "id": "m", "tasks": [
  {"id": "a", "job": {"payload": {"kind": "exec", "params": {"argv": ["echo", "a"]}}}},
  {"id": "b", "job": {"payload": {"kind": "exec", "params": {"argv": ["false"]}}}},
  {"id": "c", "job": {"payload": {"kind": "exec", "params": {"argv": ["false"]}}}},
  {"id": "d", "depends_on": ["a"], "job": {"payload": {"kind": "exec", "params": {"argv": ["echo", "d"]}}}},
  {"id": "e", "depends_on": ["b"], "on_dependency_failure": "skip", "job": {"payload": {"kind": "noop", "params": {}}}},
  {"id": "f", "depends_on": ["d", "e"], "on_dependency_failure": "wait", "job": {"payload": {"kind": "noop", "params": {}}}}]}`

// TestDecisionsAndKills decides at random about the jobs of a mission. After each decision the machine forgets a part of what was
// written last, down to nothing, as a kill in the middle of a write leaves it: the ledger ends behind some line of the last
// batches, and the index is as it was before them, or gone. Whatever the next commands make of it, no job is over without an event
// that ended it.
func TestDecisionsAndKills(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := newWorld(t)
			w.with(`"program": "echo", "args": ["..."], "decision": "allow"`, `"program": "echo", "args": ["..."], "decision": "ask"`)
			m, err := mission.Parse([]byte(decided))
			w.check(err)
			run, err := m.Expand("", "operator", map[string]any{})
			w.check(err)
			w.check(w.p.SubmitMission(t.Context(), "test", run, func(Submitted) error { return nil }))
			rnd := rand.New(rand.NewPCG(7, seed))
			for range 25 {
				before, err := w.p.LedgerSize()
				w.check(err)
				w.decide(rnd)
				w.forget(rnd, before)
				w.check(w.p.Recover(t.Context()))
				w.ended()
			}
			w.tick()
			w.ended()
			w.warned = slices.DeleteFunc(w.warned, func(s string) bool { return true }) // of indexes that are gone
			w.verify()
		})
	}
}

// decide does one thing at random. What does not fit the state of the job is refused, which is as good.
func (w *world) decide(rnd *rand.Rand) {
	w.t.Helper()
	ctx := w.t.Context()
	var rows []indexRow
	w.check(w.p.view(ctx, func(r *index.Reader) (err error) {
		rows, err = r.List(index.JobFilter{})
		return err
	}))
	var err error
	id := ""
	if len(rows) > 0 {
		id = rows[rnd.IntN(len(rows))].ID
	}
	switch what := rnd.IntN(9); {
	case what <= 1 || id == "":
		err = w.p.Tick(ctx, TickOptions{}, nil)
	case what == 2:
		list, perr := w.p.Pending(ctx, []string{id})
		if perr == nil {
			perr = w.p.Approve(ctx, list, Decision{Reason: "test"}, ignoreLine)
		}
		err = perr
	case what == 3:
		err = w.p.Reject(ctx, []string{id}, Decision{Reason: "test"}, ignoreLine)
	case what == 4:
		err = w.p.Cancel(ctx, Selection{IDs: []string{id}}, "test", ignoreJob)
	case what == 5:
		err = w.p.Retry(ctx, Selection{IDs: []string{id}}, ignoreJob)
	case what == 6:
		_, err = w.p.Revise(ctx, id, Draft{Name: "-", Data: []byte(noop("", `"priority": "low",`))})
	case what == 7:
		err = w.p.CancelMission(ctx, "m", "test", ignoreJob)
	default:
		err = w.p.RetryMission(ctx, "m", ignoreJob)
	}
	var unfit *StateError
	var input *InputError
	if err != nil && !errors.As(err, &unfit) && !errors.As(err, &input) {
		w.t.Fatalf("%v", err)
	}
	w.forward(time.Second)
}

// forget makes the ledger end behind some line that was written since it had the size before, and the index not know of any.
func (w *world) forget(rnd *rand.Rand, before int64) {
	w.t.Helper()
	size, err := w.p.LedgerSize()
	w.check(err)
	first := w.lastSegment()
	if from := max(before, first+1); from < size && rnd.IntN(3) > 0 {
		w.cut(from + rnd.Int64N(size-from+1))
	}
}

// lastSegment is the number of the first line of the last segment of the ledger.
func (w *world) lastSegment() (first int64) {
	w.t.Helper()
	w.check(filepath.WalkDir(w.ws.LedgerDir(), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && filepath.Ext(path) == ".jsonl" {
			var n int64
			_, err = fmt.Sscanf(filepath.Base(path), "%d.jsonl", &n)
			first = max(first, n)
		}
		return err
	}))
	return first
}

// cut makes the ledger have this many lines, as a kill in the middle of a write leaves it, and takes the index away. They must be in
// the last segment.
func (w *world) cut(size int64) {
	w.t.Helper()
	w.check(w.p.Close(w.t.Context()))
	first := w.lastSegment()
	last := filepath.Join(w.ws.LedgerDir(), fmt.Sprintf("%03d/%03d/%09d.jsonl", first/1_000_000, first/1000%1000, first))
	text, err := os.ReadFile(last)
	w.check(err)
	w.check(os.WriteFile(last, bytes.Join(bytes.SplitAfter(text, []byte("\n"))[:size-first], nil), 0o600))
	for _, tail := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(w.ws.IndexDB() + tail); err != nil && !errors.Is(err, fs.ErrNotExist) {
			w.t.Fatal(err)
		}
	}
	w.p = w.open()
}

// ended checks that each job that is over was ended by an event, by a count of its own.
func (w *world) ended() {
	w.t.Helper()
	over := map[string]job.EventName{}
	var rows []indexRow
	w.check(w.p.view(w.t.Context(), func(r *index.Reader) (err error) {
		rows, err = r.List(index.JobFilter{})
		return err
	}))
	for _, row := range rows {
		for _, name := range w.names(row.ID) {
			switch name {
			case job.JobCompleted, job.JobFailed, job.JobCancelled, job.OperatorRejected:
				over[row.ID] = name
			case job.JobRetryScheduled:
				delete(over, row.ID)
			}
		}
		if row.RevisedBy != "" && !slices.ContainsFunc(rows, func(r indexRow) bool { return r.ID == row.RevisedBy }) {
			w.t.Errorf("%s was revised by %s, which is no job: whoever depends on it waits for ever", row.ID, row.RevisedBy)
		}
		if row.Status.Final() != (over[row.ID] != "") {
			w.t.Errorf("%s is %s, and its last end is %q: %v", row.ID, row.Status, over[row.ID], w.names(row.ID))
		}
	}
}
