package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/sheratan/sheratan/pipeline"
	"github.com/sheratan/sheratan/pipeline/job"
)

func newMission(a *app) *cobra.Command {
	return family(&cobra.Command{
		Use:   "mission",
		Short: "jobs that belong together",
		Long: `A mission is a file with tasks: job templates with dependencies and parameters, how many of them run at a
time, and a budget for all. Its jobs pass the gates like any others. Declared missions lie in missions/.`,
		Example: `sheratan mission submit nightly --param target=./... --wait
sheratan mission show nightly`,
	}, newMissionSubmit(a), newMissionList(a), newMissionShow(a), newMissionCancel(a), newMissionRetry(a), newMissionWait(a))
}

func newMissionList(a *app) *cobra.Command {
	var limit int
	c := &cobra.Command{
		Use:   "list",
		Short: "list missions",
		Long:  `Lists the missions that were submitted, the newest last, with how far they have come.`,
		Example: `sheratan mission list
sheratan mission list --json | jq -r 'select(.state == "failed") | .mission_id'`,
		Annotations: workspaceExits(),
		Args:        cobra.NoArgs,
	}
	c.Flags().IntVar(&limit, "limit", 20, "at most `N` missions, the newest; 0 is all")
	c.RunE = a.run(func(ctx context.Context, _ []string) error {
		if limit < 0 {
			return usagef("--limit %d: want 0 or more", limit)
		}
		t := &table{style: a.out.style, header: []string{"ID", "STATE", "DONE", "SUBMITTED", "TITLE"}}
		err := a.with(ctx, func(p *pipeline.Pipeline) error {
			return p.Missions(ctx, limit, func(l pipeline.MissionLine) error {
				if a.global.JSON {
					return a.out.line(l)
				}
				t.add(l.MissionID, l.State, fmt.Sprintf("%d/%d", l.Completed, l.Tasks), a.clockTime(l.SubmittedAt), clip(l.Title, 60))
				return nil
			})
		})
		return joined(err, t.flush(a.out))
	})
	return c
}

func newMissionShow(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "show ID",
		Short: "show how far a mission and its tasks have come",
		Long: `Shows a mission and draws its tasks as a tree: each below the last of those that it waits for. A mission is
running, blocked (nothing of it can go on before a person does something), completed, failed or cancelled.`,
		Example:           `sheratan mission show nightly`,
		Annotations:       workspaceExits(),
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeMissions,
		RunE: a.run(func(ctx context.Context, args []string) error {
			return a.with(ctx, func(p *pipeline.Pipeline) error {
				line, err := p.Mission(ctx, args[0])
				if err != nil {
					return err
				}
				return a.printMission(line)
			})
		}),
	}
}

func newMissionCancel(a *app) *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use:   "cancel ID",
		Short: "end all jobs of a mission",
		Long: `Cancels the jobs of a mission that are not over, and lets none begin that are still on their way. Running ones
are ended, with all processes that they started.`,
		Example:           `sheratan mission cancel nightly --reason "wrong target"`,
		Annotations:       workspaceExits(),
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeMissions,
	}
	c.Flags().StringVar(&reason, "reason", "", "say why, for the ledger")
	c.RunE = a.run(func(ctx context.Context, args []string) error {
		return a.with(ctx, func(p *pipeline.Pipeline) error { return p.CancelMission(ctx, args[0], reason, a.printChange) })
	})
	return c
}

func newMissionRetry(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "retry ID",
		Short: "take a mission up again from where it failed",
		Long: `Makes the failed, skipped and cancelled jobs of a mission pending again; what has completed is not repeated. The
budget counts anew.`,
		Example:           `sheratan mission retry nightly`,
		Annotations:       workspaceExits(),
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeMissions,
		RunE: a.run(func(ctx context.Context, args []string) error {
			return a.with(ctx, func(p *pipeline.Pipeline) error { return p.RetryMission(ctx, args[0], a.printChange) })
		}),
	}
}

func newMissionWait(a *app) *cobra.Command {
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "wait ID",
		Short: "wait until a mission has ended",
		Long: `Waits until a mission has ended, or until nothing of it can go on by itself, and prints what became of it. It
runs nothing itself: a tick has to.`,
		Example:           `sheratan mission wait nightly --timeout 1h`,
		Annotations:       workspaceExits(exitBlocked, exitFailed, exitTimeout, exitInterrupted),
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeMissions,
	}
	c.Flags().DurationVar(&timeout, "timeout", 0, "give up after `TIME`; 0 is never")
	c.RunE = a.run(func(ctx context.Context, args []string) error {
		if timeout < 0 {
			return usagef("--timeout: want a time above zero")
		}
		return a.with(ctx, func(p *pipeline.Pipeline) error {
			return followMission(ctx, a, p, args[0], pipeline.WaitOptions{Timeout: timeout})
		})
	})
	return c
}

// followMission waits for a mission and prints it. It exits as for the jobs of which it consists.
func followMission(ctx context.Context, a *app, p *pipeline.Pipeline, id string, o pipeline.WaitOptions) error {
	a.streaming()
	bar := a.progress("tasks done")
	line, err := p.WaitMission(ctx, id, o, func(l pipeline.MissionLine) {
		bar.set(int64(l.Completed+l.Failed+l.Cancelled), int64(l.Tasks))
	})
	if err != nil {
		return err
	}
	if err := a.printMission(line); err != nil {
		return err
	}
	var v verdicts
	if line.State == pipeline.MissionBlocked {
		v.add(string(job.StatusQuarantined))
	}
	if line.State == pipeline.MissionFailed || line.State == pipeline.MissionCancelled || line.Goal == nil && line.Failed+line.Cancelled > 0 {
		if line.Failed+line.Cancelled > 0 {
			a.people.hint("sheratan mission retry %s", shellWord(id))
		}
		v.add(string(job.StatusFailed))
	}
	return finish(ctx, nil, &v)
}
