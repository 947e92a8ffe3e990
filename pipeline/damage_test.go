package pipeline

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sheratan/sheratan/gates"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/durable"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// damage changes one byte of a stored document. The process that finds it is a new one, which remembers nothing.
func (w *world) damage(ref ledger.Ref) {
	w.t.Helper()
	path := filepath.Join(w.ws.Runtime(), ref.Path)
	b, err := os.ReadFile(path)
	w.check(err)
	b[ref.Offset+ref.Bytes/2] ^= 1
	w.check(os.WriteFile(path, b, 0o600))
	w.p = w.open()
}

// One job whose document is damaged is blocked, and the others go on, in whatever way jobs come to run.
func TestDamagedDocument(t *testing.T) {
	ways := map[string]func(*world, func()){
		"tick": func(w *world, damage func()) { damage(); w.tick() },
		"tick under other rules": func(w *world, damage func()) {
			damage()
			w.write(w.ws.Config(), strings.Replace(testConfig, `"max_priority": "high"`, `"max_priority": "normal"`, 1))
			w.tick()
		},
		"dispatch": func(w *world, damage func()) {
			damage()
			w.check(w.p.Dispatch(w.t.Context(), nil, func(DispatchLine) error { return nil }))
			w.check(w.p.Run(w.t.Context(), nil, func(job.Result) error { return nil }))
		},
		"run": func(w *world, damage func()) {
			w.check(w.p.Dispatch(w.t.Context(), nil, func(DispatchLine) error { return nil }))
			damage()
			w.check(w.p.Run(w.t.Context(), nil, func(job.Result) error { return nil }))
		},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for _, id := range []string{"a", "bad", "b"} {
				w.propose(noop(id, ""))
			}
			way(w, func() { w.damage(w.row("bad").Intake) })
			w.is("a", job.StatusCompleted, "")
			w.is("b", job.StatusCompleted, "")
			w.is("bad", job.StatusQuarantined, "")
			if row := w.row("bad"); row.ErrorCode != gates.CodePipelineError || row.NextAction != job.Quarantine {
				t.Errorf("%s, %s", row.ErrorCode, row.NextAction)
			}
			if len(w.warned) == 0 {
				t.Error("nobody was warned")
			}
			var listed []string
			w.check(w.p.Jobs(t.Context(), JobFilter{}, func(l JobLine) error {
				listed = append(listed, l.JobID+" "+l.Payload.Kind)
				return nil
			}))
			if want := []string{"a noop", "bad noop", "b noop"}; !slices.Equal(listed, want) {
				t.Errorf("listed %q, want %q", listed, want)
			}
			if _, err := w.p.Why(t.Context(), "bad"); err != nil {
				t.Error(err)
			}
			v, err := w.p.Verify(t.Context(), VerifyOptions{})
			w.check(err)
			if v.OK || !strings.Contains(fmt.Sprint(v.Findings), "DOCUMENT") {
				t.Errorf("verify finds %+v", v.Findings)
			}
			w.check(w.p.Cancel(t.Context(), Selection{IDs: []string{"bad"}}, "", ignoreJob))
			w.is("bad", job.StatusCancelled, "CANCELLED")
		})
	}
}

// A segment that is gone takes its jobs with it, and no others.
func TestMissingDocuments(t *testing.T) {
	w := newWorld(t)
	big := strings.Repeat("x", 70<<10)
	for _, id := range []string{"bad", "good"} {
		w.propose(fmt.Sprintf(`{"id": %q, "payload": {"kind": "exec", "params": {"argv": ["echo"], "stdin": %q}}}`, id, big))
	}
	bad, good := w.row("bad"), w.row("good")
	if bad.Intake.Path == good.Intake.Path {
		t.Fatal("both lie in one segment")
	}
	w.check(os.Remove(filepath.Join(w.ws.Runtime(), bad.Intake.Path)))
	w.p = w.open()
	w.tick()
	w.is("good", job.StatusCompleted, "")
	w.is("bad", job.StatusQuarantined, "")
}

// What is gated again is gated in batches: with one append of all reports, nothing where nothing is new, and without the
// one that cannot be.
func TestGateBlockedAgain(t *testing.T) {
	w := newWorld(t)
	const n = 30
	var ids []string
	for i := range n {
		ids = append(ids, fmt.Sprintf("j%02d", i))
		w.propose(exec(ids[i], "", "no-such-program"))
	}
	gate := func() (lines int, err error) {
		sum, err := w.p.Gate(t.Context(), GateOptions{Blocked: true}, func(GateLine) error { lines++; return nil })
		if sum.Approved+sum.Blocked != lines {
			t.Errorf("%+v of %d lines", sum, lines)
		}
		return lines, err
	}
	before := w.p.wrote
	if lines, err := gate(); err != nil || lines != n || w.p.wrote != before {
		t.Errorf("nothing new: %d lines, %d events, %v", lines, w.p.wrote-before, err)
	}
	w.damage(w.row("j07").Intake)
	w.write(w.ws.Config(), strings.Replace(testConfig, `"true"`, `"no-such-program"`, 1))
	if lines, err := gate(); err != nil || lines != n {
		t.Errorf("%d lines, %v", lines, err)
	}
	var unknown *UnknownJobError
	var lines int
	_, err := w.p.Gate(t.Context(), GateOptions{IDs: []string{"nobody", "j00"}}, func(GateLine) error { lines++; return nil })
	if !asError(err, &unknown) || lines != 1 {
		t.Errorf("%d lines, %v", lines, err)
	}
	w.status("j07", job.StatusQuarantined)
	if len(w.warned) == 0 {
		t.Error("nobody was warned")
	}
}

// Of two blocked jobs with one key, the second finds that the first has it.
func TestGateBlockedWithOneKey(t *testing.T) {
	w := newWorld(t)
	const key = `"idempotency_key": "k",`
	w.propose(exec("a", key, "ls"))
	w.propose(exec("b", key, "ls"))
	w.propose(exec("c", key, "ls", "-l"))
	w.write(w.ws.Config(), strings.Replace(testConfig, `"exec": [`, `"exec": [{"program": "ls", "args": ["..."], "decision": "allow"},`, 1))
	w.p = w.open()
	_, err := w.p.Gate(t.Context(), GateOptions{Blocked: true}, ignoreLine)
	w.check(err)
	w.is("a", job.StatusPending, "")
	if row := w.row("b"); row.JoinedTo != "a" {
		t.Errorf("b shares the end of %q", row.JoinedTo)
	}
	w.is("c", job.StatusQuarantined, "")
}

// The reports of jobs that are gated again under other rules come with one append, and so one sync, for all.
func TestGateAgainStoresOnce(t *testing.T) {
	w := newWorld(t)
	for i := range 20 {
		w.drop("operator", fmt.Sprintf("%02d.json", i), noop(fmt.Sprintf("j%02d", i), ""))
	}
	w.gate()
	w.write(w.ws.Config(), strings.Replace(testConfig, `"max_priority": "high"`, `"max_priority": "normal"`, 1))
	w.check(w.p.reloadRules(t.Context()))
	r, err := w.p.Rules(t.Context())
	w.check(err)
	appends := 0
	w.check(w.p.docs.Close())
	w.p.docs, err = ledger.OpenDocuments(w.ws.Outbox(), func(op durable.Op) *durable.Fault {
		if op == durable.OpWrite {
			appends++
		}
		return nil
	})
	w.check(err)
	w.check(w.p.transact(t.Context(), func(b *batch) error {
		rows, err := b.tx.Claim(20)
		if err != nil {
			return err
		}
		_, _, err = b.lease(r, rows)
		return err
	}))
	if appends != 2 { // the other one has the bids, which all of them share
		t.Errorf("%d appends for 20 jobs", appends)
	}
	if names := w.names("j19"); !slices.Contains(names, job.JobDispatched) {
		t.Errorf("j19: %v", names)
	}
	w.verify()
}

// A job that no host can ever take does not stay at the head of the queue, while one that only waits for a slot does.
func TestDispatchBlocksWithoutHost(t *testing.T) {
	w := newWorld(t)
	w.propose(noop("never", `"priority": "critical", "required_capabilities": ["gpu"],`))
	w.check(w.approve(w.review("never")))
	w.propose(noop("a", ""))
	var lines []string
	dispatch := func() {
		lines = nil
		w.check(w.p.Dispatch(t.Context(), nil, func(l DispatchLine) error {
			lines = append(lines, l.JobID+" "+l.Status+" "+l.Host)
			return nil
		}))
	}
	dispatch()
	if want := []string{"never quarantined ", "a pending local"}; !slices.Equal(lines, want) {
		t.Errorf("%q, want %q", lines, want)
	}
	w.is("never", job.StatusQuarantined, "")
	if row := w.row("never"); row.ErrorCode != codeNoHost {
		t.Error(row.ErrorCode)
	}
	for i := range 6 { // one more than there are slots
		w.propose(noop(fmt.Sprintf("n%d", i), ""))
	}
	dispatch()
	dispatch()
	w.is("n5", job.StatusPending, "")
	w.verify()
}
