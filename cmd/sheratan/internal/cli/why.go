package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sheratan/sheratan/pipeline"
	"github.com/sheratan/sheratan/pipeline/job"
)

func newWhy(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "why ID",
		Short: "tell the whole story of a job",
		Long: `Answers in one screen who proposed a job, what each gate said, who allowed it on what ground and for which
bytes, what it waits for and until when, which host got it and why, every attempt, and where its result lies.
The number in front of a line is the event in the ledger that proves it. Of a blocked job it prints the
commands that could unblock it.`,
		Example: `sheratan why job-7
sheratan why job-7 --json | jq -r .unblock[]`,
		Annotations: workspaceExits(),
		Args:        cobra.ExactArgs(1),
	}
	c.ValidArgsFunction = a.completeJobs()
	c.RunE = a.run(func(ctx context.Context, args []string) error {
		if own, ok := a.own(); ok {
			return own.why(args[0])
		}
		return a.with(ctx, func(p *pipeline.Pipeline) error {
			w, err := p.Why(ctx, args[0])
			if err != nil {
				return err
			}
			return a.show(w, a.whyText(w))
		})
	})
	return c
}

// whyText is the story for people.
func (a *app) whyText(w pipeline.Why) string {
	s := a.out.style
	var b strings.Builder
	title := s.bold(escape(w.JobID)) + "  " + s.word(w.Status) + "  " + escape(clip(w.Job.Payload.Kind+" "+what(&w.Job), 90))
	fmt.Fprintln(&b, strings.TrimRight(title, " "))
	section := func(name string, lines ...string) {
		for i, l := range lines {
			if i > 0 {
				name = ""
			}
			fmt.Fprintf(&b, "%s%s\n", s.dim(fmt.Sprintf("%-10s ", name)), l)
		}
	}
	section("proposed", a.provenanceText(&w.Job))
	section("bytes", "sha256 "+escape(w.Report.DocumentSHA256))
	section("gates", gatesText(s, w.Report.Gates)...)
	section("opinions", opinionTexts(s, w.Opinions)...)
	for _, waits := range w.WaitsFor {
		section("waits for", escape(waits))
	}
	if text := waited(&w.Job); text != "" {
		section("waited", fmt.Sprintf("%s for its turn; %s: %s", text, w.Job.Priority, targetText(w.Job.Priority)))
	}
	if w.Job.Revises != "" {
		section("revises", escape(w.Job.Revises))
	}
	if w.Result != nil {
		section("result", a.outputText(w.Result, w.Gone)...)
		for _, r := range w.Attempts {
			if len(w.Attempts) > 1 {
				section("", fmt.Sprintf("attempt %d: %s; sheratan logs %s --attempt %d", r.Attempt, escape(attemptText(r.Result)),
					escape(shellWord(w.JobID)), r.Attempt))
			}
		}
	} else if w.Job.Error != "" {
		section("error", escape(firstLine(w.Job.Error)))
	}
	for _, job := range w.LedTo {
		section("led to", escape(job.JobID)+"  "+s.word(job.Status))
	}
	if w.Path != "" {
		section("lies in", escape(w.Path))
	}
	b.WriteByte('\n')
	t := &table{style: s}
	for _, st := range w.Steps {
		t.add(fmt.Sprintf("#%d", st.Seq), a.clockTime(st.Time), string(st.Event), st.Actor, st.Text)
	}
	_ = t.flush(&b) // a strings.Builder takes everything
	if len(w.Unblock) > 0 {
		b.WriteString("\nto go on:\n")
		for _, c := range w.Unblock {
			fmt.Fprintf(&b, "  %s\n", escape(c))
		}
	}
	return b.String()
}

// opinionTexts tells what auditors said.
func opinionTexts(s style, list []pipeline.Opinion) (lines []string) {
	for _, o := range list {
		if o.Report == nil {
			lines = append(lines, "none: "+escape(o.Error))
			continue
		}
		text := fmt.Sprintf("%s: %s, severity %s", escape(o.Auditor), s.word(string(o.Decision)), escape(o.Report.Severity))
		if o.Patched {
			text += ", with its changes"
		}
		lines = append(lines, text+": "+escape(firstLine(o.Report.Message)))
		for _, v := range o.Report.Violations {
			lines = append(lines, "  "+escape(v.Code)+" "+escape(v.Pointer)+": "+escape(firstLine(v.Message)))
		}
	}
	return lines
}

// targetText is what the class of a job promises.
func targetText(p job.Priority) string {
	switch p {
	case job.PriorityCritical:
		return "at once"
	case job.PriorityLow:
		return "when nothing else is ready, at the latest within " + shortDuration(p.Target())
	default:
		return "within " + shortDuration(p.Target())
	}
}

// provenanceText says where a proposal came from.
func (a *app) provenanceText(j *job.Job) string {
	p := j.Provenance
	parts := []string{a.clockTime(j.CreatedAt) + " by source " + escape(p.Source)}
	if p.OwnerUID >= 0 {
		parts = append(parts, fmt.Sprintf("uid %d", p.OwnerUID))
	}
	if p.File != "" {
		file := "file " + escape(p.File)
		if p.Line > 0 {
			file += fmt.Sprintf(":%d", p.Line)
		}
		parts = append(parts, file)
	}
	if p.Signer != "" {
		parts = append(parts, "signed by "+escape(p.Signer))
	}
	if j.ClaimedSource != "" && j.ClaimedSource != p.Source {
		parts = append(parts, "calling itself "+escape(j.ClaimedSource))
	}
	if p.ParentID != "" {
		parts = append(parts, fmt.Sprintf("follow-up of job %s, depth %d", escape(p.ParentID), p.Depth))
	}
	if p.MissionID != "" {
		parts = append(parts, "in mission "+escape(p.MissionID))
	}
	return strings.Join(parts, ", ")
}

// gatesText is one line with what each gate said, then one for each reason and each way out.
func gatesText(s style, reports []job.GateReport) []string {
	var words, lines []string
	for _, g := range reports {
		words = append(words, escape(g.GateID)+" "+s.word(string(g.Status)))
		for _, r := range g.Reasons {
			line := "  " + escape(g.GateID) + " " + escape(r.Code)
			if r.Pointer != "" {
				line += " " + escape(r.Pointer)
			}
			lines = append(lines, line+": "+escape(r.Message)+" ("+escape(string(r.Level))+")")
		}
		for _, p := range g.Suggestions {
			line := fmt.Sprintf("  suggested: %s %s", escape(p.Op), escape(p.Path))
			if p.Value != nil {
				line += " " + escape(clip(string(p.Value), 80))
			}
			lines = append(lines, line)
		}
	}
	if len(words) == 0 {
		return []string{"not yet"}
	}
	return append([]string{strings.Join(words, ", ")}, lines...)
}

// outputText says how the last attempt went and where its output lies.
func (a *app) outputText(r *job.Result, gone []string) []string {
	where := func(path string) string {
		if slices.Contains(gone, path) {
			return ", removed"
		}
		return " in " + escape(path)
	}
	lines := []string{escape(resultText(*r)) + " on " + escape(r.Host) + ", sandbox " + escape(r.Sandbox)}
	used := fmt.Sprintf("%d ms of CPU", r.CPUMS)
	if r.MaxRSSBytes > 0 {
		used += fmt.Sprintf(", %d KiB at most", r.MaxRSSBytes/1024)
	}
	if r.CPUMS > 0 || r.MaxRSSBytes > 0 {
		lines = append(lines, used)
	}
	for _, o := range []struct {
		name string
		out  job.Output
	}{{"stdout", r.Stdout}, {"stderr", r.Stderr}} {
		if o.out.Bytes > 0 {
			lines = append(lines, fmt.Sprintf("%s %d bytes%s", o.name, o.out.Bytes, where(o.out.Path)))
		}
	}
	for _, f := range r.Artifacts {
		lines = append(lines, fmt.Sprintf("artifact %s, %d bytes%s", escape(f.Name), f.Bytes, where(f.Path)))
	}
	return lines
}

// attemptText says in a few words how one of several attempts ended.
func attemptText(r job.Result) string {
	r.Attempt = 0 // it stands before
	text := resultText(r)
	if r.Host != "" {
		text += " on " + r.Host
	}
	return text
}
