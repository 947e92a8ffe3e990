package cli

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/sheratan/sheratan/cmd/sheratan/internal/mcp"
	"github.com/sheratan/sheratan/pipeline"
	"github.com/sheratan/sheratan/pipeline/job"
)

// sourceMCP is the source of what agents propose by MCP, unless the operator names another one.
const sourceMCP = "mcp"

type mcpOptions struct {
	Source string
	NoRun  bool
}

func newMCP(a *app) *cobra.Command {
	o := mcpOptions{Source: sourceMCP}
	c := &cobra.Command{
		Use:   "mcp",
		Short: "serve agents by the Model Context Protocol, on stdin and stdout",
		Long: `Serves an agent by the Model Context Protocol: an agent starts this program itself, and docs/MCP.md has the lines
of configuration for that. It can propose jobs, wait for them, read their results, ask why, and list kinds and
missions. Whatever it proposes passes the gates as a file in the inbox would. It cannot approve, cancel or configure
anything, cannot choose its source, and learns only of what its source proposed.

From the first proposal on it does the work of tick --loop, unless another loop runs already. When the client
is gone the running jobs finish.`,
		Example: `sheratan mcp --workspace /srv/sheratan
sheratan mcp --workspace /srv/sheratan --source reviewer --no-run`,
		Annotations: workspaceExits(exitInterrupted),
		Args:        cobra.NoArgs,
	}
	c.Flags().StringVar(&o.Source, "source", sourceMCP, "what the agent proposes is of `SOURCE`")
	c.Flags().BoolVar(&o.NoRun, "no-run", false, "run nothing here: a tick has to")
	c.RunE = a.run(func(ctx context.Context, _ []string) error { return runMCP(ctx, a, &o) })
	return c
}

func runMCP(ctx context.Context, a *app, o *mcpOptions) error {
	switch {
	case !job.ValidID(o.Source):
		return usagef("--source %q: is no valid name of a source", o.Source)
	case o.Source == sourceOperator:
		return &usageError{usagef("--source operator: is for people, and an agent is none"), "sheratan mcp --source NAME"}
	}
	if err := a.refuseFollowUp("mcp"); err != nil {
		return err
	}
	// A workspace that cannot be used is said now, and not to the agent.
	if err := a.with(ctx, func(p *pipeline.Pipeline) error { _, err := p.Rules(ctx); return err }); err != nil {
		return err
	}
	if a.env.StdinTTY {
		a.people.note("this speaks JSON-RPC with an agent that starts it; Ctrl-D ends it")
		a.people.hint("see docs/MCP.md for how an agent is told to")
	}
	// A client that is gone makes writing fail, and must not kill the jobs that run. Ignored instead of caught, the signal
	// would be ignored in the jobs too.
	gone := make(chan os.Signal, 1)
	signal.Notify(gone, syscall.SIGPIPE)
	defer signal.Stop(gone)
	err := mcp.Serve(ctx, mcp.Config{
		Version: buildVersion().Version, Source: o.Source, Run: !o.NoRun, With: a.with,
		In: a.env.Stdin, Out: a.env.Stdout, Log: func(text string) { a.people.warn("%s", text) },
	})
	if errors.Is(context.Cause(ctx), ErrTerminated) && interrupted(ctx, err) {
		return nil // drained, as asked
	}
	return err
}
