package cli

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/sheratan/sheratan/pipeline"
	"github.com/sheratan/sheratan/pipeline/job"
)

func newWait(a *app) *cobra.Command {
	var o pipeline.WaitOptions
	var timeout string
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
	c.Flags().StringVar(&timeout, "timeout", "", "give up after `TIME`, as 90, 90s or 5m; 0 is never")
	c.Flags().BoolVar(&o.Any, "any", false, "wait for the first of the jobs only")
	c.ValidArgsFunction = a.completeJobs("pending", "throttled", "running")
	c.RunE = a.run(func(ctx context.Context, args []string) error {
		var err error
		if o.Timeout, err = parsePatience(timeout); err != nil {
			return usagef("--timeout %s: %w", timeout, err)
		}
		if own, ok := a.own(); ok {
			var ids []string
			err := a.eachIDs(ctx, args, func(batch []string) error {
				ids = append(ids, batch...)
				return nil
			})
			if err != nil {
				return err
			}
			return own.wait(ctx, ids, o)
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
			return follow(ctx, a, p, len(ids), func(emit func(job.Result) error) error { return p.Wait(ctx, ids, o, emit) }, false)
		})
	})
	return c
}

// parsePatience takes seconds or a Go duration, for how long something is waited for; "" and 0 are for ever.
func parsePatience(s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(s)
	if n, plain := strconv.ParseInt(s, 10, 32); plain == nil {
		d, err = time.Duration(n)*time.Second, nil
	}
	if err != nil || d < 0 {
		return 0, errors.New("want seconds or a duration such as 90s or 5m, or 0 for ever")
	}
	return d, nil
}
