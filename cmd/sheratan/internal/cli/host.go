package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sheratan/sheratan/pipeline"
)

func newHost(a *app) *cobra.Command {
	list := &cobra.Command{
		Use:   "list",
		Short: "list the hosts that run jobs",
		Long:  `Lists the hosts with their load and what they offer. The host local is this machine.`,
		Example: `sheratan host list
sheratan host list --json | jq .capabilities`,
		Annotations: workspaceExits(),
		Args:        cobra.NoArgs,
		RunE: a.run(func(ctx context.Context, _ []string) error {
			return a.with(ctx, func(p *pipeline.Pipeline) error { return runHostList(ctx, a, p) })
		}),
	}
	return family(&cobra.Command{
		Use:     "host",
		Short:   "the machines that run jobs",
		Long:    `The hosts that run jobs. In this version there is one: local, the machine of the workspace.`,
		Example: `sheratan host list`,
	}, list)
}

func runHostList(ctx context.Context, a *app, p *pipeline.Pipeline) error {
	hosts, err := p.Hosts(ctx)
	if err != nil {
		return err
	}
	t := &table{style: a.out.style, header: []string{"ID", "STATUS", "JOBS", "SLOTS", "OFFERS"}}
	for _, h := range hosts {
		if a.global.JSON {
			if err := a.out.line(h); err != nil {
				return err
			}
			continue
		}
		slots := fmt.Sprint(h.MaxConcurrent)
		if h.MaxConcurrent == 0 {
			slots = "unlimited"
		}
		t.add(h.ID, string(h.Status), fmt.Sprint(h.CurrentJobs), slots, clip(strings.Join(h.Capabilities, " "), 100))
	}
	return t.flush(a.out)
}
