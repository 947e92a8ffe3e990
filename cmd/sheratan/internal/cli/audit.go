package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/sheratan/sheratan/pipeline"
	"github.com/sheratan/sheratan/pipeline/job"
)

func newAudit(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "audit [ID... | -]",
		Short: "decide blocked jobs that need a second opinion",
		Long: `Decides the blocked jobs for which the gates asked for a second opinion. No auditor is configured, so each of
them needs an operator instead: approve or reject it.`,
		Example: `sheratan audit
sheratan audit --json job-7`,
		Annotations: workspaceExits(),
		Args:        idArgs(0),
	}
	c.ValidArgsFunction = a.completeJobs(string(job.StatusQuarantined))
	c.RunE = a.run(func(ctx context.Context, args []string) error {
		return a.with(ctx, func(p *pipeline.Pipeline) error {
			return a.eachIDs(ctx, args, func(ids []string) error {
				return p.Audit(ctx, ids, a.printAudit)
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
	return a.out.printf("%s  %s  %s  %s\n", escape(l.JobID), s.word(l.Zone), s.word(l.Decision), s.word(l.NextAction))
}
