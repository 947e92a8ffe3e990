package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/sheratan/sheratan/pipeline"
	"github.com/sheratan/sheratan/pipeline/job"
)

func newAudit(a *app) *cobra.Command {
	var o pipeline.AuditOptions
	c := &cobra.Command{
		Use:   "audit [ID... | -]",
		Short: "get a second opinion on blocked jobs that need one",
		Long: `Asks the auditors that the config names (audit.auditors) about the blocked jobs for which the gates want a second
opinion, and does what they say. ALLOW lets a job go on if everything that keeps it can be waived, MANUAL_REVIEW
leaves it to an operator, and PAUSE, or no answer that can be used, leaves it where it is. What an auditor suggests is
gated again in full. The auditor "rules" needs no model: it follows the suggestions of the gates, and waives nothing.

Without IDs it is about the jobs for which it is time: an attempt that failed is repeated after audit.waits_seconds, by
tick as well. When all have failed the job waits for an operator, or for --replay.`,
		Example: `sheratan audit
sheratan audit --json job-7
sheratan audit --replay job-7`,
		Annotations: workspaceExits(exitInterrupted),
		Args:        idArgs(0),
	}
	c.Flags().BoolVar(&o.Replay, "replay", false, "begin anew where all attempts have failed")
	c.ValidArgsFunction = a.completeJobs(string(job.StatusQuarantined))
	c.RunE = a.run(func(ctx context.Context, args []string) error {
		return a.with(ctx, func(p *pipeline.Pipeline) error {
			return a.eachIDs(ctx, args, func(ids []string) error {
				o.IDs = ids
				return p.Audit(ctx, o, a.printAudit)
			})
		})
	})
	return c
}

func (a *app) printAudit(l pipeline.AuditLine) error {
	if a.global.JSON {
		return a.out.line(l)
	}
	s := a.out.style
	err := a.out.printf("%s  %s  %s  %s\n", escape(l.JobID), s.word(l.Zone), s.word(string(l.Decision)), s.word(l.NextAction))
	switch {
	case err != nil:
	case l.Error != "" && l.NextAt != "":
		err = a.out.printf("  attempt %d failed: %s; again at %s\n", l.Attempt, escape(l.Error), l.NextAt)
	case l.Error != "":
		err = a.out.printf("  attempt %d failed, the last one: %s\n", l.Attempt, escape(l.Error))
		a.people.hint("sheratan audit --replay %s", shellWord(l.JobID))
	case l.Message != "":
		err = a.out.printf("  %s: %s\n", escape(l.Auditor), escape(l.Message))
	}
	return err
}
