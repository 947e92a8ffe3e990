package pipeline

import (
	"context"
	"os"

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
	rebooted, err := p.newBoot()
	if err != nil {
		return err
	}
	p.rebooted = p.rebooted || rebooted
	err = p.transact(ctx, func(b *batch) error {
		changed, markers = nil, nil
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
			}
		}
		joined, err := b.endLostJoined()
		if err != nil {
			return err
		}
		changed = append(changed, joined...)
		ids, found, err := p.reproject(b)
		if err == nil && rebooted {
			ids, err = b.unsynced(ids)
		}
		if err != nil {
			return err
		}
		changed, markers = append(changed, ids...), found
		return nil
	})
	if err != nil {
		return err
	}
	// Not before the outcomes are durable, nor without the lock, since the next attempt may have the same number.
	err = p.transact(ctx, func(b *batch) error {
		return eachOver(p.ws.Jobs(), b.tx.Job, func(id string, number int) error { return agent.Forget(p.ws.Jobs(), id, number) })
	})
	if err != nil {
		p.warn("%v", err)
	}
	if p.placeAll(changed) && !p.misplaced {
		for _, m := range markers {
			if err := remove(m); err != nil {
				return err
			}
		}
		if rebooted {
			if err := p.settleBoot(); err != nil {
				return err
			}
		}
	}
	p.projected()
	return nil
}

// deserted reports, without taking the lock, whether there is anything for Recover to do.
func (p *Pipeline) deserted(ctx context.Context) (bool, error) {
	names, err := p.projecting()
	if err != nil {
		return false, err
	}
	alive := map[ledger.Runner]bool{p.runner: true}
	lives := func(r ledger.Runner) bool {
		if _, asked := alive[r]; !asked {
			alive[r] = durable.Alive(r.Boot, r.PID, r.Start)
		}
		return alive[r]
	}
	for _, n := range names {
		boot, pid, start, _, ok := parseMarker(n.Name())
		if !ok || !lives(ledger.Runner{Boot: boot, PID: pid, Start: start}) {
			return true, nil
		}
	}
	left, now := false, p.now()
	err = p.view(ctx, func(r *index.Reader) error {
		if err := eachOver(p.ws.Jobs(), r.Job, func(string, int) error { left = true; return nil }); err != nil {
			return err
		}
		rows, err := r.Leased(LocalHost)
		for _, row := range rows {
			taken := row.Runner != (ledger.Runner{})
			left = left || taken && !lives(row.Runner) || !taken && !now.Before(row.LeaseUntil)
		}
		return err
	})
	return left, err
}

// eachOver calls f for the attempts that have a start marker and are over by what the index says. Whoever ends an attempt forgets
// its start; where he was killed, or the attempt was cancelled and its runner killed before it obeyed, nobody has.
func eachOver(workDir string, find func(string) (indexRow, bool, error), f func(id string, number int) error) error {
	begun, err := agent.Begun(workDir) // before the rows: whoever marks a start has committed its lease
	if err != nil {
		return err
	}
	for id, numbers := range begun {
		row, ok, err := find(id)
		if err != nil {
			return err
		}
		for _, n := range numbers {
			if ok && (!row.Leased() || n < row.Attempt) {
				if err := f(id, n); err != nil {
					return err
				}
			}
		}
	}
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
	if row.Status == job.StatusRunning && !row.CompletedAt.IsZero() {
		// This attempt is known to have failed, and the end of the batch that recorded it was lost.
		res, _, err := b.p.loadResult(row)
		if err != nil && !b.p.missed(err) { // without it nobody knows that it may be tried again, so it is not
			return false, err
		}
		meta := ledger.Ended{Located: located(row.Result), Attempt: row.Attempt, ExitCode: row.ExitCode, Code: row.ErrorCode,
			Error: row.Error, CompletedAt: stampOf(row.CompletedAt)}
		r, err := b.p.Rules(context.Background())
		if err != nil {
			return false, err
		}
		in, prop, err := b.p.loadIntake(row)
		if b.p.missed(err) {
			in, prop = remains(row)
		} else if err != nil {
			return false, err
		}
		_, err = b.attemptFailed(r, job.New(in, prop), row, meta, row.Result, res.Retryable)
		return true, err
	}
	if r.Boot != b.p.runner.Boot {
		reason, begun = "reboot", true
	} else if begun = begun || row.Status == job.StatusRunning; begun {
		b.p.endOrphan(row)
	}
	if begun && row.Rerun {
		// Before the lease is taken back: the next attempt may have the same number, and needs a marker of its own.
		if err := agent.Forget(b.p.ws.Jobs(), row.ID, row.Attempt); err != nil {
			return false, err
		}
	}
	meta := ledger.Unknown{Attempt: row.Attempt, Reason: reason}
	if begun && !row.Rerun {
		for _, f := range b.p.leftBehind(row.ID, row.Attempt, row.StartedAt) {
			if info, err := os.Lstat(b.p.abs(f.Path)); err == nil {
				meta.Kept += info.Size()
			}
		}
		b.jobEvent("recover", job.OutcomeUnknown, row.ID, row.TraceID, "blocked", meta, nil)
	} else {
		b.jobEvent("recover", job.LeaseExpired, row.ID, row.TraceID, "approved", meta, nil)
	}
	return true, b.failed
}

// endOrphan ends what an attempt left running whose runner died. That happens inside the lock: as soon as the lease is taken
// back, another process may run the job again, and its processes would pass for those of the dead attempt.
func (p *Pipeline) endOrphan(row indexRow) {
	killed, err := agent.Clean(p.ws.Jobs(), row.ID, row.Attempt)
	if killed > 0 {
		p.warn("%s: %d processes of an attempt whose runner died were ended", row.ID, killed)
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
	rows, err := p.rows(ids)
	if err != nil {
		p.warn("%v", err)
		p.misplaced = true
	}
	return p.placeRows(rows) && err == nil
}

// placeRows is placeAll for rows that this process's last transaction has seen.
func (p *Pipeline) placeRows(rows []indexRow) bool {
	whole := true
	others, err := p.projectOthers(rows)
	if err != nil {
		p.warn("%v", err)
		whole = false
	}
	for len(rows) > 0 {
		for _, row := range rows {
			if err := p.place(row); err != nil {
				p.warn("%v", err)
				whole = false
			}
			p.later.drop(row.ID)
			if row.Zone != "approved" {
				p.memo.drop(row.ID)
			}
		}
		ids, err := p.moved(rows)
		if rows = nil; err == nil && len(ids) > 0 {
			rows, err = p.rows(ids)
		}
		if err != nil {
			p.warn("%v", err)
			whole = false
		}
	}
	if others && whole {
		if err := p.endProjection(-p.batches); err != nil {
			p.warn("%v", err)
		}
	}
	p.misplaced = p.misplaced || !whole
	return whole
}

// rows reads those of the jobs that there are.
func (p *Pipeline) rows(ids []string) ([]indexRow, error) {
	rows := make([]indexRow, 0, len(ids))
	err := p.view(context.Background(), func(r *index.Reader) error {
		rows = rows[:0]
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
	return rows, err
}

// projectAdmitted puts the files of newly admitted jobs in place, and keeps the originals of redacted ones.
func (p *Pipeline) projectAdmitted(out []outcome) {
	placed := make([]indexRow, 0, len(out))
	for _, o := range out {
		if o.repeat {
			continue
		}
		if p.later.on && o.row.Zone == "approved" {
			p.later.add(o.id, p.now(), p.shown+1)
			continue
		}
		if err := p.placeJob(o.row, o.job); err != nil {
			p.warn("%v", err)
			p.misplaced = true
		}
		placed = append(placed, o.row)
	}
	again, err := p.moved(placed)
	if err != nil {
		p.warn("%v", err)
		p.misplaced = true
	}
	p.placeAll(again)
}
