package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sheratan/sheratan/gates"
	"github.com/sheratan/sheratan/pipeline"
	"github.com/sheratan/sheratan/pipeline/job"
)

// explanation is what policy explain prints with --json of one reason.
type explanation struct {
	JobID    string         `json:"job_id,omitempty"`
	Status   string         `json:"status,omitempty"` // of the job
	Gate     string         `json:"gate"`
	Code     string         `json:"code"`
	Meaning  string         `json:"meaning"`
	Level    string         `json:"level"`
	Waivable bool           `json:"waivable"`
	WayOut   string         `json:"way_out"`
	Message  string         `json:"message,omitempty"`  // of the gate, where a job was asked about
	Pointer  string         `json:"pointer,omitempty"`  // into the proposal
	Evidence map[string]any `json:"evidence,omitempty"` // of the gate
}

func newPolicyExplain(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "explain CODE | ID",
		Short: "say what a reason means, or why a job was judged as it was",
		Long: `Says what a reason code means, who may overrule it and what can be done; or, for the id of a job, the same for
each reason that the gates gave, with the rule that hit. Without an argument it lists all codes.`,
		Example: `sheratan policy explain TRAVERSAL
sheratan policy explain job-7`,
		Annotations: exits(exitNoWorkspace, exitTampered),
		Args:        cobra.MaximumNArgs(1),
	}
	c.ValidArgsFunction = completeWords(reasonCodes()...)
	c.RunE = a.run(func(ctx context.Context, args []string) error {
		if len(args) == 0 {
			return explainAll(a)
		}
		if info, ok := reasonInfo(strings.ToUpper(args[0])); ok {
			e := explainReason(info)
			return a.show(e, a.explanationText(e))
		}
		return a.with(ctx, func(p *pipeline.Pipeline) error { return explainJob(ctx, a, p, args[0]) })
	})
	return c
}

func reasonCodes() []string {
	codes := make([]string, 0, len(gates.Reasons))
	for _, r := range gates.Reasons {
		codes = append(codes, r.Code)
	}
	return codes
}

func reasonInfo(code string) (gates.ReasonInfo, bool) {
	for _, r := range gates.Reasons {
		if r.Code == code {
			return r, true
		}
	}
	return gates.ReasonInfo{}, false
}

func explainReason(r gates.ReasonInfo) explanation {
	return explanation{Gate: r.Gate, Code: r.Code, Meaning: r.Meaning, Level: string(r.Level), Waivable: r.Waivable, WayOut: r.WayOut}
}

// explainAll lists the reason codes.
func explainAll(a *app) error {
	t := &table{style: a.out.style, header: []string{"GATE", "CODE", "LEVEL", "MEANING"}}
	for _, r := range gates.Reasons {
		if a.global.JSON {
			if err := a.out.line(explainReason(r)); err != nil {
				return err
			}
			continue
		}
		t.add(r.Gate, r.Code, string(r.Level), r.Meaning)
	}
	return t.flush(a.out)
}

// explainJob explains each reason that the gates gave for a job.
func explainJob(ctx context.Context, a *app, p *pipeline.Pipeline, id string) error {
	w, err := p.Why(ctx, id)
	if err != nil {
		return err
	}
	n := 0
	for _, g := range w.Report.Gates {
		for _, r := range g.Reasons {
			info, _ := reasonInfo(r.Code)
			e := explainReason(info)
			e.JobID, e.Status, e.Gate, e.Code = id, w.Status, g.GateID, r.Code
			e.Level, e.Waivable = string(r.Level), r.Waivable
			e.Message, e.Pointer, e.Evidence = r.Message, r.Pointer, g.Evidence
			n++
			if err := a.show(e, a.explanationText(e)); err != nil {
				return err
			}
		}
	}
	if n == 0 {
		a.people.note("%s: is %s, and no gate gave a reason against it", id, w.Status)
	}
	for _, c := range w.Unblock {
		a.people.hint("%s", c)
	}
	return nil
}

func (a *app) explanationText(e explanation) string {
	s := a.out.style
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: %s\n", escape(e.Gate), s.bold(escape(e.Code)), escape(e.Meaning))
	if e.Message != "" {
		fmt.Fprintf(&b, "  here      %s %s\n", escape(e.Message), s.dim(escape(e.Pointer)))
	}
	for _, k := range sortedKeys(e.Evidence) {
		fmt.Fprintf(&b, "  evidence  %s: %s\n", escape(k), escape(clip(fmt.Sprint(e.Evidence[k]), 120)))
	}
	fmt.Fprintf(&b, "  level     %s\n", levelText(e))
	if e.WayOut != "" {
		fmt.Fprintf(&b, "  way out   %s\n", escape(e.WayOut))
	}
	return b.String()
}

// levelText says who may overrule a reason.
func levelText(e explanation) string {
	switch job.Level(e.Level) {
	case job.Advisory:
		return "advisory: a warning, the job runs"
	case job.Soft:
		if e.Waivable {
			return "soft: the second opinion or an operator may allow it"
		}
		return "soft: an operator may allow it"
	}
	return "hard: nobody may allow it as it is"
}
