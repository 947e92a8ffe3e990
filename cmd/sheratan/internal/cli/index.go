package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/sheratan/sheratan/pipeline"
)

func newIndex(a *app) *cobra.Command {
	return family(&cobra.Command{
		Use:   "index",
		Short: "the database that is made from the ledger",
		Long: `The index answers questions fast. It holds nothing that is not in the ledger and its documents, so it can be
made again at any time.`,
		Example: `sheratan index check
sheratan index rebuild`,
	}, newIndexRebuild(a), newIndexCheck(a))
}

func newIndexRebuild(a *app) *cobra.Command {
	return &cobra.Command{
		Use:         "rebuild",
		Short:       "make the index again from the ledger",
		Long:        `Fills the index again from the ledger and its documents, and puts all job files where they belong.`,
		Example:     `sheratan index rebuild`,
		Annotations: workspaceExits(exitInterrupted),
		Args:        cobra.NoArgs,
		RunE: a.run(func(ctx context.Context, _ []string) error {
			bar := a.progress(pipeline.StepApply)
			return a.with(ctx, func(p *pipeline.Pipeline) error {
				n, err := p.RebuildIndex(ctx, bar.step)
				if err != nil {
					return err
				}
				bar.clear()
				if a.global.JSON {
					return a.out.line(map[string]int64{"events": n})
				}
				return a.out.printf("%d events applied\n", n)
			})
		}),
	}
}

// indexCheck is what index check prints with --json.
type indexCheck struct {
	OK       bool               `json:"ok"`
	Findings []pipeline.Finding `json:"findings"`
}

func newIndexCheck(a *app) *cobra.Command {
	return &cobra.Command{
		Use:         "check",
		Short:       "compare the index with the ledger",
		Long:        `Makes the index again beside the present one and compares the two. It changes neither.`,
		Example:     `sheratan index check || sheratan index rebuild`,
		Annotations: workspaceExits(exitInterrupted),
		Args:        cobra.NoArgs,
		RunE: a.run(func(ctx context.Context, _ []string) error {
			bar := a.progress(pipeline.StepApply)
			return a.with(ctx, func(p *pipeline.Pipeline) error {
				found, err := p.CheckIndex(ctx, bar.step)
				if err != nil {
					return err
				}
				bar.clear()
				text := a.out.style.word("ok") + ": the index is what the ledger says\n"
				for i, f := range found {
					if i == 0 {
						text = ""
					}
					text += findingText(f)
				}
				if err := a.show(indexCheck{len(found) == 0, append([]pipeline.Finding{}, found...)}, text); err != nil {
					return err
				}
				if len(found) > 0 {
					a.people.hint("sheratan index rebuild")
					return outcome(exitError)
				}
				return nil
			})
		}),
	}
}
