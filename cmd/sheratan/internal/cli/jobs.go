package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sheratan/sheratan/pipeline"
)

type jobsOptions struct {
	Status  []string
	Source  string
	Kind    string
	Mission string
	Trace   string
	Since   string
	Until   string
	Grep    string
	Limit   int
	Reverse bool
	Columns []string
}

func (o *jobsOptions) addFlags(c *cobra.Command) {
	f := c.Flags()
	f.StringSliceVar(&o.Status, "status", nil, "only jobs in one of these `STATES`, separated by commas")
	f.StringVar(&o.Source, "source", "", "only jobs of `SOURCE`")
	f.StringVar(&o.Kind, "kind", "", "only jobs of `KIND`")
	f.StringVar(&o.Mission, "mission", "", "only jobs of mission `ID`")
	f.StringVar(&o.Trace, "trace", "", "only jobs with the trace `ID`")
	f.StringVar(&o.Since, "since", "", "only jobs to which something happened since `TIME`: 2h, 3d, 2026-01-31 or RFC 3339")
	f.StringVar(&o.Until, "until", "", "only jobs to which nothing happened from `TIME` on")
	f.StringVar(&o.Grep, "grep", "", "only jobs with `TEXT` in their error or in a reason of a gate")
	f.IntVar(&o.Limit, "limit", 0, "only the newest `N` jobs; 0 is all")
	f.BoolVar(&o.Reverse, "reverse", false, "the newest first")
	f.StringSliceVar(&o.Columns, "columns", nil, "print these `COLUMNS`: "+strings.Join(columnNames(), ", "))
	_ = c.RegisterFlagCompletionFunc("status", completeWords(statusWords()...))
	_ = c.RegisterFlagCompletionFunc("columns", completeWords(columnNames()...))
}

func newJobs(a *app) *cobra.Command {
	var o jobsOptions
	c := &cobra.Command{
		Use:   "jobs [ID... | -]",
		Short: "list jobs",
		Long: `Lists jobs, the newest last. With --json it prints the whole job documents, and of jobs that are named the
results of all their attempts.

Columns:
` + columnsText(),
		Example: `sheratan jobs --status quarantined,failed
sheratan jobs --since 2h --columns id,status,kind,error
sheratan jobs --status failed --grep timed --limit 20
sheratan jobs --mission nightly --until 2026-01-31 --reverse
sheratan jobs --json --source crawler | jq .payload`,
		Annotations: workspaceExits(),
		Args:        idArgs(0),
	}
	o.addFlags(c)
	c.ValidArgsFunction = a.completeJobs()
	c.RunE = a.run(func(ctx context.Context, args []string) error { return runJobs(ctx, a, &o, args) })
	return c
}

func runJobs(ctx context.Context, a *app, o *jobsOptions, args []string) error {
	if err := checkStatus("--status", o.Status...); err != nil {
		return err
	}
	if o.Limit < 0 {
		return usagef("--limit %d: want 0 or more", o.Limit)
	}
	since, err := parseMoment(o.Since, a.env.Now())
	if err != nil {
		return usagef("--since %w", err)
	}
	until, err := parseMoment(o.Until, a.env.Now())
	if err != nil {
		return usagef("--until %w", err)
	}
	columns := o.Columns
	if len(columns) == 0 {
		columns = defaultColumns
	}
	for _, c := range columns {
		if _, ok := columnOf(c); !ok {
			return usagef("--columns %q: is none of %s", c, strings.Join(columnNames(), ", "))
		}
	}
	t := &table{style: a.out.style, fit: a.env.columns()}
	for _, c := range columns {
		t.header = append(t.header, strings.ToUpper(c))
	}
	print := func(l pipeline.JobLine) error {
		if a.global.JSON {
			return a.out.line(l)
		}
		cells := make([]string, 0, len(columns))
		for _, c := range columns {
			column, _ := columnOf(c)
			cells = append(cells, column.cell(a, &l))
		}
		if t.add(cells...); t.full() {
			return t.flush(a.out)
		}
		return nil
	}
	err = a.with(ctx, func(p *pipeline.Pipeline) error {
		if len(args) == 0 {
			return p.Jobs(ctx, pipeline.JobFilter{Status: o.Status, Source: o.Source, Kind: o.Kind, Mission: o.Mission,
				Trace: o.Trace, Since: since, Until: until, Text: o.Grep, Limit: o.Limit, Reverse: o.Reverse}, print)
		}
		return a.eachIDs(ctx, args, func(ids []string) error {
			for _, id := range ids {
				l, err := p.Job(ctx, id)
				if err == nil && a.global.JSON {
					l.Attempts, err = p.Attempts(ctx, id)
				}
				if err == nil {
					err = print(l)
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
	})
	return joined(err, t.flush(a.out))
}

// parseMoment takes an age (90s, 2h, 3d), a date, or an RFC 3339 time; "" is the zero time.
func parseMoment(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		var n int
		if _, err := fmt.Sscanf(days+" ", "%d ", &n); err == nil && n >= 0 && fmt.Sprint(n) == days {
			return now.AddDate(0, 0, -n), nil
		}
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, s, now.Location()); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q: want an age such as 2h or 3d, a date, or an RFC 3339 time", s)
}
