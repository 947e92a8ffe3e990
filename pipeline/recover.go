package pipeline

import (
	"context"
	"errors"

	"github.com/sheratan/sheratan/hosts/agent"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/durable"
	"github.com/sheratan/sheratan/runtime/index"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// Recover finishes what processes that died had begun: leases without a living holder, and files that were not put in
// place. Claims of dead processes are the intake's.
func (p *Pipeline) Recover(ctx context.Context) error {
	var changed, markers []string
	var dead []indexRow
	err := p.transact(ctx, func(b *batch) error {
		changed, markers, dead = nil, nil, nil
		rows, err := b.tx.Leased(LocalHost)
		if err != nil {
			return err
		}
		for _, row := range rows {
			moved, err := b.recoverLease(row)
			if err != nil {
				return err
			}
			if moved {
				changed = append(changed, row.ID)
				dead = append(dead, row)
			}
		}
		ids, found, err := p.reproject(b)
		changed, markers = append(changed, ids...), found
		return err
	})
	if err != nil {
		return err
	}
	for _, row := range dead {
		p.cleanUp(row)
	}
	if p.placeAll(changed) {
		for _, m := range markers {
			if err := remove(m); err != nil {
				return err
			}
		}
	}
	p.projected()
	return nil
}

// recoverLease decides about one leased job of this host: it is left alone while the process that has it lives. Nobody
// having begun it, it goes back into the queue. Otherwise nobody knows what it did, and only what is safe to run again
// is; the rest waits for an operator.
func (b *batch) recoverLease(row indexRow) (bool, error) {
	r := row.Runner
	if r == (ledger.Runner{}) {
		// Given to this host by dispatch, and not taken by anybody yet.
		if b.now.Before(row.LeaseUntil) {
			return false, nil
		}
		b.jobEvent("recover", job.LeaseExpired, row.ID, row.TraceID, "approved",
			ledger.Unknown{Attempt: row.Attempt, Reason: "expired"}, nil)
		return true, b.failed
	}
	if durable.Alive(r.Boot, r.PID, r.Start) {
		return false, nil
	}
	reason := "runner-died"
	begun, err := agent.Marked(b.p.ws.Jobs(), row.ID, row.Attempt)
	if err != nil {
		return false, err
	}
	if row.Status == job.StatusRunning && row.ErrorCode != "" {
		// The end of the batch that recorded its failure was lost.
		return true, b.again(row, row.Error)
	}
	if r.Boot != b.p.runner.Boot {
		reason, begun = "reboot", true
	}
	meta := ledger.Unknown{Attempt: row.Attempt, Reason: reason}
	if begun && !row.Rerun {
		b.jobEvent("recover", job.OutcomeUnknown, row.ID, row.TraceID, "blocked", meta, nil)
	} else {
		b.jobEvent("recover", job.LeaseExpired, row.ID, row.TraceID, "approved", meta, nil)
	}
	return true, b.failed
}

// cleanUp ends what an attempt left running and forgets that it began, now that the ledger says what became of it.
func (p *Pipeline) cleanUp(row indexRow) {
	killed, err := agent.Clean(p.ws.Jobs(), row.ID, row.Attempt)
	if killed > 0 {
		p.warn("%s: %d processes of an attempt whose runner died were ended", row.ID, killed)
	}
	if err == nil {
		err = agent.Forget(p.ws.Jobs(), row.ID, row.Attempt)
	}
	if err != nil {
		p.warn("%v", err)
	}
}

// placeAll puts the files of jobs where the index says now. It reports whether all could be; a failure is a warning,
// because the ledger has what the file would say.
func (p *Pipeline) placeAll(ids []string) bool {
	if len(ids) == 0 {
		return true
	}
	rows := make([]indexRow, 0, len(ids))
	err := p.view(context.Background(), func(r *index.Reader) error {
		for _, id := range ids {
			row, ok, err := r.Job(id)
			if err != nil {
				return err
			}
			if ok {
				rows = append(rows, row)
			}
		}
		return nil
	})
	if err != nil {
		p.warn("%v", err)
		return false
	}
	whole := true
	var approved []string
	for _, row := range rows {
		if err := p.place(row); err != nil {
			p.warn("%v", err)
			whole = false
		}
		p.later.drop(row.ID)
		if row.Zone == "approved" {
			approved = append(approved, row.ID)
		} else {
			p.memo.drop(row.ID)
		}
	}
	if err := p.settle(approved); err != nil {
		p.warn("%v", err)
		return false
	}
	return whole
}

// placeEnded puts the files of jobs in place whose attempt this process has just recorded.
func (p *Pipeline) placeEnded(list []*attempt) {
	ids := make([]string, len(list))
	for i, a := range list {
		ids[i] = a.row.ID
	}
	p.placeAll(ids)
}

// placeStarted shows in queue/approved that jobs are running.
func (p *Pipeline) placeStarted(list []*attempt) { p.placeEnded(list) }

// projectAdmitted puts the files of newly admitted jobs in place, and keeps the originals of redacted ones.
func (p *Pipeline) projectAdmitted(out []outcome) {
	var approved []string
	for _, o := range out {
		if o.repeat {
			continue
		}
		if p.later.on && o.row.Zone == "approved" {
			p.later.add(o.id, p.now())
			continue
		}
		if err := p.placeJob(o.row, o.job); err != nil {
			p.warn("%v", err)
		}
		if o.row.Zone == "approved" {
			approved = append(approved, o.id)
		}
	}
	if err := p.settle(approved); err != nil {
		p.warn("%v", err)
	}
}

// keepPrivate stores the original of a document that was redacted outside git, readable to its owner only.
func (p *Pipeline) keepPrivate(c *candidate) error {
	if c.private == nil {
		return nil
	}
	err := durable.WriteFile(p.ws.PrivateDocument(c.intake.JobID), c.private, 0o600)
	if err != nil {
		return errors.Join(errors.New(c.intake.JobID+": private document"), err)
	}
	return nil
}
