package pipeline

import (
	"context"
	"errors"
	"fmt"

	"github.com/sheratan/sheratan/hosts"
	"github.com/sheratan/sheratan/hosts/agent"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/pipeline/rules"
	"github.com/sheratan/sheratan/runtime/ledger"
	"github.com/sheratan/sheratan/schemas"
)

// begun records that attempts are running which have lasted long enough to be worth a line before they end. One that was
// taken away from the runner meanwhile is left out: it is about to be killed.
func (b *batch) begun(list []*attempt) error {
	for _, a := range list {
		row, ok, err := b.tx.Job(a.row.ID)
		if err != nil {
			return err
		}
		if ok && row.Status == job.StatusPending && b.holds(row, a) {
			b.started(a)
		}
	}
	return b.failed
}

func (b *batch) started(a *attempt) {
	meta := ledger.Started{Attempt: a.number, StartedAt: job.FormatTime(a.started)}
	b.jobEvent("run", job.JobStarted, a.row.ID, a.row.TraceID, "approved", meta, nil)
}

// record writes what became of an attempt: completed, to be tried again, or failed. A job that was taken away from the
// runner meanwhile (cancelled, or its lease expired) keeps the state it has. own says which jobs are over when they are
// interrupted. It returns whether the job is over.
func (b *batch) record(r *rules.Rules, a *attempt, doc ledger.Ref, own func(indexRow) bool) (over bool, err error) {
	row, ok, err := b.tx.Job(a.row.ID)
	if err != nil {
		return false, err
	}
	if !ok || !b.holds(row, a) {
		return false, nil
	}
	if !a.noted {
		b.started(a)
	}
	res := a.result
	meta := ledger.Ended{Located: located(doc), Attempt: a.number, ExitCode: res.ExitCode, Code: res.ErrorCode,
		Error: shorten(res.Error), CompletedAt: res.CompletedAt, Kept: res.KeptBytes()}
	if res.Status == job.StatusCompleted {
		b.jobEvent("run", job.JobCompleted, row.ID, row.TraceID, "outbox", meta, &doc)
		return true, b.failed
	}
	if meta.Code == agent.CodeCancelled && !errors.Is(a.ended, errPaused) && own != nil && own(row) {
		meta.Code = codeInterrupted
	}
	b.jobEvent("run", job.JobAttemptFailed, row.ID, row.TraceID, "approved", meta, &doc)
	if errors.Is(a.ended, errPaused) {
		meta.Error = reasonPaused
	}
	return b.attemptFailed(r, a.job, row, meta, doc, res.Retryable)
}

// holds reports whether the lease of the row is the one that the attempt was started under.
func (b *batch) holds(row indexRow, a *attempt) bool {
	return row.Attempt == a.number && row.Runner == b.p.runner && row.Leased()
}

// shorten cuts an error to what an event may carry, at a rune.
func shorten(s string) string {
	const most = 200
	if len(s) <= most {
		return s
	}
	for i := range s {
		if i > most-4 {
			return s[:i] + "…"
		}
	}
	return s
}

// lease dispatches jobs to this process and returns the attempts to start. Jobs that the rules do not allow any more are
// returned as blocked.
func (b *batch) lease(r *rules.Rules, rows []indexRow) (list []*attempt, blocked []string, err error) {
	if len(rows) == 0 {
		return nil, nil, nil
	}
	known, err := b.p.hosts(b.tx, r)
	if err != nil {
		return nil, nil, err
	}
	var self []hosts.Host
	for _, h := range known {
		if h.ID == LocalHost {
			h.Status, h.CurrentJobs = hosts.Online, 0 // the runner holds the slots already
			self = append(self, h)
		}
	}
	refused, err := b.gateStale(r, rows)
	if err != nil {
		return nil, nil, err
	}
	for _, row := range rows {
		if _, ok := refused[row.ID]; ok {
			blocked = append(blocked, row.ID)
		}
	}
	lots, err := b.auction(self, without(rows, refused), &b.p.runner)
	if err != nil {
		return nil, nil, err
	}
	for _, l := range lots {
		line, ok, err := b.dispatch(l, &b.p.runner)
		if err != nil {
			return nil, nil, err
		}
		if !ok {
			blocked = append(blocked, l.row.ID)
			continue
		}
		if line.Host == "" {
			continue
		}
		a, err := b.attempt(l.row.ID)
		if err != nil {
			return nil, nil, err
		}
		list = append(list, a)
	}
	return list, blocked, nil
}

// take leases jobs to this process that dispatch gave to this host without naming a process. Those whose document cannot be
// read are blocked.
func (b *batch) take(rows []indexRow) (list []*attempt, blocked []string, err error) {
	for _, row := range rows {
		if _, _, err := b.p.loadIntake(row); damaged(err) {
			if _, err := b.refuseDamaged(row, err); err != nil {
				return nil, nil, err
			}
			blocked = append(blocked, row.ID)
			continue
		}
		meta := ledger.Dispatched{Host: LocalHost, Attempt: row.Attempt, LeaseUntil: stampOf(row.LeaseUntil), Runner: &b.p.runner}
		b.jobEvent("run", job.JobLeased, row.ID, row.TraceID, "approved", meta, nil)
		a, err := b.attempt(row.ID)
		if err != nil {
			return nil, nil, err
		}
		list = append(list, a)
	}
	return list, blocked, b.failed
}

// attempt reads a job that was just leased, from the store and by the digest that the ledger approved.
func (b *batch) attempt(id string) (*attempt, error) {
	row, ok, err := b.tx.Job(id)
	if err != nil || !ok {
		return nil, fmt.Errorf("%s: leased and gone: %w", id, err)
	}
	in, prop, err := b.p.loadIntake(row)
	if err != nil {
		return nil, err
	}
	j := newJob(in, prop, row)
	fillState(&j, row)
	a := &attempt{row: row, job: j, number: row.Attempt, queued: b.now}
	if in.Redacted {
		if a.waivers, err = waiversOf(b.tx, row); err != nil {
			return nil, err
		}
		a.intake = in
	}
	if err := b.p.bindProgram(context.Background(), a, row); err != nil {
		return nil, err
	}
	a.inputs, err = b.inputs(j)
	return a, err
}

// rows returns the rows of attempts as they are now.
func (b *batch) rows(lists ...[]*attempt) (rows []indexRow, err error) {
	for _, list := range lists {
		for _, a := range list {
			row, ok, err := b.tx.Job(a.row.ID)
			if err != nil {
				return nil, err
			}
			if ok {
				rows = append(rows, row)
			}
		}
	}
	return rows, nil
}

// returned records that attempts were not begun and may be leased by others.
func (b *batch) returned(list []*attempt) error {
	for _, a := range list {
		row, ok, err := b.tx.Job(a.row.ID)
		if err != nil {
			return err
		}
		if ok && b.holds(row, a) {
			b.jobEvent("run", job.LeaseExpired, row.ID, row.TraceID, "approved",
				ledger.Unknown{Attempt: a.number, Reason: "returned"}, nil)
		}
	}
	return b.failed
}

// notStarted records that attempts did not begin because of a fault of the machine. They count for nothing.
func (b *batch) notStarted(list []*attempt) error {
	for _, a := range list {
		row, ok, err := b.tx.Job(a.row.ID)
		if err != nil {
			return err
		}
		if ok && b.holds(row, a) {
			b.jobEvent("run", job.LeaseExpired, row.ID, row.TraceID, "approved",
				ledger.Unknown{Attempt: a.number, Reason: reasonHost, Error: shorten(a.result.Error)}, nil)
		}
	}
	return b.failed
}

// reasonHost is why a lease ended where the machine could not start the attempt.
const reasonHost = "host-fault"

// storeResults stores the results of attempts with one sync, and returns their places.
func (p *Pipeline) storeResults(list []*attempt) ([]ledger.Ref, error) {
	docs := make([][]byte, len(list))
	for i, a := range list {
		var err error
		if docs[i], err = schemas.Marshal(a.result); err != nil {
			return nil, fmt.Errorf("%s: result: %w", a.row.ID, err)
		}
	}
	if len(docs) == 0 {
		return nil, nil
	}
	refs, err := p.docs.Append(docs)
	if err != nil {
		return nil, err
	}
	for i, a := range list {
		p.memo.keepResult(a.row.ID, refs[i].SHA256, a.result, docs[i])
	}
	return refs, nil
}
