package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sheratan/sheratan/gates"
	"github.com/sheratan/sheratan/pipeline"
	"github.com/sheratan/sheratan/pipeline/job"
)

type jobsOptions struct {
	Status  []string
	Source  string
	Kind    string
	Mission string
	Trace   string
	Since   string
	Limit   int
	Columns []string
}

func (o *jobsOptions) addFlags(c *cobra.Command) {
	f := c.Flags()
	f.StringSliceVar(&o.Status, "status", nil, "only jobs in one of these `STATES`, separated by commas")
	f.StringVar(&o.Source, "source", "", "only jobs of `SOURCE`")
	f.StringVar(&o.Kind, "kind", "", "only jobs of `KIND`")
	f.StringVar(&o.Mission, "mission", "", "only jobs of mission `ID`")
	f.StringVar(&o.Trace, "trace", "", "only jobs with the trace `ID`")
	f.StringVar(&o.Since, "since", "", "only jobs created since `TIME`: 2h, 3d, 2026-01-31 or RFC 3339")
	f.IntVar(&o.Limit, "limit", 0, "at most `N` jobs; 0 is all")
	f.StringSliceVar(&o.Columns, "columns", nil, "print these `COLUMNS`: "+strings.Join(columnNames(), ", "))
	_ = c.RegisterFlagCompletionFunc("status", completeWords(statusWords()...))
	_ = c.RegisterFlagCompletionFunc("columns", completeWords(columnNames()...))
}

func newJobs(a *app) *cobra.Command {
	var o jobsOptions
	c := &cobra.Command{
		Use:   "jobs [ID... | -]",
		Short: "list jobs",
		Long:  `Lists jobs, the newest last. With --json it prints the whole job documents.`,
		Example: `sheratan jobs --status quarantined,failed
sheratan jobs --since 2h --columns id,status,kind,error
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
	columns := o.Columns
	if len(columns) == 0 {
		columns = defaultColumns
	}
	for _, c := range columns {
		if _, ok := jobColumns[c]; !ok {
			return usagef("--columns %q: is none of %s", c, strings.Join(columnNames(), ", "))
		}
	}
	t := &table{style: a.out.style}
	for _, c := range columns {
		t.header = append(t.header, strings.ToUpper(c))
	}
	print := func(l pipeline.JobLine) error {
		if a.global.JSON {
			return a.out.line(l)
		}
		cells := make([]string, 0, len(columns))
		for _, c := range columns {
			cells = append(cells, jobColumns[c](a, &l))
		}
		if t.add(cells...); t.full() {
			return t.flush(a.out)
		}
		return nil
	}
	err = a.with(ctx, func(p *pipeline.Pipeline) error {
		if len(args) == 0 {
			return p.Jobs(ctx, pipeline.JobFilter{Status: o.Status, Source: o.Source, Kind: o.Kind, Mission: o.Mission,
				Trace: o.Trace, Since: since, Limit: o.Limit}, print)
		}
		return a.eachIDs(ctx, args, func(ids []string) error {
			for _, id := range ids {
				l, err := p.Job(ctx, id)
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

// defaultColumns answer what people ask first.
var defaultColumns = []string{"id", "status", "kind", "source", "priority", "created", "what"}

// jobColumns are the columns of the table of jobs.
var jobColumns = map[string]func(*app, *pipeline.JobLine) string{
	"id":       func(_ *app, l *pipeline.JobLine) string { return l.ID },
	"status":   func(_ *app, l *pipeline.JobLine) string { return string(l.Status) },
	"kind":     func(_ *app, l *pipeline.JobLine) string { return l.Payload.Kind },
	"source":   func(_ *app, l *pipeline.JobLine) string { return l.Source },
	"priority": func(_ *app, l *pipeline.JobLine) string { return l.Priority.String() },
	"created":  func(a *app, l *pipeline.JobLine) string { return a.clockTime(l.CreatedAt) },
	"updated":  func(a *app, l *pipeline.JobLine) string { return a.clockTime(l.UpdatedAt) },
	"started":  func(a *app, l *pipeline.JobLine) string { return a.clockTime(l.ExecutionStartedAt) },
	"ended":    func(a *app, l *pipeline.JobLine) string { return a.clockTime(l.ExecutionCompletedAt) },
	"took":     func(_ *app, l *pipeline.JobLine) string { return took(l.State) },
	"waited":   func(_ *app, l *pipeline.JobLine) string { return waited(&l.Job) },
	"retries":  func(_ *app, l *pipeline.JobLine) string { return fmt.Sprintf("%d/%d", l.RetryCount, l.MaxRetries) },
	"host":     func(_ *app, l *pipeline.JobLine) string { return l.Host },
	"key":      func(_ *app, l *pipeline.JobLine) string { return l.IdempotencyKey },
	"after":    func(_ *app, l *pipeline.JobLine) string { return strings.Join(l.DependsOn, ",") },
	"mission":  func(_ *app, l *pipeline.JobLine) string { return l.MissionID },
	"revises":  func(_ *app, l *pipeline.JobLine) string { return l.Revises },
	"error":    func(_ *app, l *pipeline.JobLine) string { return firstLine(l.Error) },
	"file":     func(_ *app, l *pipeline.JobLine) string { return fileOf(l.Provenance) },
	"reason":   func(_ *app, l *pipeline.JobLine) string { return clip(strictestReason(l.GateDecisions), 100) },
	"what":     func(_ *app, l *pipeline.JobLine) string { return clip(what(&l.Job), 60) },
}

func columnNames() []string {
	names := make([]string, 0, len(jobColumns))
	for n := range jobColumns {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// what says in a few words what a job does: the command line, the path, or the parameters.
func what(j *job.Job) string {
	var params struct {
		Argv []string `json:"argv"`
		Path string   `json:"path"`
	}
	if json.Unmarshal(j.Payload.Params, &params) == nil {
		switch {
		case len(params.Argv) > 0:
			words := make([]string, 0, len(params.Argv))
			for _, w := range params.Argv {
				words = append(words, shellWord(w))
			}
			return strings.Join(words, " ")
		case params.Path != "":
			return params.Path
		}
	}
	if s := string(j.Payload.Params); s != "{}" {
		return s
	}
	return ""
}

// fileOf names the inbox file that a proposal came in, with the line where it held several.
func fileOf(p job.Provenance) string {
	if p.Line > 0 {
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	return p.File
}

// strictestReason tells the reason that weighs most of those that the gates gave, the first of several, and how many more
// there are. What could not be examined follows from another reason and is not counted.
func strictestReason(reports []job.GateReport) string {
	rank := []job.Level{job.Advisory, job.Soft, job.Hard}
	best, text, more := -1, "", -1
	for _, g := range reports {
		for _, r := range g.Reasons {
			if r.Code == gates.CodeNotExamined {
				continue
			}
			more++
			if n := slices.Index(rank, r.Level); n > best {
				best, text = n, g.GateID+" "+r.Code+": "+r.Message
			}
		}
	}
	if more > 0 {
		text += fmt.Sprintf(" (and %d more)", more)
	}
	return text
}

// took is how long the last attempt ran.
func took(s job.State) string {
	from, err := job.ParseTime(s.ExecutionStartedAt)
	if err != nil {
		return ""
	}
	to, err := job.ParseTime(s.ExecutionCompletedAt)
	if err != nil || to.Before(from) {
		return ""
	}
	return shortDuration(to.Sub(from))
}

// waited says how long the last attempt waited for its turn, and with "late" that this was longer than its class promises.
func waited(j *job.Job) string {
	if j.ExecutionStartedAt == "" && j.Host == "" {
		return ""
	}
	d := time.Duration(j.WaitedMS) * time.Millisecond
	if d > j.Priority.Target() && j.Priority != job.PriorityCritical || j.Priority == job.PriorityCritical && d > criticalTarget {
		return shortDuration(d) + " late"
	}
	return shortDuration(d)
}

// criticalTarget is what "at once" may take before it is called late.
const criticalTarget = time.Second

// clip shortens s to n runes.
func clip(s string, n int) string {
	s = firstLine(s)
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
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
