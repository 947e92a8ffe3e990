package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/index"
	"github.com/sheratan/sheratan/runtime/ledger"
	"github.com/sheratan/sheratan/schemas"
)

type indexRow = index.Row

// loadIntake reads the intake of a job from the documents, by the digest that the ledger names.
func (p *Pipeline) loadIntake(row indexRow) (job.Intake, job.Proposal, error) {
	if r := p.memo.get(row.ID); r.intakeSHA256 == row.Intake.SHA256 && r.intakeSHA256 != "" {
		return r.intake, r.proposal, nil
	}
	in, prop, err := p.readIntake(row)
	if err == nil {
		p.memo.keepIntake(row.ID, row.Intake.SHA256, in, prop)
	}
	return in, prop, err
}

func (p *Pipeline) readIntake(row indexRow) (job.Intake, job.Proposal, error) {
	var in job.Intake
	doc, err := p.docs.Read(row.Intake)
	if err != nil {
		return in, job.Proposal{}, fmt.Errorf("%s: intake: %w", row.ID, err)
	}
	if err := schemas.UnmarshalStored(doc, &in); err != nil {
		return in, job.Proposal{}, fmt.Errorf("%s: intake: %w", row.ID, err)
	}
	if in.Proposal == nil {
		return in, job.Proposal{}, nil
	}
	v, err := schemas.Parse(in.Proposal, schemas.Limits{})
	if err != nil {
		return in, job.Proposal{}, fmt.Errorf("%s: intake: %w", row.ID, err)
	}
	obj, ok := v.(map[string]any)
	if !ok {
		return in, job.Proposal{}, nil
	}
	return in, looseProposal(obj), nil
}

// newJob is the job of an intake, with the timeout and the retries that the rules had for it.
func newJob(in job.Intake, prop job.Proposal, row indexRow) job.Job {
	j := job.New(in, prop)
	if prop.TimeoutSeconds == nil && row.TimeoutSeconds > 0 {
		j.TimeoutSeconds = row.TimeoutSeconds
	}
	if prop.MaxRetries == nil {
		j.MaxRetries = row.MaxRetries
	}
	return j
}

// assemble makes the job document: what was received, and what the index knows of it since. What is in documents that cannot
// be read is missing from it.
func (p *Pipeline) assemble(row indexRow) (job.Job, error) {
	in, prop, err := p.loadIntake(row)
	if p.missed(err) {
		in, prop = remains(row)
	} else if err != nil {
		return job.Job{}, err
	}
	j := newJob(in, prop, row)
	fillState(&j, row)
	if row.Result.SHA256 != "" {
		doc, err := p.resultDocument(row)
		if err != nil && !p.missed(fmt.Errorf("%s: result: %w", row.ID, err)) {
			return j, fmt.Errorf("%s: result: %w", row.ID, err)
		}
		j.Result = doc
	} else if row.JoinedTo != "" && row.Status.Final() {
		if j.Result, err = p.sharedResult(row); err != nil && !p.missed(err) {
			return j, err
		}
	}
	rep, err := p.loadReport(row)
	if err != nil && !p.missed(err) {
		return j, err
	}
	j.GateDecisions = rep.Gates
	j.AuditDecision, err = p.auditDecision(row)
	return j, err
}

// assembleShown is assemble with the status that is shown: a job that waits only until fewer of its source are in flight is
// throttled, as one over its rate is. The caller is in no transaction.
func (p *Pipeline) assembleShown(ctx context.Context, row indexRow) (job.Job, error) {
	j, err := p.assemble(row)
	if err != nil || row.Status != job.StatusPending || !row.Ready {
		return j, err
	}
	err = p.view(ctx, func(r *index.Reader) error {
		held, err := r.Held()
		j.Status = held.Shown(&row)
		return err
	})
	return j, err
}

// resultDocument returns the document of the latest result.
func (p *Pipeline) resultDocument(row indexRow) ([]byte, error) {
	if r := p.memo.get(row.ID); r.resultSHA256 == row.Result.SHA256 {
		return r.resultDoc, nil
	}
	return p.docs.Read(row.Result)
}

// sharedResult is the result of a job that had the outcome of another one, nil where that one never ran.
func (p *Pipeline) sharedResult(row indexRow) (json.RawMessage, error) {
	res, err := p.finalResult(context.Background(), row)
	if err != nil || res.StartedAt == "" {
		return nil, err
	}
	return json.Marshal(res)
}

// fillState copies what the index knows into the document.
func fillState(j *job.Job, row indexRow) {
	j.State = job.State{
		UpdatedAt:            stampOf(row.UpdatedAt),
		Status:               row.Status,
		RetryCount:           row.RetryCount,
		LastRetryAt:          stampOf(row.LastRetryAt),
		Host:                 row.Host,
		LeaseUntil:           stampOf(row.LeaseUntil),
		Error:                row.Error,
		WaitedMS:             row.WaitedMS,
		ExecutedBy:           row.ExecutedBy,
		ExecutionStartedAt:   stampOf(row.StartedAt),
		ExecutionCompletedAt: stampOf(row.CompletedAt),
	}
}

func stampOf(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return job.FormatTime(t)
}

// loadReport reads the latest gate report of a job; a job without one has an empty report.
func (p *Pipeline) loadReport(row indexRow) (job.Report, error) {
	var rep job.Report
	if row.Report.SHA256 == "" {
		return rep, nil
	}
	if r := p.memo.get(row.ID); r.reportSHA256 == row.Report.SHA256 {
		return r.report, nil
	}
	if err := p.readDocument(row.Report, &rep); err != nil {
		return rep, fmt.Errorf("%s: report: %w", row.ID, err)
	}
	p.memo.keepReport(row.ID, row.Report.SHA256, rep)
	return rep, nil
}

// loadResult reads the latest result of a job; ok is false where there is none.
func (p *Pipeline) loadResult(row indexRow) (res job.Result, ok bool, err error) {
	if row.Result.SHA256 == "" {
		return res, false, nil
	}
	if err := p.readDocument(row.Result, &res); err != nil {
		return res, false, fmt.Errorf("%s: result: %w", row.ID, err)
	}
	return res, true, nil
}

func (p *Pipeline) readDocument(ref ledger.Ref, v any) error {
	doc, err := p.docs.Read(ref)
	if err != nil {
		return err
	}
	return schemas.UnmarshalStored(doc, v)
}
