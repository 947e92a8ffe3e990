package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/sheratan/sheratan/pipeline"
	"github.com/sheratan/sheratan/pipeline/job"
)

func newRun(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "run [ID... | -]",
		Short: "execute what was dispatched to this host",
		Long: `Runs the jobs that were dispatched to this host and prints the result of each attempt. Jobs in another state
are left alone, with a note. SIGTERM lets running jobs go on for --grace, and then ends them.
SIGINT ends them at once.`,
		Example: `sheratan run
sheratan dispatch --json | sheratan run - --json`,
		Annotations: workspaceExits(exitFailed, exitInterrupted),
		Args:        idArgs(0),
	}
	c.ValidArgsFunction = a.completeJobs(string(job.StatusPending))
	a.addGrace(c)
	c.RunE = a.run(func(ctx context.Context, args []string) error {
		a.streaming()
		var v verdicts
		bar, n := a.progress("running, done"), int64(0)
		err := a.with(ctx, func(p *pipeline.Pipeline) error {
			return a.eachIDs(ctx, args, func(ids []string) error {
				return p.Run(ctx, ids, func(r job.Result) error {
					v.add(string(r.Status))
					n++
					bar.set(n, 0)
					return a.printResult(r)
				})
			})
		})
		return finish(ctx, err, &v)
	})
	return c
}
