package cli

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sheratan/sheratan/gates"
	"github.com/sheratan/sheratan/pipeline"
	"github.com/sheratan/sheratan/pipeline/job"
)

// defaultColumns answer what people ask first.
var defaultColumns = []string{"id", "status", "kind", "source", "priority", "created", "what"}

// jobColumn is a column of the table of jobs.
type jobColumn struct {
	name, meaning string
	cell          func(*app, *pipeline.JobLine) string
}

// jobColumns are the columns of the table of jobs, by name.
var jobColumns = []jobColumn{
	{"after", "the jobs that it depends on", func(_ *app, l *pipeline.JobLine) string { return strings.Join(l.DependsOn, ",") }},
	{"created", "when it was received", func(a *app, l *pipeline.JobLine) string { return a.clockTime(l.CreatedAt) }},
	{"ended", "when its last attempt ended", func(a *app, l *pipeline.JobLine) string { return a.clockTime(l.ExecutionCompletedAt) }},
	{"error", "why it failed", func(_ *app, l *pipeline.JobLine) string { return firstLine(l.Error) }},
	{"exit", "the exit code of its last attempt", func(_ *app, l *pipeline.JobLine) string { return exitOf(l) }},
	{"file", "the inbox file that it came in", func(_ *app, l *pipeline.JobLine) string { return fileOf(l.Provenance) }},
	{"host", "the host that has it, or had it last", func(_ *app, l *pipeline.JobLine) string { return hostOf(l) }},
	{"id", "its id", func(_ *app, l *pipeline.JobLine) string { return l.ID }},
	{"key", "its idempotency key", func(_ *app, l *pipeline.JobLine) string { return l.IdempotencyKey }},
	{"kind", "what kind of job it is", func(_ *app, l *pipeline.JobLine) string { return l.Payload.Kind }},
	{"mission", "its mission", func(_ *app, l *pipeline.JobLine) string { return l.MissionID }},
	{"priority", "how urgent it is", func(_ *app, l *pipeline.JobLine) string { return l.Priority.String() }},
	{"reason", "what weighs most of what the gates said against it", func(_ *app, l *pipeline.JobLine) string {
		return clip(strictestReason(l.GateDecisions), 100)
	}},
	{"retries", "how often it was repeated, of how often it may be", func(_ *app, l *pipeline.JobLine) string {
		return fmt.Sprintf("%d/%d", l.RetryCount, l.MaxRetries)
	}},
	{"revises", "the job that it is a new version of", func(_ *app, l *pipeline.JobLine) string { return l.Revises }},
	{"source", "who proposed it", func(_ *app, l *pipeline.JobLine) string { return l.Source }},
	{"started", "when its last attempt began", func(a *app, l *pipeline.JobLine) string { return a.clockTime(l.ExecutionStartedAt) }},
	{"status", "the state it is in", func(_ *app, l *pipeline.JobLine) string { return string(l.Status) }},
	{"task", "the task of the proposer", func(_ *app, l *pipeline.JobLine) string { return l.TaskID }},
	{"timeout", "how long an attempt may take, in seconds", func(_ *app, l *pipeline.JobLine) string { return fmt.Sprint(l.TimeoutSeconds) }},
	{"took", "how long its last attempt ran", func(_ *app, l *pipeline.JobLine) string { return took(l.State) }},
	{"updated", "when something happened to it last", func(a *app, l *pipeline.JobLine) string { return a.clockTime(l.UpdatedAt) }},
	{"waited", "how long its last attempt waited for its turn; late is longer than its priority allows", func(_ *app, l *pipeline.JobLine) string {
		return waited(&l.Job)
	}},
	{"what", "its command line, path or parameters", func(_ *app, l *pipeline.JobLine) string { return clip(what(&l.Job), 60) }},
}

func columnOf(name string) (jobColumn, bool) {
	i := slices.IndexFunc(jobColumns, func(c jobColumn) bool { return c.name == name })
	if i < 0 {
		return jobColumn{}, false
	}
	return jobColumns[i], true
}

func columnNames() []string {
	names := make([]string, 0, len(jobColumns))
	for _, c := range jobColumns {
		names = append(names, c.name)
	}
	return names
}

// columnsText lists the columns for the help.
func columnsText() string {
	lines := make([]string, 0, len(jobColumns))
	for _, c := range jobColumns {
		lines = append(lines, fmt.Sprintf("  %-9s %s", c.name, c.meaning))
	}
	return strings.Join(lines, "\n")
}

// exitOf is the exit code of the last attempt, "" where no program ended by itself.
func exitOf(l *pipeline.JobLine) string {
	var r struct {
		ExitCode *int `json:"exit_code"`
	}
	if json.Unmarshal(l.Result, &r) != nil || r.ExitCode == nil || *r.ExitCode < 0 {
		return ""
	}
	return fmt.Sprint(*r.ExitCode)
}

func hostOf(l *pipeline.JobLine) string {
	if l.Host != "" {
		return l.Host
	}
	return l.ExecutedBy
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
