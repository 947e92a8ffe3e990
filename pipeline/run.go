package pipeline

import (
	"context"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/index"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// Run executes what was dispatched to this host and is not in the hands of another process: all of it, or only the jobs
// with these ids. emit is called with the result of each attempt.
func (p *Pipeline) Run(ctx context.Context, ids []string, emit func(job.Result) error) error {
	if err := p.Recover(ctx); err != nil {
		return err
	}
	r, err := p.Rules(ctx)
	if err != nil {
		return err
	}
	wanted := map[string]bool{}
	for _, id := range ids {
		row, err := p.row(ctx, id)
		if err != nil {
			return err
		}
		if row.Status != job.StatusPending || row.Host == "" {
			p.note("%s: is %s, and only dispatched jobs are run", id, row.Status)
		}
		wanted[id] = true
	}
	var tally TickLine
	e := p.newEngine(r, dispatched(wanted), &tally, emit)
	err = e.run(ctx, func(bool) (bool, time.Time, error) { return false, time.Time{}, nil })
	p.did.Completed += tally.Completed
	p.did.Failed += tally.Failed
	return err
}

// dispatched is the source of run: what was given to this host and is not taken by any process. Without wanted, all of it.
func dispatched(wanted map[string]bool) source {
	find := func(r *index.Reader, n int) ([]indexRow, error) {
		leased, err := r.Leased(LocalHost)
		var rows []indexRow
		for _, row := range leased {
			free := row.Runner == (ledger.Runner{}) && row.Status == job.StatusPending
			if free && (len(wanted) == 0 || wanted[row.ID]) && len(rows) < n {
				rows = append(rows, row)
			}
		}
		return rows, err
	}
	return source{
		head: func(r *index.Reader) (row indexRow, ok bool, err error) {
			rows, err := find(r, 1)
			if len(rows) == 0 {
				return row, false, err
			}
			return rows[0], true, err
		},
		lease: func(b *batch, n int) ([]*attempt, []string, error) {
			rows, err := find(b.tx.Reader, n)
			if err != nil {
				return nil, nil, err
			}
			return b.take(rows)
		},
	}
}
