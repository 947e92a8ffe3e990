package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/sheratan/sheratan/pipeline"
	"github.com/sheratan/sheratan/pipeline/job"
)

// pauseLine is what pause and resume print with --json.
type pauseLine struct {
	State  string `json:"state"`
	Source string `json:"source"` // "" is all of them
	Reason string `json:"reason,omitempty"`
	Kill   bool   `json:"kill,omitempty"`
}

func newPause(a *app) *cobra.Command {
	var (
		reason string
		kill   bool
	)
	c := &cobra.Command{
		Use:   "pause [SOURCE]",
		Short: "stop starting jobs",
		Long: `Stops the dispatch of jobs at once, of all or of one source. What runs may finish, unless --kill ends it. A job
that --kill has ended runs again after the pause where its rule says that a rerun is safe. Any other is blocked as
OUTCOME_UNKNOWN. Proposals are still taken in and gated.`,
		Example: `sheratan pause --reason "disk is full"
sheratan pause crawler --kill`,
		Annotations: workspaceExits(),
		Args:        cobra.MaximumNArgs(1),
	}
	c.Flags().StringVar(&reason, "reason", "", "say why, for the ledger and whoever asks")
	c.Flags().BoolVar(&kill, "kill", false, "also end the jobs that run")
	c.RunE = a.run(func(ctx context.Context, args []string) error {
		source, err := pausable(args)
		if err != nil {
			return err
		}
		return a.with(ctx, func(p *pipeline.Pipeline) error {
			if err := p.Pause(ctx, source, reason, kill); err != nil {
				return err
			}
			return a.show(pauseLine{"paused", source, reason, kill}, "paused "+everything(source)+"\n")
		})
	})
	return c
}

func newResume(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "resume [SOURCE]",
		Short: "start jobs again after pause",
		Long:  `Ends a pause: of all, or of one source. It must be called for what pause was called for.`,
		Example: `sheratan resume
sheratan resume crawler`,
		Annotations: workspaceExits(),
		Args:        cobra.MaximumNArgs(1),
		RunE: a.run(func(ctx context.Context, args []string) error {
			if err := a.refuseInsideJob("resume"); err != nil {
				return err
			}
			source, err := pausable(args)
			if err != nil {
				return err
			}
			return a.with(ctx, func(p *pipeline.Pipeline) error {
				if err := p.Resume(ctx, source); err != nil {
					return err
				}
				return a.show(pauseLine{State: "running", Source: source}, "resumed "+everything(source)+"\n")
			})
		}),
	}
}

// pausable returns the source that is named, "" for all of them. One that no inbox can have is a slip of the hand.
func pausable(args []string) (string, error) {
	source := optional(args)
	if len(args) > 0 && !job.ValidID(source) {
		return "", usagef("%q: is no valid name of a source", source)
	}
	return source, nil
}

// optional returns the only argument, or "".
func optional(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

func everything(source string) string {
	if source == "" {
		return "all sources"
	}
	return "source " + escape(source)
}
