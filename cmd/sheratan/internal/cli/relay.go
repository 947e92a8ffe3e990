package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/sheratan/sheratan/pipeline"
)

func newRelay(a *app) *cobra.Command {
	list := &cobra.Command{
		Use:   "list",
		Short: "list the language models in the config",
		Long: `Lists the models that the config names, with what they have used of their budgets, and which of them is left alone
because it failed too often. None is asked.`,
		Example:     `sheratan relay list`,
		Annotations: workspaceExits(),
		Args:        cobra.NoArgs,
		RunE:        a.run(func(ctx context.Context, _ []string) error { return runRelay(ctx, a, nil, false) }),
	}
	check := &cobra.Command{
		Use:   "check [MODEL...]",
		Short: "ask each model for a word",
		Long: `Asks the MODELs, or all that the config names, for one word, and says what came back, how long it took and what it
cost. A call counts against the budget of its model like any other.`,
		Example: `sheratan relay check
sheratan relay check local --json`,
		Annotations: workspaceExits(),
		Args:        cobra.ArbitraryArgs,
		RunE:        a.run(func(ctx context.Context, args []string) error { return runRelay(ctx, a, args, true) }),
	}
	return family(&cobra.Command{
		Use:     "relay",
		Short:   "the language models that may be asked",
		Long:    `The bridge to language models: those that the config names in relay.models, and no others.`,
		Example: `sheratan relay check`,
	}, check, list)
}

func runRelay(ctx context.Context, a *app, names []string, ask bool) error {
	t := &table{style: a.out.style}
	bad, any := false, false
	err := a.with(ctx, func(p *pipeline.Pipeline) error {
		return p.Models(ctx, names, ask, func(l pipeline.ModelLine) error {
			any, bad = true, bad || l.Status == "bad"
			if a.global.JSON {
				return a.out.line(l)
			}
			used := fmt.Sprintf("calls %d, tokens %d within a day", l.CallsDay, l.TokensDay)
			if l.OpenUntil != "" {
				used += ", left alone until " + l.OpenUntil
			}
			if ask {
				took := shortDuration(time.Duration(l.DurationMS) * time.Millisecond)
				t.add(l.Status, l.Model, l.Backend, took, escape(l.Message))
			} else {
				t.add(l.Model, l.Backend, used)
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	if !any {
		a.people.say("note", "the config names no models: see relay.models in docs/RELAY.md")
	}
	if err := t.flush(a.out); err != nil {
		return err
	}
	if bad {
		return outcome(exitError)
	}
	return nil
}
