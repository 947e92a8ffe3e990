package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/sheratan/sheratan/pipeline"
)

func newWait(a *app) *cobra.Command {
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "wait ID... | -",
		Short: "wait until jobs have ended",
		Long: `Waits until each job has completed, failed, was cancelled or was blocked, and prints its result. It runs
nothing itself: a tick has to.`,
		Example: `sheratan wait job-7 job-8 --timeout 5m
sheratan submit --json *.json | sheratan wait - --json`,
		Annotations: workspaceExits(exitBlocked, exitFailed, exitTimeout, exitInterrupted),
		Args:        idArgs(1),
	}
	c.Flags().DurationVar(&timeout, "timeout", 0, "give up after `TIME`; 0 is never")
	c.ValidArgsFunction = a.completeJobs("pending", "throttled", "running")
	c.RunE = a.run(func(ctx context.Context, args []string) error {
		if timeout < 0 {
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
			return follow(ctx, a, p, ids, pipeline.WaitOptions{Timeout: timeout}, false)
		})
	})
	return c
}
