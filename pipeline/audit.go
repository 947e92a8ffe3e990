package pipeline

import (
	"context"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/index"
)

// AuditLine is what audit says of one job.
type AuditLine struct {
	JobID      string `json:"job_id"`
	Status     string `json:"status"`
	Decision   string `json:"decision"` // ALLOW, MANUAL_REVIEW or PAUSE
	NextAction string `json:"next_action"`
	Zone       string `json:"zone"`
}

// Audit gets a second opinion on blocked jobs that need one, or on those with these ids. No auditor is configured in
// this version, and without one REQUIRE_LLM2 is REQUIRE_OPERATOR_ACK: each such job is left to an operator, which changes
// nothing in the ledger.
func (p *Pipeline) Audit(ctx context.Context, ids []string, emit func(AuditLine) error) error {
	var rows []indexRow
	if len(ids) == 0 {
		err := p.view(ctx, func(r *index.Reader) error {
			list, err := r.List(index.JobFilter{Status: []job.Status{job.StatusQuarantined}})
			for _, row := range list {
				if row.NextAction == job.RequireLLM2 {
					rows = append(rows, row)
				}
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	for _, id := range ids {
		row, err := p.row(ctx, id)
		if err != nil {
			return err
		}
		if row.Status != job.StatusQuarantined || row.NextAction != job.RequireLLM2 {
			p.note("%s: is %s, and needs no second opinion", id, row.Status)
			continue
		}
		rows = append(rows, row)
	}
	for _, row := range rows {
		err := emit(AuditLine{JobID: row.ID, Status: string(row.Status), Decision: "MANUAL_REVIEW",
			NextAction: string(job.RequireOperatorAck), Zone: row.Zone})
		if err != nil {
			return err
		}
	}
	return nil
}
