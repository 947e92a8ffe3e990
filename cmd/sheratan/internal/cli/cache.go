package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/sheratan/sheratan/pipeline"
	"github.com/sheratan/sheratan/pipeline/job"
)

func newCache(a *app) *cobra.Command {
	warm := &cobra.Command{
		Use:   "warm go",
		Short: "fill the shared build cache of Go",
		Long: `Builds the standard library into the folder of sandbox.caches that GOCACHE in host.env names. Jobs never
write there: the cache of each source begins as a copy of it. A source that has a cache already begins a new
one.`,
		Example:     `sheratan cache warm go`,
		Annotations: workspaceExits(exitInterrupted),
		Args:        cobra.ExactArgs(1),
		ValidArgs:   []string{"go"},
		RunE: a.run(func(ctx context.Context, args []string) error {
			if args[0] != "go" {
				return usagef("cache warm %s: only go is known", args[0])
			}
			if err := a.refuseInsideJob("cache"); err != nil {
				return err
			}
			return a.with(ctx, func(p *pipeline.Pipeline) error {
				shared, err := p.WarmGo(ctx)
				if err != nil {
					return err
				}
				a.people.note("%s is filled", shared)
				return nil
			})
		}),
	}
	clear := &cobra.Command{
		Use:   "clear [SOURCE...]",
		Short: "remove the caches of sources",
		Long: `Removes what toolchains have kept for the jobs of these sources, of all where none is named. The next job
of a source begins a new cache. Jobs that run meanwhile may fail.`,
		Example:     `sheratan cache clear crawler`,
		Annotations: workspaceExits(),
		RunE: a.run(func(ctx context.Context, args []string) error {
			for _, source := range args {
				if !job.ValidID(source) {
					return usagef("%q: is not the name of a source", source)
				}
			}
			if err := a.refuseInsideJob("cache"); err != nil {
				return err
			}
			return a.with(ctx, func(p *pipeline.Pipeline) error { return p.ClearCaches(args...) })
		}),
	}
	return family(&cobra.Command{
		Use:   "cache",
		Short: "what toolchains keep from job to job",
		Long: `Each source has caches of its own, so that no job can change what the builds of other sources are made of. A shared
cache, which only the operator fills, is what they begin with.`,
		Example: `sheratan cache warm go
sheratan cache clear`,
	}, warm, clear)
}
