package pipeline

import (
	"context"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/pipeline/rules"
	"github.com/sheratan/sheratan/runtime/index"
)

// Change is one verdict that other rules would change.
type Change struct {
	JobID        string   `json:"job_id"`
	Status       string   `json:"status"`
	Before       string   `json:"before"`
	After        string   `json:"after"`
	BeforeAction string   `json:"before_action"`
	AfterAction  string   `json:"after_action"`
	Codes        []string `json:"codes"` // reasons under the other rules
}

// PolicyReplay gates the recorded proposals again, under another config file or ("") under the rules as they are now, and
// emits those whose verdict would be another than the last one in the ledger. Nothing is changed.
func (p *Pipeline) PolicyReplay(ctx context.Context, configFile string, since time.Time, emit func(Change) error) error {
	r, err := p.Rules(ctx)
	if configFile != "" {
		r, err = rules.Load(ctx, p.ws, rules.Options{Config: configFile})
	}
	if err != nil {
		return err
	}
	after := int64(-1)
	for {
		var rows []indexRow
		err := p.view(ctx, func(x *index.Reader) (err error) {
			rows, err = x.List(index.JobFilter{Since: since, After: &after, Limit: batchJobs})
			return err
		})
		if err != nil || len(rows) == 0 {
			return err
		}
		for _, row := range rows {
			after = row.Seq
			if row.Report.SHA256 == "" {
				continue
			}
			if err := p.replayOne(ctx, r, row, emit); err != nil {
				return err
			}
		}
	}
}

func (p *Pipeline) replayOne(ctx context.Context, r *rules.Rules, row indexRow, emit func(Change) error) error {
	var rep job.Report
	err := p.view(ctx, func(x *index.Reader) (err error) {
		rep, _, err = p.regate(ctx, x, r, row)
		return err
	})
	if err != nil || rep.Verdict == row.Verdict && rep.NextAction == row.NextAction {
		return err
	}
	c := Change{JobID: row.ID, Status: string(row.Status), Before: string(row.Verdict), After: string(rep.Verdict),
		BeforeAction: string(row.NextAction), AfterAction: string(rep.NextAction), Codes: []string{}}
	for _, g := range rep.Gates {
		for _, reason := range g.Reasons {
			c.Codes = append(c.Codes, reason.Code)
		}
	}
	return emit(c)
}
