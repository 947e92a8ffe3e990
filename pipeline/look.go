package pipeline

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"slices"

	"github.com/sheratan/sheratan/gates/audit"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/index"
	"github.com/sheratan/sheratan/schemas"
)

// Look is a blocked job with all that a person wants to see before deciding.
type Look struct {
	Review
	Opinions   []Opinion
	Amendments []Amendment
}

// Amendment is a version of a proposal that somebody suggests, none where it cannot be made.
type Amendment struct {
	By       string // "the gates", or "auditor NAME"
	Proposal []byte // all of it, indented
	Problem  string // why there is none
}

// Look returns a blocked job as it is now, under the rules as they are now.
func (p *Pipeline) Look(ctx context.Context, id string) (Look, error) {
	if p.RulesChanged() {
		if err := p.reloadRules(ctx); err != nil {
			return Look{}, err
		}
	}
	reviews, err := p.Pending(ctx, []string{id})
	if err != nil {
		return Look{}, err
	}
	l := Look{Review: reviews[0]}
	if l.Opinions, err = p.Opinions(ctx, id); err != nil {
		return l, err
	}
	row, err := p.row(ctx, id)
	if err != nil {
		return l, err
	}
	c, err := p.stored(row)
	if err != nil || c.value == nil {
		return l, err
	}
	for i := len(l.Opinions) - 1; i >= 0; i-- {
		if o := l.Opinions[i]; o.Report != nil && !o.Patched {
			l.suggest("auditor "+o.Auditor, *o.Report, c.value)
			break
		}
	}
	gates, err := audit.Suggested(l.Report, "")
	if err != nil {
		return l, err
	}
	l.suggest("the gates", gates, c.value)
	return l, nil
}

// suggest adds the version that a report comes to, where it changes anything and is not there yet.
func (l *Look) suggest(by string, report audit.Report, proposal any) {
	if len(report.FixSuggestions) == 0 {
		return
	}
	change := Amendment{By: by}
	value, err := report.Patched(proposal)
	if err == nil {
		change.Proposal, err = indented(value)
	}
	if err != nil {
		change.Problem = err.Error()
	} else if bytes.Equal(change.Proposal, l.Proposal) {
		return
	}
	for _, other := range l.Amendments {
		if change.Problem == "" && bytes.Equal(other.Proposal, change.Proposal) {
			return
		}
	}
	l.Amendments = append(l.Amendments, change)
}

// indented prints a parsed value over several lines, in canonical order.
func indented(v any) ([]byte, error) {
	text, err := schemas.Marshal(v)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = json.Indent(&b, text, "", "  ")
	b.WriteByte('\n')
	return b.Bytes(), err
}

// Waiting lists the blocked jobs that wait for a person, the urgent first and of these the oldest; with all also those that
// nobody may allow as they are.
func (p *Pipeline) Waiting(ctx context.Context, source, mission string, all bool) ([]string, error) {
	var rows []indexRow
	err := p.view(ctx, func(r *index.Reader) (err error) {
		rows, err = r.List(index.JobFilter{Status: []job.Status{job.StatusQuarantined}, Source: source, Mission: mission})
		return err
	})
	if err != nil {
		return nil, err
	}
	if !all {
		rows = slices.DeleteFunc(rows, func(row indexRow) bool { return row.NextAction == job.Quarantine })
	}
	slices.SortStableFunc(rows, func(x, y indexRow) int {
		return cmp.Or(cmp.Compare(x.Priority, y.Priority), cmp.Compare(x.Seq, y.Seq))
	})
	ids := make([]string, 0, len(rows))
	for _, row := range rows {
		ids = append(ids, row.ID)
	}
	return ids, nil
}
