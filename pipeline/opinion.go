package pipeline

import (
	"bytes"
	"context"

	"github.com/sheratan/sheratan/gates/audit"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/pipeline/rules"
	"github.com/sheratan/sheratan/runtime/ledger"
	"github.com/sheratan/sheratan/schemas"
)

// auditorActor is how the ledger names an auditor.
func auditorActor(name string) string { return "auditor:" + name }

// decide does what an auditor says of a blocked job. Whatever that is, the gates have the last word: the job, with the auditor's
// suggestions if it has any, is gated in full, and approved if they are content, or if what they object to can be
// waived and the auditor is one that may. settled is whether a job of which the rules have an opinion needs no other one.
func (a *auditors) decide(b *batch, row indexRow, report audit.Report, name string, attempt int) (line *AuditLine, settled bool, err error) {
	waives := name != rules.AuditorRules
	var after *candidate
	var gatesAfter job.Report
	var gatesDoc []byte
	allowed := false
	if report.Decision == audit.Allow {
		if after, err = a.revised(row, report); err != nil {
			return nil, false, err
		}
	}
	if after != nil {
		gatesAfter, gatesDoc, err = b.p.regateAs(context.Background(), b.tx, a.rules, row, after)
		if err != nil {
			return nil, false, err
		}
		allowed = gatesAfter.Approved() || waives && audit.Lifts(gatesAfter)
	}
	if !waives && !allowed && len(a.models) > 0 {
		return nil, false, nil // for the others to say
	}
	next, decision := job.RequireOperatorAck, audit.ManualReview // what an auditor allows, and cannot, is for a person
	switch {
	case allowed:
		next, decision = job.Allow, audit.Allow
	case report.Decision == audit.Pause:
		next, decision = job.Quarantine, audit.Pause
	case !waives && report.Decision == audit.Allow:
		report, err = audit.Suggested(job.Report{}, report.Nonce) // following the suggestions does not mend it
		if err != nil {
			return nil, false, err
		}
	}
	doc, err := reportDocument(report)
	if err != nil {
		return nil, false, err
	}
	docs := [][]byte{doc}
	patched := allowed && after.intakeDoc != nil
	if allowed {
		docs = append(docs, gatesDoc)
	}
	if patched {
		docs = append(docs, after.intakeDoc)
	}
	refs, err := b.store(docs...)
	if err != nil {
		return nil, false, err
	}
	meta := ledger.Audited{Located: located(refs[0]), Document: row.Intake.SHA256, Report: row.Report.SHA256, Attempt: attempt,
		Decision: string(decision), Severity: report.Severity, NextAction: string(next)}
	if patched {
		meta.Patched = refs[2].SHA256
	}
	actor := auditorActor(name)
	b.jobEvent(actor, job.AuditReported, row.ID, row.TraceID, row.Zone, meta, &refs[0])
	if patched {
		b.remember(refs[2].SHA256, after.intakeDoc)
		j := job.New(after.intake, after.proposal)
		b.jobEvent(actor, job.JobPatched, row.ID, row.TraceID, row.Zone,
			ledger.Patched{Received: received(a.rules, after, j, refs[2]), Before: row.Intake.SHA256}, &refs[2])
	}
	if allowed {
		b.jobEvent(actor, job.GatesReported, row.ID, row.TraceID, row.Zone, gated(gatesAfter, refs[1]), &refs[1])
		if row, _, err = b.tx.Job(row.ID); err != nil {
			return nil, false, err
		}
		basis := "auditor"
		if !waives {
			basis = "gates" // nothing was waived
		}
		if err := b.approveStored(a.rules, row, basis); err != nil {
			return nil, false, err
		}
	}
	if row, _, err = b.tx.Job(row.ID); err != nil {
		return nil, false, err
	}
	l := a.line(row)
	l.Decision, l.NextAction, l.Auditor, l.Message, l.Attempt, l.Patched = decision, string(next), name, report.Message, attempt, patched
	return &l, true, b.failed
}

// revised is a job as an auditor wants it: as it is, or with the suggestions followed. It is nil where they cannot be: they do not
// apply, or somebody has signed what they would change.
func (a *auditors) revised(row indexRow, report audit.Report) (*candidate, error) {
	c, err := a.p.stored(row)
	if err != nil {
		return nil, err
	}
	value, err := report.Patched(c.value)
	if err != nil {
		return nil, nil
	}
	text, err := schemas.Marshal(value)
	if err != nil || bytes.Equal(text, c.intake.Proposal) {
		return c, err
	}
	if c.intake.Provenance.Signer != "" {
		return nil, nil
	}
	after := newCandidate(text, c.intake.Provenance, c.intake.ReceivedAt, a.rules.ParseLimits())
	if after.parseErr != nil {
		return nil, nil
	}
	after.intake.JobID, after.intake.Revises, after.intake.Key = c.intake.JobID, c.intake.Revises, c.intake.Key
	after.intakeDoc, err = schemas.Marshal(after.intake)
	return after, err
}

// reportDocument is a report for the documents. What it repeats of a credential is taken out: it is kept for ever.
func reportDocument(report audit.Report) ([]byte, error) {
	doc, err := schemas.Marshal(report)
	if err != nil {
		return nil, err
	}
	clean, _, err := redactJSON(doc)
	return clean, err
}
