package pipeline

import (
	"context"
	"encoding/base64"
	"fmt"

	"github.com/sheratan/sheratan/gates"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/pipeline/rules"
	"github.com/sheratan/sheratan/runtime/index"
	"github.com/sheratan/sheratan/runtime/ledger"
	"github.com/sheratan/sheratan/runtime/workspace"
	"github.com/sheratan/sheratan/schemas"
)

// GateOptions say what to gate: the inbox, some files of it, or blocked jobs again.
type GateOptions struct {
	IDs     []string // blocked jobs to gate again
	Files   []string // paths of inbox files; empty is all of them
	Blocked bool     // all blocked jobs again
	Settle  bool     // wait for files that are still being written

	pulse func(context.Context) error // called after each batch of the inbox; nil for nothing
}

// GateLine is what gate says of one job.
type GateLine struct {
	JobID      string           `json:"job_id"`
	Status     string           `json:"status"`
	Verdict    string           `json:"verdict"`
	NextAction string           `json:"next_action"`
	Zone       string           `json:"zone"`
	Reports    []job.GateReport `json:"reports"`
}

// Gate takes the inbox through the gates, or blocked jobs once more under the rules as they are now.
func (p *Pipeline) Gate(ctx context.Context, o GateOptions, emit func(GateLine) error) (GateSummary, error) {
	if len(o.IDs) == 0 && !o.Blocked {
		sum, err := p.takeIn(ctx, o, emit)
		p.did.Received += sum.Received
		p.did.Blocked += sum.Blocked
		return sum, err
	}
	r, err := p.Rules(ctx)
	if err != nil {
		return GateSummary{}, err
	}
	ids := o.IDs
	if o.Blocked {
		var rows []indexRow
		err := p.view(ctx, func(x *index.Reader) (err error) {
			rows, err = x.List(index.JobFilter{Status: []job.Status{job.StatusQuarantined}})
			return err
		})
		if err != nil {
			return GateSummary{}, err
		}
		for _, row := range rows {
			ids = append(ids, row.ID)
		}
	}
	var sum GateSummary
	for _, id := range ids {
		line, err := p.gateBlocked(ctx, r, id)
		if err != nil {
			return sum, err
		}
		if line.Status == string(job.StatusQuarantined) {
			sum.Blocked++
		} else {
			sum.Approved++
		}
		if err := emit(line); err != nil {
			return sum, err
		}
	}
	return sum, nil
}

// gateBlocked gates one blocked job again, on the bytes that were received.
func (p *Pipeline) gateBlocked(ctx context.Context, r *rules.Rules, id string) (GateLine, error) {
	var row indexRow
	var rep job.Report
	err := p.transact(ctx, func(b *batch) error {
		if err := b.configured(r); err != nil {
			return err
		}
		var ok bool
		var err error
		if row, ok, err = b.tx.Job(id); err != nil {
			return err
		}
		if !ok {
			return &UnknownJobError{id}
		}
		if row.Status != job.StatusQuarantined && row.Zone != "inbox" || row.ErrorCode == codeOutcomeUnknown {
			rep, err = p.loadReport(row)
			if row.ErrorCode == codeOutcomeUnknown && row.Status == job.StatusQuarantined {
				p.note("%s: the outcome of an attempt is not known, which is for an operator and not for the gates", id)
			} else {
				p.note("%s: is %s, and only blocked jobs are gated again", id, row.Status)
			}
			return err
		}
		var doc []byte
		if rep, doc, err = p.regate(ctx, b.tx, r, row); err != nil {
			return err
		}
		refs, err := b.store(doc)
		if err != nil {
			return err
		}
		b.jobEvent("gate", job.GatesReported, id, row.TraceID, row.Zone, gated(rep, refs[0]), &refs[0])
		if !rep.Approved() {
			b.block(id, row.TraceID, "gate", rep)
		} else if err := b.approveStored(r, row, "gates"); err != nil {
			return err
		}
		row, _, err = b.tx.Job(id)
		return err
	})
	if err != nil {
		return GateLine{}, err
	}
	p.placeAll([]string{id})
	p.projected()
	return gateLine(row, rep), nil
}

// approveStored approves a job that is already in the ledger.
func (b *batch) approveStored(r *rules.Rules, row indexRow, basis string) error {
	in, prop, err := b.p.loadIntake(row)
	if err != nil {
		return err
	}
	return b.approve(r, job.New(in, prop), row.TraceID, basis, row.Intake)
}

// regate runs the gates over a stored intake under r, and returns the report with its document.
func (p *Pipeline) regate(ctx context.Context, k known, r *rules.Rules, row indexRow) (job.Report, []byte, error) {
	c, err := p.stored(row)
	if err != nil {
		return job.Report{}, nil, err
	}
	sets, err := p.hostSets(k, r)
	if err != nil {
		return job.Report{}, nil, err
	}
	facts, err := lookup(k, c, sets)
	if err != nil {
		return job.Report{}, nil, err
	}
	if facts.SameID != nil && facts.SameID.ID == row.ID {
		facts.SameID = nil // itself
		if facts.Cycle, _, err = k.Cycle(row.ID, c.proposal.DependsOn, cycleLimit); err != nil {
			return job.Report{}, nil, err
		}
	}
	if facts.SameKey != nil && facts.SameKey.ID == row.ID {
		facts.SameKey = nil
	}
	c.facts = facts
	rep := c.evaluate(ctx, r)
	rep.JobID, rep.DocumentSHA256 = row.ID, row.Intake.SHA256
	doc, err := schemas.Marshal(rep)
	return rep, doc, err
}

// stored makes a candidate of a job in the ledger.
func (p *Pipeline) stored(row indexRow) (*candidate, error) {
	in, prop, err := p.loadIntake(row)
	if err != nil {
		return nil, err
	}
	c := &candidate{intake: in, proposal: prop, payloadSHA256: row.PayloadSHA256}
	if in.Proposal == nil {
		return c, p.storedRaw(c, row)
	}
	if c.value, err = schemas.Parse(in.Proposal, schemas.Limits{}); err != nil {
		return nil, fmt.Errorf("%s: intake: %w", row.ID, err)
	}
	return c, nil
}

// storedRaw gives a candidate that could not be parsed what the gates go by: its bytes, or where the store does not have
// them, what was found when they were there. That cannot change, and forgetting that it was a FIFO would turn a refusal
// of the barrier into a fault of syntax.
func (p *Pipeline) storedRaw(c *candidate, row indexRow) error {
	raw, err := rawBytes(c.intake)
	if err != nil {
		return fmt.Errorf("%s: intake: %w", row.ID, err)
	}
	if raw != nil {
		again := newCandidate(raw, c.intake.Provenance, c.intake.ReceivedAt, schemas.DefaultLimits)
		c.parseErr, c.raw = again.parseErr, raw
		return nil
	}
	c.parseErr = &schemas.ParseError{Code: schemas.CodeSyntax, Message: "the proposal could not be parsed when it was received"}
	rep, err := p.loadReport(row)
	for _, g := range rep.Gates {
		if fileType, ok := g.Evidence["file_type"].(string); ok && g.GateID == "G0" {
			c.fileType = fileType
		}
		if g.GateID == "G1" && len(g.Reasons) > 0 {
			c.parseErr = &schemas.ParseError{Code: schemas.ParseCode(g.Reasons[0].Code), Message: g.Reasons[0].Message}
		}
	}
	return err
}

// rawBytes returns the bytes of a proposal that could not be parsed, nil where the document does not have them.
func rawBytes(in job.Intake) ([]byte, error) {
	if in.Raw == nil || in.Raw.Base64 == "" {
		return nil, nil
	}
	return base64.StdEncoding.DecodeString(in.Raw.Base64)
}

// gateReceived gates jobs that were received and got no further, because the end of their batch was lost in a crash.
func (p *Pipeline) gateReceived(ctx context.Context, r *rules.Rules) error {
	var ids []string
	err := p.view(ctx, func(x *index.Reader) error {
		rows, err := x.Inbox(batchJobs)
		for _, row := range rows {
			ids = append(ids, row.ID)
		}
		return err
	})
	if err != nil || len(ids) == 0 {
		return err
	}
	for _, id := range ids {
		if _, err := p.gateBlocked(ctx, r, id); err != nil {
			return err
		}
	}
	return p.gateReceived(ctx, r)
}

// outcomeOf tells what became of a candidate.
func (p *Pipeline) outcomeOf(row indexRow, c *candidate, repeat bool) outcome {
	o := outcome{id: row.ID, row: row, repeat: repeat}
	rep := c.report
	if repeat {
		rep, _ = p.loadReport(row) // what is missing there is said by ledger verify
	}
	o.line = gateLine(row, rep)
	if !repeat {
		o.job = job.New(c.storedIntake, c.proposal)
		fillState(&o.job, row)
		o.job.GateDecisions = rep.Gates
	}
	return o
}

func gateLine(row indexRow, rep job.Report) GateLine {
	reports := rep.Gates
	if reports == nil {
		reports = []job.GateReport{}
	}
	return GateLine{JobID: row.ID, Status: string(row.Status), Verdict: string(row.Verdict),
		NextAction: string(row.NextAction), Zone: row.Zone, Reports: reports}
}

// DryRun judges proposals without a workspace being touched. Without one the rules are those that init would write.
func DryRun(ctx context.Context, ws *workspace.Workspace, drafts []Draft, source string, o Options) ([]GateLine, error) {
	r, err := dryRules(ctx, ws)
	if err != nil {
		return nil, err
	}
	now := o.Now
	if now == nil {
		now = timeNow
	}
	var lines []GateLine
	for _, d := range drafts {
		prov := job.Provenance{Zone: job.ZoneInbox, Source: source, File: workspace.EscapeName(d.Name), OwnerUID: -1}
		c := newCandidate(d.Data, prov, job.FormatTime(now()), r.ParseLimits())
		if d.Signature != nil {
			c.signature = &gates.Signature{Armored: d.Signature, Message: d.Data}
		}
		if err := c.judge(ctx, r, gates.Facts{Hosts: [][]string{localCapabilities(r)}}); err != nil {
			return nil, err
		}
		status := job.StatusPending
		if !c.report.Approved() {
			status = job.StatusQuarantined
		}
		lines = append(lines, GateLine{JobID: c.intake.JobID, Status: string(status), Verdict: string(c.report.Verdict),
			NextAction: string(c.report.NextAction), Zone: "inbox", Reports: c.report.Gates})
	}
	return lines, nil
}

// configured records which rules are in force, when they are others than the ledger says.
func (b *batch) configured(r *rules.Rules) error {
	if b.p.configured == r.Digest {
		return nil
	}
	digest := ""
	err := b.tx.Events(index.EventFilter{Event: string(job.ConfigLoaded), Reverse: true, Limit: 1}, func(ev ledger.Event) error {
		digest = ev.ArtifactSHA256
		return nil
	})
	if err != nil {
		return err
	}
	b.after = append(b.after, func() { b.p.configured = r.Digest })
	if digest == r.Digest {
		return nil
	}
	refs, err := b.store(r.Document)
	if err != nil {
		return err
	}
	b.remember(refs[0].SHA256, r.Document)
	b.workspaceEvent("config", job.ConfigLoaded, ledger.Configured{Located: located(refs[0]), Rules: r.Digest, Commit: r.Commit()}, &refs[0])
	return b.localHost(r)
}
