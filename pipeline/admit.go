package pipeline

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/sheratan/sheratan/gates"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/pipeline/rules"
	"github.com/sheratan/sheratan/runtime/durable"
	"github.com/sheratan/sheratan/runtime/index"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// outcome is what became of one candidate.
type outcome struct {
	id     string // of the job; the existing one where the candidate only repeated it
	repeat bool   // an earlier run had committed it already, or it repeats a job word for word
	row    indexRow
	line   GateLine
	job    job.Job
}

// jobError is a failure that concerns one job and not its batch.
type jobError struct {
	c   *candidate
	err error
}

func (e *jobError) Error() string { return e.c.intake.JobID + ": " + e.err.Error() }
func (e *jobError) Unwrap() error { return e.err }

// admit takes a batch of candidates through the gates and into the ledger. A candidate that cannot be taken because of
// itself is blocked with PIPELINE_ERROR, and the others go on without it.
func (p *Pipeline) admit(ctx context.Context, r *rules.Rules, cands []*candidate) ([]outcome, error) {
	for range len(cands) + 1 {
		out, err := p.admitOnce(ctx, r, cands)
		var own *jobError
		if err == nil || !errors.As(err, &own) {
			return out, err
		}
		if own.c.broken != nil { // even the report of the failure failed: this is no matter of one job
			return nil, err
		}
		own.c.broken = own.err
	}
	return nil, errors.New("a batch of proposals failed more often than it has members")
}

func (p *Pipeline) admitOnce(ctx context.Context, r *rules.Rules, cands []*candidate) ([]outcome, error) {
	var hostSets [][]string
	facts := make([]gates.Facts, len(cands))
	err := p.view(ctx, func(x *index.Reader) (err error) {
		if hostSets, err = p.hostSets(x, r); err != nil {
			return err
		}
		for i, c := range cands {
			if err = stampMission(x, c); err != nil {
				return err
			}
			if facts[i], err = lookup(x, r, p.now(), c, hostSets); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := judgeAll(ctx, r, cands, facts); err != nil {
		return nil, err
	}
	refs, err := p.storeCandidates(cands)
	if err != nil {
		return nil, err
	}
	out := make([]outcome, len(cands))
	err = p.transact(ctx, func(b *batch) error {
		if err := b.configured(r); err != nil {
			return err
		}
		for i, c := range cands {
			b.remember(refs[2*i].SHA256, c.intakeDoc)
			o, err := b.admit(r, c, hostSets, refs[2*i], refs[2*i+1])
			if err == nil {
				err, b.failed = b.failed, nil
			}
			if state := (*StateError)(nil); errors.As(err, &state) {
				return err // it is revised, and the old version has moved on: nothing is wrong with this one
			}
			var garbage *index.GarbageError
			if errors.As(err, &garbage) {
				return err // the fault of the machine is no fault of the job
			}
			if err != nil {
				return &jobError{c, err}
			}
			out[i] = o
			if !o.repeat {
				p.memo.keepIntake(o.id, o.row.Intake.SHA256, c.storedIntake, c.proposal)
				p.memo.keepReport(o.id, o.row.Report.SHA256, c.report)
			}
		}
		return nil
	})
	return out, err
}

// judgeAll runs the gates over all candidates, on all cores: they are pure.
func judgeAll(ctx context.Context, r *rules.Rules, cands []*candidate, facts []gates.Facts) error {
	errs := make([]error, len(cands))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(cands)) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(cands); i = int(next.Add(1)) - 1 {
				if err := cands[i].judge(ctx, r, facts[i]); err != nil {
					errs[i] = &jobError{cands[i], err}
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// storeCandidates stores intake and report of each candidate, with one sync for all, and returns their places in turn. The
// names of the claims are brought to the disk beside that: a file that a power loss puts back into the inbox would be claimed
// again under another name, and without an id of its own be another job.
func (p *Pipeline) storeCandidates(cands []*candidate) ([]ledger.Ref, error) {
	docs := make([][]byte, 0, 2*len(cands))
	claimed := false
	for _, c := range cands {
		if err := p.keepPrivate(c, false); err != nil {
			return nil, err
		}
		docs = append(docs, c.intakeDoc, c.reportDoc)
		claimed = claimed || c.intake.Provenance.Token != ""
	}
	var names errgroup.Group
	if claimed {
		names.Go(func() error { return durable.SyncDir(p.ws.ClaimedDir()) })
	}
	refs, err := p.docs.Append(docs)
	return refs, errors.Join(err, names.Wait())
}

// admit decides one candidate inside the lock.
func (b *batch) admit(r *rules.Rules, c *candidate, hostSets [][]string, intake, report ledger.Ref) (outcome, error) {
	if c.recovered {
		if row, ok, err := b.repeated(c); err != nil || ok {
			return b.p.outcomeOf(row, c, true), err
		}
	}
	facts, err := lookup(b.tx, r, b.now, c, hostSets)
	if err != nil {
		return outcome{}, err
	}
	if c.resubmits(facts) {
		same := facts.SameID.ID
		row, _, err := b.tx.Job(same)
		if err != nil {
			return outcome{}, err
		}
		if repeats, err := b.p.repeatsOriginal(row, c); err != nil {
			return outcome{}, err
		} else if !repeats {
			return b.admitNew(r, c, facts, intake, report)
		}
		b.jobEvent("gate", job.JobDeduplicated, same, row.TraceID, row.Zone, ledger.Deduplicated{Of: same, Resubmitted: true}, nil)
		return b.p.outcomeOf(row, c, true), nil
	}
	return b.admitNew(r, c, facts, intake, report)
}

// admitNew makes a job of a candidate that repeats none.
func (b *batch) admitNew(r *rules.Rules, c *candidate, facts gates.Facts, intake, report ledger.Ref) (outcome, error) {
	if !c.sameFacts(facts) {
		// Somebody else's job came in between the look and the lock.
		if err := c.judge(context.Background(), r, facts); err != nil {
			return outcome{}, err
		}
		refs, err := b.store(c.intakeDoc, c.reportDoc)
		if err != nil {
			return outcome{}, err
		}
		intake, report = refs[0], refs[1]
		b.remember(intake.SHA256, c.intakeDoc)
	}
	return b.enter(r, c, intake, report)
}

// resubmits reports whether the candidate only repeats a job that exists: same id, source and payload.
func (c *candidate) resubmits(f gates.Facts) bool {
	return f.SameID != nil && c.value != nil && f.SameID.Source == c.intake.Provenance.Source &&
		f.SameID.PayloadSHA256 == c.payloadSHA256
}

// repeated finds the job that an earlier run made of this very candidate before it was interrupted.
func (b *batch) repeated(c *candidate) (row indexRow, ok bool, err error) {
	prov := c.intake.Provenance
	for _, id := range []string{c.proposal.ID, generatedID(prov.Token, prov.Line)} {
		if !job.ValidID(id) {
			continue
		}
		row, ok, err = b.tx.Job(id)
		if err != nil || ok && row.Token == prov.Token && row.Line == prov.Line {
			return row, ok, err
		}
	}
	return row, false, nil
}

// enter writes the events of a new job: received, gated, and approved or blocked.
func (b *batch) enter(r *rules.Rules, c *candidate, intake, report ledger.Ref) (outcome, error) {
	j := job.New(c.intake, c.proposal)
	rep := c.report
	trace, err := b.traceOf(c)
	if err != nil {
		return outcome{}, err
	}
	if err := b.p.keepPrivate(c, true); err != nil {
		return outcome{}, err
	}
	b.jobEvent("source:"+j.Source, job.ProposalReceived, j.ID, trace, "inbox", received(r, c, j, intake), &intake)
	if c.intake.Revises != "" {
		if err := b.retire(c); err != nil {
			return outcome{}, err
		}
	}
	b.jobEvent("gate", job.GatesReported, j.ID, trace, "inbox", gated(rep, report), &report)
	if !rep.Approved() {
		b.block(j.ID, trace, "gate", rep)
	} else if err := b.approve(r, j, c.proposal, trace, "gates", intake); err != nil {
		return outcome{}, err
	}
	row, ok, err := b.tx.Job(j.ID)
	if err != nil || !ok {
		return outcome{}, errors.Join(b.failed, err, fmt.Errorf("%s: is not in the index after it was received", j.ID))
	}
	o := b.p.outcomeOf(row, c, false)
	if row.Ready {
		if b.held == nil {
			held, err := b.tx.Held()
			if err != nil {
				return outcome{}, err
			}
			b.held = &held
		}
		o.job.Status = b.held.Shown(&row)
		o.line.Status = string(o.job.Status)
	}
	return o, nil
}

func gated(rep job.Report, doc ledger.Ref) ledger.Gated {
	g := ledger.Gated{Located: located(doc), Rules: rep.RulesSHA256, Verdict: string(rep.Verdict),
		NextAction: string(rep.NextAction), Gates: map[string]string{}}
	for _, gate := range rep.Gates {
		g.Gates[gate.GateID] = string(gate.Status)
	}
	return g
}

func located(ref ledger.Ref) ledger.Located {
	return ledger.Located{Offset: ref.Offset, Bytes: ref.Bytes}
}

// block quarantines a job for the strictest of its reasons.
func (b *batch) block(id, trace, actor string, rep job.Report) {
	b.jobEvent(actor, job.JobBlocked, id, trace, "blocked",
		ledger.Blocked{NextAction: string(rep.NextAction), Code: firstCode(rep)}, nil)
}

// firstCode is the code of the first reason of the strictest gate.
func firstCode(rep job.Report) string {
	best, code := job.Allow, ""
	for _, g := range rep.Gates {
		if len(g.Reasons) > 0 && (code == "" || g.NextAction != best && best.Stricter(g.NextAction) == g.NextAction) {
			best, code = g.NextAction, g.Reasons[0].Code
		}
	}
	return code
}

// traceOf ties a job to the one that it came from: follow-ups and revisions share the trace of their origin.
func (b *batch) traceOf(c *candidate) (string, error) {
	for _, origin := range []string{c.intake.Revises, c.intake.Provenance.ParentID} {
		if origin == "" {
			continue
		}
		row, ok, err := b.tx.Job(origin)
		if err != nil {
			return "", err
		}
		if ok {
			return row.TraceID, nil
		}
	}
	return c.intake.JobID, nil
}
