package pipeline

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/index"
)

// JobFilter selects jobs to list. Zero values select all.
type JobFilter struct {
	Status                       []string
	Source, Kind, Mission, Trace string
	Since                        time.Time // something happened to it at or after this time
	Until                        time.Time // and nothing at or after this one
	Text                         string    // in its error or in a reason that a gate gave, whatever the case
	Limit                        int       // the newest of those that are selected
	Reverse                      bool      // the newest first
}

// jobsPage is how many jobs are read at a time, so that a list of any length needs little memory.
const jobsPage = 500

// Jobs lists jobs, the newest last unless the filter says otherwise.
func (p *Pipeline) Jobs(ctx context.Context, f JobFilter, emit func(JobLine) error) error {
	filter := index.JobFilter{Source: f.Source, Kind: f.Kind, Mission: f.Mission, Trace: f.Trace, Since: f.Since, Until: f.Until,
		Newest: f.Reverse || f.Limit > 0}
	for _, s := range f.Status {
		filter.Status = append(filter.Status, job.Status(s))
	}
	var last []JobLine // of a list that is cut at its beginning
	found := 0
	for {
		filter.Limit = jobsPage
		if f.Text == "" && f.Limit > 0 {
			filter.Limit = min(jobsPage, f.Limit-found)
		}
		var rows []indexRow
		var held index.Held
		err := p.view(ctx, func(r *index.Reader) (err error) {
			if held, err = r.Held(); err != nil {
				return err
			}
			filter.Shown = &held
			rows, err = r.List(filter)
			return err
		})
		if err != nil {
			return err
		}
		for _, row := range rows {
			filter.After = &row.Seq
			j, err := p.assemble(row)
			p.memo.drop(row.ID) // nobody asks for it again, and thousands of them are much to look through for the garbage collector
			if err != nil {
				return err
			}
			j.Status = held.Shown(&row)
			if !mentions(j, f.Text) {
				continue
			}
			found++
			l := JobLine{JobID: row.ID, Job: j}
			if filter.Newest && !f.Reverse {
				last = append(last, l)
			} else if err := emit(l); err != nil {
				return err
			}
			if found == f.Limit {
				break
			}
		}
		if len(rows) < filter.Limit || f.Limit > 0 && found >= f.Limit {
			break
		}
	}
	slices.Reverse(last)
	for _, l := range last {
		if err := emit(l); err != nil {
			return err
		}
	}
	return nil
}

// mentions reports whether the error of a job or a reason that a gate gave has the text.
func mentions(j job.Job, text string) bool {
	text = strings.ToLower(text)
	has := func(s string) bool { return strings.Contains(strings.ToLower(s), text) }
	if text == "" || has(j.Error) {
		return true
	}
	for _, g := range j.GateDecisions {
		for _, r := range g.Reasons {
			if has(r.Code) || has(r.Message) {
				return true
			}
		}
	}
	return false
}
