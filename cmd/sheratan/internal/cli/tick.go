package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sheratan/sheratan/pipeline"
)

func newTick(a *app) *cobra.Command {
	o := pipeline.TickOptions{Pack: true}
	c := &cobra.Command{
		Use:   "tick",
		Short: "do all stages until nothing is ready",
		Long: `Recovers what a crash left, gates, dispatches, runs and commits until nothing is ready. It waits for retries
that are due within --linger, and prints nothing when there was nothing to do. Several ticks may run at once.

--loop stays and wakes when files come in or jobs end. SIGTERM drains it: no job begins any more, those that run
go on for --grace, and then they are ended. SIGINT or a second signal ends them at once. A job that a signal ended
is in the queue again where its rule says that a rerun is safe. Any other is blocked as OUTCOME_UNKNOWN until an
operator approves or rejects it.

A job that the machine could not start (it is out of files, processes, memory or disk) stays in the queue; a
warning says what ran out. Where nothing can be written, as on a full disk, the tick says so and exits 1.

The exit code says whether the tick did its work, whatever became of the jobs.`,
		Example: `sheratan tick
sheratan tick --loop
* * * * * sheratan --workspace /srv/sheratan tick     # in a crontab`,
		Annotations: workspaceExits(exitLoopRunning, exitInterrupted),
		Args:        cobra.NoArgs,
	}
	f := c.Flags()
	f.BoolVar(&o.Loop, "loop", false, "stay and repeat until SIGTERM")
	f.DurationVar(&o.Interval, "interval", time.Second, "with --loop, look again after `TIME` at the latest")
	f.DurationVar(&o.Linger, "linger", 10*time.Second, "wait at most `TIME` for retries that become due")
	a.addGrace(c)
	c.RunE = a.run(func(ctx context.Context, _ []string) error {
		if o.Interval <= 0 || o.Linger < 0 {
			return usagef("--interval and --linger: want a time above zero")
		}
		a.streaming()
		err := a.with(ctx, func(p *pipeline.Pipeline) error { return p.Tick(ctx, o, a.printTick) })
		if errors.Is(context.Cause(ctx), ErrTerminated) && interrupted(ctx, err) {
			return nil // drained, as asked
		}
		if err == nil && errors.Is(context.Cause(ctx), ErrInterrupted) {
			return ErrInterrupted
		}
		return err
	})
	return c
}

func (a *app) printTick(l pipeline.TickLine) error {
	if a.global.JSON {
		return a.out.line(l)
	}
	var parts []string
	for _, c := range []struct {
		n    int
		what string
	}{{l.Received, "received"}, {l.Approved, "approved"}, {l.Blocked, "blocked"}, {l.Dispatched, "dispatched"},
		{l.Completed, "completed"}, {l.Failed, "failed"}, {l.Deferred, "deferred"}} {
		if c.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c.n, c.what))
		}
	}
	parts = append(parts, fmt.Sprintf("%d events", l.Events))
	if l.Commit != "" {
		parts = append(parts, "commit "+l.Commit[:min(10, len(l.Commit))])
	}
	return a.out.printf("%s\n", strings.Join(parts, ", "))
}
