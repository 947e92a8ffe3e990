package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/sheratan/sheratan/gates"
	"github.com/sheratan/sheratan/pipeline"
	"github.com/sheratan/sheratan/pipeline/kind"
	"github.com/sheratan/sheratan/runtime/workspace"
)

// kindLine is what kinds prints with --json of one kind.
type kindLine struct {
	Kind      string   `json:"kind"`
	Decision  string   `json:"decision,omitempty"` // allow, manual or forbid; "" without a workspace
	Effect    string   `json:"effect"`
	RerunSafe bool     `json:"rerun_safe"`
	Paths     []string `json:"paths"`
	Summary   string   `json:"summary"`
}

func newKinds(a *app) *cobra.Command {
	list := &cobra.Command{
		Use:   "list",
		Short: "list the kinds of jobs",
		Long:  `Lists the kinds of jobs, what each does, and in a workspace whether it is allowed there.`,
		Example: `sheratan kinds list
sheratan kinds list --json | jq -r 'select(.decision == "allow") | .kind'`,
		Annotations: exits(exitNoWorkspace),
		Args:        cobra.NoArgs,
		RunE:        a.run(func(ctx context.Context, _ []string) error { return runKinds(ctx, a) }),
	}
	show := &cobra.Command{
		Use:         "show KIND",
		Short:       "print the schema of the parameters of a kind",
		Long:        `Prints the JSON Schema of the parameters of a kind.`,
		Example:     `sheratan kinds show exec`,
		Annotations: exits(),
		Args:        cobra.ExactArgs(1),
		RunE: a.run(func(_ context.Context, args []string) error {
			k, ok := kind.Lookup(args[0])
			if !ok {
				return hint(fmt.Errorf("%s: no such kind", escape(args[0])), "sheratan kinds list")
			}
			return a.writeDocument(k.Schema)
		}),
		ValidArgsFunction: completeWords(kindNames()...),
	}
	return family(&cobra.Command{
		Use:   "kinds",
		Short: "what jobs can be",
		Long:  `The kinds of jobs that a proposal can ask for, and their parameters.`,
		Example: `sheratan kinds list
sheratan kinds show file_write`,
	}, list, show)
}

func kindNames() []string {
	var names []string
	for _, k := range kind.Builtin() {
		names = append(names, k.Name)
	}
	return names
}

func runKinds(ctx context.Context, a *app) error {
	lists, err := a.kindLists(ctx)
	if err != nil {
		return err
	}
	t := &table{style: a.out.style, header: []string{"KIND", "HERE", "EFFECT", "WHAT"}}
	for _, k := range kind.Builtin() {
		l := kindLine{Kind: k.Name, Effect: string(k.Effect), RerunSafe: k.RerunSafe, Paths: append([]string{}, k.Paths...), Summary: k.Summary}
		if lists != nil {
			l.Decision = listOf(lists, k.Name)
		}
		if a.global.JSON {
			if err := a.out.line(l); err != nil {
				return err
			}
			continue
		}
		t.add(l.Kind, l.Decision, l.Effect, l.Summary)
	}
	return t.flush(a.out)
}

// kindLists returns the lists of the workspace, nil where there is none and none was named.
func (a *app) kindLists(ctx context.Context) (lists *gates.KindLists, err error) {
	var missing *workspace.NotFoundError
	if _, err := a.find(); errors.As(err, &missing) && missing.From == "" {
		return nil, nil
	}
	err = a.with(ctx, func(p *pipeline.Pipeline) error {
		r, err := p.Rules(ctx)
		if err != nil {
			return err
		}
		lists = &r.Config.Gates.Kinds
		return nil
	})
	return lists, err
}

// listOf returns what the config says of a kind: of several lists the strictest, and of none forbid.
func listOf(l *gates.KindLists, name string) string {
	switch {
	case slices.Contains(l.Forbid, name):
		return "forbid"
	case slices.Contains(l.Manual, name):
		return "manual"
	case slices.Contains(l.Allow, name):
		return "allow"
	}
	return "forbid"
}
