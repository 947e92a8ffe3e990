package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/sheratan/sheratan/pipeline"
	"github.com/sheratan/sheratan/pipeline/job"
)

func newDispatch(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "dispatch [ID... | -]",
		Short: "pick ready jobs and a host for each",
		Long: `Gives ready jobs to hosts, critical ones first and then by when they are due, as many as there are free slots.
Jobs in another state are left alone, with a note.`,
		Example: `sheratan dispatch
sheratan gate --json | sheratan dispatch - --json | sheratan run -`,
		Annotations: workspaceExits(),
		Args:        idArgs(0),
	}
	c.ValidArgsFunction = a.completeJobs(string(job.StatusPending))
	c.RunE = a.run(func(ctx context.Context, args []string) error {
		a.streaming()
		return a.with(ctx, func(p *pipeline.Pipeline) error {
			return a.eachIDs(ctx, args, func(ids []string) error {
				return p.Dispatch(ctx, ids, a.printDispatch)
			})
		})
	})
	return c
}

func (a *app) printDispatch(l pipeline.DispatchLine) error {
	if a.global.JSON {
		return a.out.line(l)
	}
	if l.Host == "" {
		return a.out.printf("%s  %s  %s\n", escape(l.JobID), a.out.style.word(l.Status), escape(l.Reason))
	}
	return a.out.printf("%s  to %s, attempt %d, until %s: %s\n", escape(l.JobID), escape(l.Host), l.Attempt,
		a.clockTime(l.LeaseUntil), escape(l.Reason))
}
