package pipeline

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sheratan/sheratan/hosts/agent"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/ledger"
	"github.com/sheratan/sheratan/runtime/workspace"
)

// leaseAs leases a job to a process that is not this one.
func (w *world) leaseAs(id string, runner ledger.Runner) *attempt {
	w.t.Helper()
	p := w.open()
	p.runner = runner
	rules, err := p.Rules(w.t.Context())
	w.check(err)
	var list []*attempt
	w.check(p.transact(w.t.Context(), func(b *batch) error {
		rows, err := b.tx.ClaimIDs([]string{id})
		if err == nil {
			list, _, err = b.lease(rules, rows)
		}
		return err
	}))
	p.markers = nil // it dies here, and leaves them
	if len(list) != 1 {
		w.t.Fatalf("%d attempts of %s", len(list), id)
	}
	return list[0]
}

// mark leaves the start marker that an attempt has just before its process is started.
func (w *world) mark(id string, attempt int) {
	w.write(filepath.Join(w.ws.Jobs(), "started", id+"."+strconv.Itoa(attempt)), "")
}

func TestRecoveryOfLeases(t *testing.T) {
	for name, c := range map[string]struct {
		argv   []string
		begun  bool
		reboot bool
		alive  bool
		want   job.EventName // "" is none
		status job.Status
	}{
		"alive":                     {argv: []string{"echo"}, begun: true, alive: true, status: job.StatusPending},
		"not begun":                 {argv: []string{"echo"}, want: job.LeaseExpired, status: job.StatusPending},
		"begun, safe to run again":  {argv: []string{"true"}, begun: true, want: job.LeaseExpired, status: job.StatusPending},
		"begun":                     {argv: []string{"echo"}, begun: true, want: job.OutcomeUnknown, status: job.StatusQuarantined},
		"reboot, safe to run again": {argv: []string{"true"}, reboot: true, want: job.LeaseExpired, status: job.StatusPending},
		"reboot":                    {argv: []string{"echo"}, reboot: true, want: job.OutcomeUnknown, status: job.StatusQuarantined},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.propose(exec("a", "", c.argv...))
			runner := w.p.runner
			switch {
			case c.reboot:
				runner.Boot = "11111111-2222-3333-4444-555555555555"
			case !c.alive:
				runner.Start-- // the number belongs to another process now
			}
			w.leaseAs("a", runner)
			if c.begun {
				w.mark("a", 1)
			}
			w.check(w.p.Recover(t.Context()))
			names := w.names("a")
			if last := names[len(names)-1]; c.want != "" && last != c.want || c.want == "" && last != job.JobDispatched {
				t.Errorf("events %v", names)
			}
			row := w.row("a")
			if row.Status != c.status || row.Leased() != c.alive {
				t.Errorf("%s, leased %t", row.Status, row.Leased())
			}
			w.onePlace("a")
			if left, err := agent.Marked(w.ws.Jobs(), "a", 1); err != nil || left != c.alive {
				t.Errorf("start marker left: %t, %v", left, err)
			}
			w.tick()
			if c.want == job.LeaseExpired {
				w.is("a", job.StatusCompleted, "")
			}
			w.verify()
		})
	}
}

// Whoever was killed before he forgot the starts of attempts that are over left it to the next command. A start whose
// attempt runs stays.
func TestStartsOfAttemptsThatAreOver(t *testing.T) {
	for name, c := range map[string]struct {
		run   func(w *world)
		begun []int // attempts that have a start marker
		left  []int
	}{
		"cancelled before its runner died": {func(w *world) {
			runner := w.p.runner
			runner.Start--
			w.leaseAs("a", runner)
			w.check(w.p.Cancel(w.t.Context(), Selection{IDs: []string{"a"}}, "", func(JobLine) error { return nil }))
		}, []int{1}, nil},
		"taken up again": {func(w *world) {
			w.tick()
			w.check(w.p.Retry(w.t.Context(), Selection{IDs: []string{"a"}}, func(JobLine) error { return nil }))
			w.check(w.p.Dispatch(w.t.Context(), nil, func(DispatchLine) error { return nil }))
		}, []int{1, 2}, []int{2}},
		"over": {(*world).tick, []int{1}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.propose(exec("a", `"max_retries": 0,`, "false"))
			c.run(w)
			w.check(w.p.Recover(t.Context()))
			if due, err := w.p.deserted(t.Context()); err != nil || due {
				t.Fatalf("something is left before: %t, %v", due, err)
			}
			for _, n := range c.begun {
				w.mark("a", n)
			}
			w.write(filepath.Join(w.ws.Jobs(), "started", ".base"), "") // what all markers are names of
			if due, err := w.p.deserted(t.Context()); err != nil || !due {
				t.Errorf("nobody sees that something is left: %v", err)
			}
			w.check(w.p.Recover(t.Context()))
			if begun, err := agent.Begun(w.ws.Jobs()); err != nil || !slices.Equal(begun["a"], c.left) {
				t.Errorf("left: %v, %v", begun, err)
			}
			if due, err := w.p.deserted(t.Context()); err != nil || due {
				t.Errorf("something is left afterwards: %t, %v", due, err)
			}
		})
	}
}

// A start is forgotten when the outcome of its attempt is durable, and not before: without it the job would run again.
func TestStartOutlivesARecoveryThatFails(t *testing.T) {
	w := newWorld(t)
	w.propose(exec("a", "", "echo"))
	runner := w.p.runner
	runner.Start--
	w.leaseAs("a", runner)
	w.mark("a", 1)
	w.check(os.RemoveAll(w.ws.Projecting()))
	w.write(w.ws.Projecting(), "in the way")
	if err := w.p.Recover(t.Context()); err == nil {
		t.Fatal("nothing was in the way")
	}
	w.check(os.Remove(w.ws.Projecting()))
	w.check(w.p.Recover(t.Context()))
	w.is("a", job.StatusQuarantined, "OUTCOME_UNKNOWN: runner-died")
}

// An operator decides about what nobody knows the outcome of, and the key is not free before that.
func TestOutcomeUnknownHoldsItsKey(t *testing.T) {
	const k = `"idempotency_key": "k",`
	w := newWorld(t)
	w.propose(exec("a", k, "echo"))
	runner := w.p.runner
	runner.Start--
	w.leaseAs("a", runner)
	w.mark("a", 1)
	w.check(w.p.Recover(t.Context()))
	w.propose(exec("b", k, "echo"))
	w.tick()
	w.is("b", job.StatusPending, "")
	l, err := w.p.Revise(t.Context(), "a", Draft{Name: "-", Data: []byte(exec("x", "", "echo"))})
	w.check(err)
	if !w.row(l.JobID).HoldsKey {
		t.Error("the revision does not hold the key")
	}
	if row := w.row("b"); !row.Status.Final() {
		t.Errorf("b waits for a job that is over: %s", row.Status)
	}
	w.onePlace("b")
}

// A batch can end behind JOB_ATTEMPT_FAILED. What follows is decided as if it had not.
func TestLostEndOfAFailure(t *testing.T) {
	for name, c := range map[string]struct {
		more      string
		retryable bool
		status    job.Status
		text      string
	}{
		"retries left":  {`"max_retries": 1,`, true, job.StatusPending, "exit status 1"},
		"none allowed":  {`"max_retries": 0,`, true, job.StatusFailed, "exit status 1"},
		"cannot succed": {`"max_retries": 1,`, false, job.StatusFailed, "exit status 1"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.propose(exec("a", c.more, "false"))
			w.lostEnd("a", job.Result{Status: job.StatusFailed, ExitCode: 1, Error: "exit status 1", ErrorCode: agent.CodeExit, Retryable: c.retryable},
				agent.CodeExit)
			w.check(w.p.Recover(t.Context()))
			w.is("a", c.status, c.text)
			w.verify()
		})
	}
}

// lostEnd leaves a job as a batch does that is cut off behind the JOB_ATTEMPT_FAILED of its first attempt.
func (w *world) lostEnd(id string, res job.Result, code string) {
	w.t.Helper()
	runner := w.p.runner
	runner.Start--
	a := w.leaseAs(id, runner)
	res.Schema, res.JobID, res.Attempt, res.Host, res.Sandbox = job.SchemaResult, id, 1, LocalHost, "none"
	res.StartedAt, res.CompletedAt = w.p.stamp(), w.p.stamp()
	a.result, a.started = res, w.now()
	refs, err := w.p.storeResults([]*attempt{a})
	w.check(err)
	w.check(w.p.transact(w.t.Context(), func(b *batch) error {
		b.started(a)
		b.jobEvent("run", job.JobAttemptFailed, id, a.row.TraceID, "approved", ledger.Ended{Located: located(refs[0]), Attempt: 1,
			ExitCode: res.ExitCode, Code: code, Error: res.Error, CompletedAt: res.CompletedAt}, &refs[0])
		return nil
	}))
}

// What dispatch gave to this host and nobody took goes back when its time is over.
func TestLeaseThatNobodyTook(t *testing.T) {
	w := newWorld(t)
	w.propose(exec("a", `"timeout_seconds": 10,`, "true"))
	w.check(w.p.Dispatch(t.Context(), nil, func(DispatchLine) error { return nil }))
	w.forward(10 * time.Second)
	w.check(w.p.Recover(t.Context()))
	if row := w.row("a"); !row.Leased() {
		t.Error("it was taken back early")
	}
	w.forward(2 * time.Minute)
	w.check(w.p.Recover(t.Context()))
	if row := w.row("a"); row.Leased() || !row.Ready || row.Attempt != 0 {
		t.Errorf("%+v", row)
	}
}

// Files that a process did not get to put in place are put there by the next.
func TestFilesOfADeadProcess(t *testing.T) {
	w := newWorld(t)
	w.propose(exec("a", `"max_retries": 0,`, "false"))
	w.tick()
	dead := w.open()
	dead.runner.Start--
	row := w.row("a")
	w.check(dead.transact(t.Context(), func(b *batch) error {
		b.jobEvent("uid:0", job.JobRetryScheduled, "a", row.TraceID, "approved",
			ledger.RetryScheduled{WakeAt: job.FormatTime(b.now), Operator: true}, nil)
		return nil
	}))
	dead.markers = nil
	if _, err := os.Stat(w.ws.Approved("a")); err == nil {
		t.Fatal("nothing is left to do")
	}
	w.check(w.p.Recover(t.Context()))
	w.is("a", job.StatusPending, "")
	if left, err := os.ReadDir(w.ws.Projecting()); err != nil || len(left) > 0 {
		t.Errorf("markers: %v, %v", left, err)
	}
}

// Two processes put the files of a dead one in place. One of them is slow: its file comes when the other is done and the job
// is cancelled, and it is killed before it looks again.
func TestFileThatCameTooLate(t *testing.T) {
	w := newWorld(t)
	ids := []string{"first", "late"}
	for _, id := range ids {
		w.propose(exec(id, `"max_retries": 0,`, "false"))
	}
	w.tick()
	dead, slow := w.open(), w.open()
	dead.runner.Start--
	w.check(dead.transact(t.Context(), func(b *batch) error {
		for _, id := range ids {
			b.jobEvent("uid:0", job.JobRetryScheduled, id, w.row(id).TraceID, "approved",
				ledger.RetryScheduled{WakeAt: job.FormatTime(b.now), Operator: true}, nil)
		}
		return nil
	}))
	dead.markers = nil
	// Behind the file of a job comes its reply. The word that this cannot be written shows how far the slow one is.
	block := func(id string) error {
		return errors.Join(os.Remove(w.ws.Reply("operator", id)), os.Mkdir(w.ws.Reply("operator", id), 0o700))
	}
	w.check(block("first"))
	var failed error
	slow.opts.Notify = func(n Notice) {
		switch {
		case strings.Contains(n.Text, "/first.json"):
			failed = errors.Join(os.Remove(w.ws.Reply("operator", "first")), w.p.Recover(t.Context()),
				w.p.Cancel(t.Context(), Selection{IDs: []string{"late"}}, "", func(JobLine) error { return nil }), block("late"))
		case strings.Contains(n.Text, "/late.json"):
			failed = errors.Join(failed, os.Remove(w.ws.Reply("operator", "late")))
			runtime.Goexit()
		}
	}
	var wg sync.WaitGroup
	wg.Go(func() { slow.Recover(t.Context()) })
	wg.Wait()
	w.check(failed)
	if _, err := os.Stat(w.ws.Approved("late")); err != nil {
		t.Fatalf("nothing came too late: %v", err)
	}
	w.gone()
	w.check(w.p.Recover(t.Context()))
	w.is("late", job.StatusCancelled, "CANCELLED")
	w.onePlace("late")
	if left, err := os.ReadDir(w.ws.Projecting()); err != nil || len(left) > 0 {
		t.Errorf("markers: %v, %v", left, err)
	}
}

// gone has the processes that left markers be dead.
func (w *world) gone() {
	left, err := os.ReadDir(w.ws.Projecting())
	w.check(err)
	for _, f := range left {
		boot, pid, start, from, _ := parseMarker(f.Name())
		p := &Pipeline{ws: w.ws, runner: ledger.Runner{Boot: boot, PID: pid, Start: start - 1}}
		w.check(os.Rename(filepath.Join(w.ws.Projecting(), f.Name()), p.markerPath(from)))
	}
}

// A file that cannot be put in place leaves its marker, so that the next process tries again.
func TestFileThatCannotBePlaced(t *testing.T) {
	w := newWorld(t)
	w.write(filepath.Join(w.ws.Approved("a"), "in the way"), "x")
	w.propose(noop("a", ""))
	if len(w.warned) == 0 {
		t.Error("nobody was told")
	}
	w.check(os.RemoveAll(w.ws.Approved("a")))
	left, err := os.ReadDir(w.ws.Projecting())
	if err != nil || len(left) == 0 {
		t.Fatalf("markers: %v, %v", left, err)
	}
	w.gone()
	w.check(w.p.Recover(t.Context()))
	w.is("a", job.StatusPending, "")
}

// The same claim taken up twice makes no second job, and goes on behind the last line that was received.
func TestClaimOfADeadProcess(t *testing.T) {
	w := newWorld(t)
	w.drop("operator", "l.jsonl", `{"payload": {"kind": "noop", "params": {}}}`+"\n"+noop("named", "")+"\n"+noop("last", ""))
	w.forward(3 * time.Second)
	claimer := w.ws.Claimer(workspace.ClaimerOptions{Now: w.now})
	scan, err := w.ws.Scan()
	w.check(err)
	var entries []workspace.Entry
	for err == nil && len(entries) == 0 {
		entries, err = scan.Next(10)
	}
	w.check(errors.Join(err, scan.Close()))
	claim, err := claimer.Take(entries[0], 1<<20, func([]byte) bool { return true })
	w.check(err)
	rules, err := w.p.Rules(t.Context())
	w.check(err)
	first := newCandidate([]byte(`{"payload": {"kind": "noop", "params": {}}}`), w.p.provenance(claim), w.p.stamp(), rules.ParseLimits())
	first.intake.Provenance.Line = 1
	_, err = w.p.admit(t.Context(), rules, []*candidate{first})
	w.check(err)
	claimer.Close() // and the rest was never read
	w.gate()
	w.gate()
	var ids []string
	w.check(w.p.Jobs(t.Context(), JobFilter{}, func(l JobLine) error { ids = append(ids, l.ID); return nil }))
	if want := []string{first.intake.JobID, "named", "last"}; !slices.Equal(ids, want) {
		t.Errorf("jobs %v, want %v", ids, want)
	}
	w.verify()
}
