package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sheratan/sheratan/pipeline"
	"github.com/sheratan/sheratan/pipeline/kind"
	"github.com/sheratan/sheratan/pipeline/rules"
	"github.com/sheratan/sheratan/runtime/workspace"
)

// kindLine is what kinds prints with --json of one kind.
type kindLine struct {
	Kind      string   `json:"kind"`
	Decision  string   `json:"decision,omitempty"` // allow, manual or forbid; "" without a workspace
	Effect    string   `json:"effect"`
	RerunSafe bool     `json:"rerun_safe"`
	Paths     []string `json:"paths"`
	Program   string   `json:"program,omitempty"` // of one of the operator's own
	File      string   `json:"file,omitempty"`    // that it is described in
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
		Use:   "show KIND",
		Short: "print the schema of the parameters of a kind",
		Long: `Prints the JSON Schema of the parameters of a built-in kind, and of a kind in config/kinds the whole definition:
its command line, its parameters, and its examples.`,
		Example: `sheratan kinds show exec
sheratan kinds show go-test | jq .params`,
		Annotations: exits(exitNoWorkspace),
		Args:        cobra.ExactArgs(1),
		RunE: a.run(func(_ context.Context, args []string) error {
			if own, ok := a.own(); ok {
				return own.showKind(args[0])
			}
			k, err := a.kind(args[0])
			if err != nil {
				return err
			}
			if k.Own() {
				var text bytes.Buffer
				if err := json.Indent(&text, k.Definition, "", "  "); err != nil {
					return err
				}
				text.WriteByte('\n')
				return a.writeDocument(text.Bytes())
			}
			return a.writeDocument(k.Schema)
		}),
		ValidArgsFunction: completeWords(kindNames()...),
	}
	return family(&cobra.Command{
		Use:   "kinds",
		Short: "what jobs can be",
		Long: `The kinds of jobs that a proposal can ask for, and their parameters: those that are built in, and those that
the operator describes in config/kinds.`,
		Example: `sheratan kinds list
sheratan kinds show file_write
sheratan kinds test`,
	}, list, show, newKindsTest(a))
}

func kindNames() []string {
	var names []string
	for _, k := range kind.Builtin() {
		names = append(names, k.Name)
	}
	return names
}

// kind returns a built-in kind, or one of the operator's own.
func (a *app) kind(name string) (kind.Kind, error) {
	if k, ok := kind.Lookup(name); ok {
		return k, nil
	}
	files, err := a.ownKinds()
	if err != nil {
		return kind.Kind{}, err
	}
	for _, f := range files {
		if f.Kind.Name == name {
			return f.Kind, nil
		}
	}
	return kind.Kind{}, hint(fmt.Errorf("%s: no such kind", escape(name)), "sheratan kinds list")
}

// ownKinds reads config/kinds; outside of a workspace there are none.
func (a *app) ownKinds() ([]rules.KindFile, error) {
	var missing *workspace.NotFoundError
	ws, err := a.find()
	if errors.As(err, &missing) && missing.From == "" {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return rules.ReadKinds(ws)
}

func runKinds(ctx context.Context, a *app) error {
	if own, ok := a.own(); ok {
		return own.printKinds()
	}
	r, err := a.rulesHere(ctx)
	if err != nil {
		return err
	}
	kinds := kind.Builtin()
	if r != nil {
		kinds = r.Gates.Kinds()
	}
	t := &table{style: a.out.style, header: []string{"KIND", "HERE", "EFFECT", "WHAT"}}
	for _, k := range kinds {
		l := kindLine{Kind: k.Name, Effect: string(k.Effect), RerunSafe: k.RerunSafe, Paths: append([]string{}, k.Paths...), Summary: k.Summary}
		if r != nil {
			l.Decision, l.File = r.Config.Gates.Kinds.Decision(k.Name), r.KindFiles()[k.Name]
			if p, own := r.Gates.KindProgram(k.Name); own {
				l.Program = p.Name
			}
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

// rulesHere returns the rules of the workspace, nil where there is none and none was named.
func (a *app) rulesHere(ctx context.Context) (r *rules.Rules, err error) {
	var missing *workspace.NotFoundError
	if _, err := a.find(); errors.As(err, &missing) && missing.From == "" {
		return nil, nil
	}
	err = a.with(ctx, func(p *pipeline.Pipeline) error {
		r, err = p.Rules(ctx)
		return err
	})
	return r, err
}
