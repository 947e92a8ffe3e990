package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/sheratan/sheratan/pipeline"
)

func newWait(a *app) *cobra.Command {
	var o pipeline.WaitOptions
	c := &cobra.Command{
		Use:   "wait ID... | -",
		Short: "wait until jobs have ended",
		Long: `Waits until each job has completed, failed, was cancelled or was blocked, and prints its result. With --any it
waits for the first of them. It runs nothing itself: a tick has to.

The exit code is 4 where one of those that ended failed or was cancelled, otherwise 3 where one was blocked.`,
		Example: `sheratan wait job-7 job-8 --timeout 5m
sheratan wait --any job-7 job-8
sheratan submit --json *.json | sheratan wait - --json`,
		Annotations: workspaceExits(exitBlocked, exitFailed, exitTimeout, exitInterrupted),
		Args:        idArgs(1),
	}
	c.Flags().DurationVar(&o.Timeout, "timeout", 0, "give up after `TIME`; 0 is never")
	c.Flags().BoolVar(&o.Any, "any", false, "wait for the first of the jobs only")
	c.ValidArgsFunction = a.completeJobs("pending", "throttled", "running")
	c.RunE = a.run(func(ctx context.Context, args []string) error {
		if o.Timeout < 0 {
			return usagef("--timeout: want a time above zero")
		}
		return a.with(ctx, func(p *pipeline.Pipeline) error {
			var ids []string
			err := a.eachIDs(ctx, args, func(batch []string) error {
				ids = append(ids, batch...)
				return nil
			})
			if err != nil {
				return err
			}
			return follow(ctx, a, p, ids, o, false)
		})
	})
	return c
}
