package pipeline

import (
	"context"
	"encoding/base64"
	"fmt"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/pipeline/rules"
	"github.com/sheratan/sheratan/schemas"
)

// regate runs the gates over a stored intake under r, and returns the report with its document.
func (p *Pipeline) regate(ctx context.Context, k known, r *rules.Rules, row indexRow) (job.Report, []byte, error) {
	c, err := p.gateable(k, row)
	if err != nil {
		return job.Report{}, nil, err
	}
	return p.regateAs(ctx, k, r, row, c)
}

// regateAs runs the gates over what a job in the ledger would be as c.
func (p *Pipeline) regateAs(ctx context.Context, k known, r *rules.Rules, row indexRow, c *candidate) (job.Report, []byte, error) {
	sets, err := p.hostSets(k, r)
	if err != nil {
		return job.Report{}, nil, err
	}
	facts, err := lookup(k, r, p.now(), c, sets)
	if err != nil {
		return job.Report{}, nil, err
	}
	if facts.SameID != nil && facts.SameID.ID == row.ID {
		facts.SameID = nil // itself
		if facts.Cycle, _, err = k.Cycle(row.ID, "", c.proposal.DependsOn, cycleLimit); err != nil {
			return job.Report{}, nil, err
		}
	}
	if facts.SameKey != nil && facts.SameKey.ID == row.ID {
		facts.SameKey = nil
	}
	c.facts = facts
	rep := c.evaluate(ctx, r)
	rep.JobID, rep.DocumentSHA256 = row.ID, row.Intake.SHA256
	if c.intakeDoc != nil {
		rep.DocumentSHA256 = schemas.Digest(c.intakeDoc)
	}
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
