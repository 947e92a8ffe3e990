package pipeline

import (
	"context"

	"github.com/sheratan/sheratan/gates/audit"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/index"
)

// AuditLine is what audit says of one job.
type AuditLine struct {
	JobID      string         `json:"job_id"`
	Status     string         `json:"status"`
	Decision   audit.Decision `json:"decision"` // PAUSE where no opinion could be had
	NextAction string         `json:"next_action"`
	Zone       string         `json:"zone"`
	Auditor    string         `json:"auditor"` // who decided, "" where nobody did
	Message    string         `json:"message"` // the auditor's, to the proposer
	Patched    bool           `json:"patched"` // the proposal is another one now
	Attempt    int            `json:"attempt"`
	Error      string         `json:"error"`   // why there is no opinion
	NextAt     string         `json:"next_at"` // when one is asked for again; "" is not by itself
}

// AuditOptions say for which jobs a second opinion is wanted.
type AuditOptions struct {
	IDs    []string // none is all for which it is time
	Replay bool     // those as well for which all attempts have failed, from the first attempt on
}

// Audit gets a second opinion on blocked jobs for which the gates ask for one, and does what it says. Where the config names no
// auditor, each such job is left to an operator, which changes nothing in the ledger.
func (p *Pipeline) Audit(ctx context.Context, o AuditOptions, emit func(AuditLine) error) error {
	r, err := p.Rules(ctx)
	if err != nil {
		return err
	}
	ids := o.IDs
	if len(ids) == 0 {
		if ids, err = p.openAudits(ctx, o.Replay || len(r.Config.Audit.Auditors) == 0); err != nil {
			return err
		}
	}
	a := p.newAuditors(ctx, r)
	defer a.close()
	for _, id := range ids {
		for a.full() {
			if err := a.wait(emit); err != nil {
				return err
			}
		}
		if err := a.ask(ctx, id, len(o.IDs) > 0, o.Replay, emit); err != nil {
			return err
		}
		if ctx.Err() != nil {
			break
		}
	}
	for a.out > 0 {
		if err := a.wait(emit); err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

// openAudits lists the jobs for which it is time to ask for an opinion; with all those too for which it is not.
func (p *Pipeline) openAudits(ctx context.Context, all bool) (ids []string, err error) {
	err = p.view(ctx, func(r *index.Reader) error {
		ids = nil
		if all {
			rows, err := r.List(index.JobFilter{Status: []job.Status{job.StatusQuarantined}})
			for _, row := range rows {
				if row.NextAction == job.RequireLLM2 {
					ids = append(ids, row.ID)
				}
			}
			return err
		}
		list, err := r.DueAudits(p.now(), -1)
		for _, a := range list {
			ids = append(ids, a.JobID)
		}
		return err
	})
	return ids, err
}
