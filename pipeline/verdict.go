package pipeline

import (
	"context"
	"errors"
	"slices"

	"github.com/sheratan/sheratan/gates"
	"github.com/sheratan/sheratan/gates/audit"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/pipeline/rules"
	"github.com/sheratan/sheratan/runtime/index"
	"github.com/sheratan/sheratan/runtime/ledger"
	"github.com/sheratan/sheratan/schemas"
)

// verdict is what the gates say now of a job that is in the ledger.
type verdict struct {
	row    indexRow
	report job.Report
	doc    []byte     // of the report, where it is to be stored
	ref    ledger.Ref // where it was
	broken error      // a document of the job cannot be read, and so there is no verdict
}

// judge gates a stored job again. The error is none of the job's.
func (b *batch) judge(r *rules.Rules, row indexRow) (*verdict, error) {
	v := &verdict{row: row}
	var err error
	v.report, v.doc, err = b.p.regate(context.Background(), b.tx, r, row)
	if damaged(err) {
		v.broken, err = err, nil
	}
	return v, err
}

// storeVerdicts stores the reports that are to be stored, with one sync for all.
func (b *batch) storeVerdicts(list []*verdict) error {
	var docs [][]byte
	for _, v := range list {
		if v.doc != nil {
			docs = append(docs, v.doc)
		}
	}
	refs, err := b.store(docs...)
	if err != nil {
		return err
	}
	for _, v := range list {
		if v.doc != nil {
			v.ref, refs = refs[0], refs[1:]
		}
	}
	return nil
}

// gateStale gates those of the jobs again that were last gated under other rules.
func (b *batch) gateStale(r *rules.Rules, rows []indexRow) (refused map[string]DispatchLine, err error) {
	return b.gateAgain(r, slices.DeleteFunc(slices.Clone(rows), func(row indexRow) bool { return row.Rules == r.Digest }))
}

// gateAgain runs the gates over the stored intakes of approved jobs, and blocks and returns those that they do not allow
// any more. What an operator allowed stays allowed as long as no hard reason has come up, what an auditor did as long as it could.
func (b *batch) gateAgain(r *rules.Rules, rows []indexRow) (refused map[string]DispatchLine, err error) {
	refused = map[string]DispatchLine{}
	list := make([]*verdict, len(rows))
	for i, row := range rows {
		if list[i], err = b.judge(r, row); err != nil {
			return nil, err
		}
	}
	if err := b.storeVerdicts(list); err != nil {
		return nil, err
	}
	for _, v := range list {
		row, rep := v.row, v.report
		changed, err := b.p.programChanged(row, rep)
		if err != nil {
			return nil, err
		}
		var line DispatchLine
		switch {
		case v.broken != nil:
			line, err = b.refuseDamaged(row, v.broken)
		case changed != nil:
			b.gated(v, "dispatch")
			line, err = b.refuse(row, job.RequireOperatorAck, codeProgramChanged, changed.Error())
		case rep.Approved() || row.Basis == "operator" && rep.Overridable() || row.Basis == "auditor" && audit.Lifts(rep):
			b.gated(v, "dispatch")
			continue
		default:
			b.gated(v, "dispatch")
			line, err = b.refuse(row, rep.NextAction, firstCode(rep), "the gates do not allow it any more")
		}
		if err != nil {
			return nil, err
		}
		refused[row.ID] = line
	}
	return refused, b.failed
}

// gated records a verdict.
func (b *batch) gated(v *verdict, actor string) {
	b.jobEvent(actor, job.GatesReported, v.row.ID, v.row.TraceID, v.row.Zone, gated(v.report, v.ref), &v.ref)
}

// gateAllStored gates blocked jobs again, on the bytes that were received, batch by batch. What is wrong with one of them does
// not keep the others: it is the error in the end.
func (p *Pipeline) gateAllStored(ctx context.Context, r *rules.Rules, ids []string, emit func(GateLine) error) (sum GateSummary, err error) {
	var errs []error
	for len(ids) > 0 {
		lines, n, unfit, err := p.gateStored(ctx, r, ids)
		if err != nil {
			return sum, errors.Join(append(errs, err)...)
		}
		ids, errs = ids[n:], append(errs, unfit...)
		for _, line := range lines {
			if line.Status == string(job.StatusQuarantined) {
				sum.Blocked++
			} else {
				sum.Approved++
			}
			if err := emit(line); err != nil {
				return sum, err
			}
		}
	}
	return sum, errors.Join(errs...)
}

// gateStored gates a batch of blocked or received jobs. It returns a line for each, how many of the ids it has dealt with,
// and what was wrong with single ones.
func (p *Pipeline) gateStored(ctx context.Context, r *rules.Rules, ids []string) (lines []GateLine, n int, unfit []error, err error) {
	var changed []string
	err = p.transact(ctx, func(b *batch) error {
		lines, n, unfit, changed = nil, 0, nil, nil
		if err := b.configured(r); err != nil {
			return err
		}
		var list []*verdict
		var bytes int64
		for n < min(len(ids), batchJobs) && bytes < batchBytes {
			id := ids[n]
			n++
			if slices.Contains(ids[:n-1], id) {
				continue
			}
			row, ok, err := b.tx.Job(id)
			if err != nil {
				return err
			}
			if !ok {
				unfit = append(unfit, &UnknownJobError{id})
				continue
			}
			if row.Zone == "inbox" && row.Revises != "" {
				over, others, err := b.resumeRevision(row)
				if err != nil {
					return err
				}
				changed = append(changed, others...)
				if over {
					if row, _, err = b.tx.Job(id); err != nil {
						return err
					}
					changed, lines = append(changed, id), append(lines, gateLine(row, job.Report{}))
					continue
				}
			}
			v, err := b.judgeBlocked(r, row)
			if err != nil {
				return err
			}
			list = append(list, v)
			bytes += row.Intake.Bytes
		}
		if err := b.storeVerdicts(list); err != nil {
			return err
		}
		keys := map[[2]string]bool{}
		for _, v := range list {
			moved, err := b.settleBlocked(r, v, keys)
			if err != nil {
				return err
			}
			if moved {
				changed = append(changed, v.row.ID)
			}
			lines = append(lines, gateLine(v.row, v.report))
		}
		return nil
	})
	if err != nil {
		return nil, 0, nil, err
	}
	p.placeAll(changed)
	p.projected()
	return lines, n, unfit, nil
}

// judgeBlocked gates a job that is blocked, or was received and not gated. Where there is nothing to gate, or nothing new, the
// verdict has no document to store.
func (b *batch) judgeBlocked(r *rules.Rules, row indexRow) (*verdict, error) {
	unknown := row.ErrorCode == codeOutcomeUnknown
	if row.Status != job.StatusQuarantined && row.Zone != "inbox" || unknown {
		if unknown && row.Status == job.StatusQuarantined {
			b.p.note("%s: the outcome of an attempt is not known, which is for an operator and not for the gates", row.ID)
		} else {
			b.p.note("%s: is %s, and only blocked jobs are gated again", row.ID, row.Status)
		}
		return b.asItWas(row)
	}
	v, err := b.judge(r, row)
	if err != nil || v.broken != nil {
		return v, err
	}
	if row.Zone != "inbox" && !v.report.Approved() && row.Rules == r.Digest && schemas.Digest(v.doc) == row.Report.SHA256 {
		v.doc = nil
	}
	return v, nil
}

// asItWas is the verdict that a job has.
func (b *batch) asItWas(row indexRow) (*verdict, error) {
	rep, err := b.p.loadReport(row)
	if b.p.missed(err) {
		err = nil
	}
	return &verdict{row: row, report: rep}, err
}

// settleBlocked records a verdict, and approves the job or blocks it. keys are those that jobs of this batch have taken. It
// reports whether there was anything to record.
func (b *batch) settleBlocked(r *rules.Rules, v *verdict, keys map[[2]string]bool) (bool, error) {
	row := v.row
	if v.broken != nil {
		b.p.missed(v.broken)
		if row.Status == job.StatusQuarantined {
			return false, nil // as it was
		}
		b.jobEvent("gate", job.JobBlocked, row.ID, row.TraceID, "blocked",
			ledger.Blocked{NextAction: string(job.Quarantine), Code: gates.CodePipelineError}, nil)
		return true, b.reread(v)
	}
	if v.doc == nil {
		return false, nil
	}
	key := [2]string{row.Source, row.Key}
	if v.report.Approved() && keys[key] {
		// It was judged before the other one got the key.
		again, err := b.judge(r, row)
		if err == nil {
			err = b.storeVerdicts([]*verdict{again})
		}
		if err != nil || again.broken != nil {
			return false, errors.Join(err, again.broken)
		}
		*v = *again
	}
	b.gated(v, "gate")
	if !v.report.Approved() {
		b.block(row.ID, row.TraceID, "gate", v.report)
		return true, b.reread(v)
	}
	keys[key] = true
	if err := b.approveStored(r, row, "gates"); err != nil {
		return false, err
	}
	return true, b.reread(v)
}

// reread brings the row of a verdict up to what was just recorded.
func (b *batch) reread(v *verdict) (err error) {
	v.row, _, err = b.tx.Job(v.row.ID)
	return errors.Join(b.failed, err)
}

// approveStored approves a job that is already in the ledger.
func (b *batch) approveStored(r *rules.Rules, row indexRow, basis string) error {
	c, err := b.p.gateable(b.tx, row)
	if err != nil {
		return err
	}
	return b.approve(r, job.New(c.intake, c.proposal), c.proposal, row.TraceID, basis, row.Intake)
}

// gateReceived gates jobs that were received and got no further, because the end of their batch was lost in a crash.
func (p *Pipeline) gateReceived(ctx context.Context, r *rules.Rules) error {
	for {
		var ids []string
		err := p.view(ctx, func(x *index.Reader) error {
			ids = nil
			rows, err := x.Inbox(batchJobs)
			for _, row := range rows {
				ids = append(ids, row.ID)
			}
			return err
		})
		if err != nil || len(ids) == 0 {
			return err
		}
		lines, _, _, err := p.gateStored(ctx, r, ids)
		if err != nil || len(lines) == 0 || lines[0].Zone == "inbox" { // what stays where it is would stay for ever
			return err
		}
	}
}
