package index

import (
	"errors"
	"testing"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// job returns a job that must be there.
func (f *fixture) job(id string) (row Row) {
	f.t.Helper()
	f.read(func(r *Reader) {
		var found bool
		var err error
		if row, found, err = r.Job(id); err != nil || !found {
			f.t.Fatalf("job %s: found %t, %v", id, found, err)
		}
	})
	return row
}

// received is the meta of an unremarkable proposal.
func received(source string) ledger.Received {
	return ledger.Received{Located: ledger.Located{Offset: 17, Bytes: 4}, Source: source, Bucket: source, Kind: "exec", Priority: 2,
		TimeoutSeconds: 300, MaxRetries: 3, Backoff: "exponential", PayloadSHA256: anyDigest, Token: "token"}
}

// propose receives a job; change may be nil.
func (f *fixture) propose(id string, change func(*ledger.Received), deps ...string) {
	f.t.Helper()
	m := received("agent")
	m.Key = id
	if change != nil {
		change(&m)
	}
	m.DependsOn = len(deps)
	f.eventWith(job.ProposalReceived, id, m, intakeOf(deps))
}

func intakeOf(deps []string) any {
	return map[string]any{"proposal": map[string]any{"depends_on": append([]string{}, deps...)}}
}

// approve makes a received job claimable, or lets it wait.
func (f *fixture) approve(id string, ready bool) {
	f.t.Helper()
	f.event(job.JobApproved, id, approved(f.h.now, ready))
}

func approved(at time.Time, ready bool) ledger.Approved {
	return ledger.Approved{Basis: "gates", Rules: anyDigest, Rerun: true, DueAt: job.FormatTime(at.Add(5 * time.Minute)), Ready: ready}
}

func (f *fixture) dispatch(id string, attempt int) {
	f.t.Helper()
	f.event(job.JobDispatched, id, leaseOf("local", attempt, f.h.now))
}

func leaseOf(host string, attempt int, now time.Time) ledger.Dispatched {
	return ledger.Dispatched{Host: host, Attempt: attempt, LeaseUntil: job.FormatTime(now.Add(time.Minute)),
		Runner: &ledger.Runner{Boot: "boot", PID: 42, Start: 4711}}
}

func (f *fixture) start(id string, attempt int) {
	f.t.Helper()
	f.event(job.JobStarted, id, ledger.Started{Attempt: attempt, StartedAt: job.FormatTime(f.h.now)})
}

func (f *fixture) complete(id string) {
	f.t.Helper()
	f.eventWith(job.JobCompleted, id, ledger.Ended{Located: ledger.Located{Offset: 1, Bytes: 2}}, "result")
}

// run takes an approved job to its end.
func (f *fixture) run(id string) {
	f.t.Helper()
	f.dispatch(id, 1)
	f.start(id, 1)
	f.complete(id)
}

// claim returns the ids that Claim gives.
func (f *fixture) claim(limit int) (ids []string) {
	f.t.Helper()
	f.read(func(r *Reader) {
		rows, err := r.Claim(limit)
		if err != nil {
			f.t.Fatal(err)
		}
		ids = idsOf(rows)
	})
	return ids
}

func idsOf(rows []Row) []string {
	ids := []string{}
	for _, row := range rows {
		ids = append(ids, row.ID)
	}
	return ids
}

// configure sets the limits of sources: max_jobs_per_minute and max_concurrent_jobs of each.
func (f *fixture) configure(limits map[string][2]int) {
	f.t.Helper()
	f.eventWith(job.ConfigLoaded, "", ledger.Configured{Rules: anyDigest}, configOf(limits))
}

func configOf(limits map[string][2]int) any {
	sources := map[string]any{}
	for name, l := range limits {
		sources[name] = map[string]int{"max_jobs_per_minute": l[0], "max_concurrent_jobs": l[1]}
	}
	return map[string]any{"config": map[string]any{"sources": sources}}
}

func wantTransitionError(t testing.TB, err error) {
	t.Helper()
	var refused *TransitionError
	if !errors.As(err, &refused) {
		t.Fatalf("got %v, want a TransitionError", err)
	}
}
