package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/sheratan/sheratan/pipeline"
	"github.com/sheratan/sheratan/runtime/workspace"
)

func newDoctor(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "look for what is wrong, and say what helps",
		Long: `Looks at the machine (git, sandbox, file system, clock, permissions, who can do what) and, where there is one,
at the workspace, and says of each thing whether it is ok and what to do about it. Without a workspace it
looks at the machine only.`,
		Example: `sheratan doctor
sheratan doctor --json | jq 'select(.status != "ok")'`,
		Annotations: exits(exitTampered),
		Args:        cobra.NoArgs,
		RunE:        a.run(func(ctx context.Context, _ []string) error { return runDoctor(ctx, a) }),
	}
}

func runDoctor(ctx context.Context, a *app) error {
	checks, err := a.checks(ctx)
	if err != nil {
		return err
	}
	t := &table{style: a.out.style}
	bad := false
	for _, c := range checks {
		bad = bad || c.Status == workspace.HealthBad
		if a.global.JSON {
			if err := a.out.line(c); err != nil {
				return err
			}
			continue
		}
		t.add(string(c.Status), c.Name, c.Detail)
		if c.Fix != "" {
			t.add("", "", "→ "+c.Fix)
		}
	}
	if err := t.flush(a.out); err != nil {
		return err
	}
	if bad {
		return outcome(exitError)
	}
	return nil
}

// checks looks at the workspace and the machine, or at the machine alone where there is no workspace and none was named.
func (a *app) checks(ctx context.Context) (checks []workspace.Check, err error) {
	var missing *workspace.NotFoundError
	if _, err := a.find(); errors.As(err, &missing) && missing.From == "" {
		a.people.note("no workspace here: only the machine is looked at")
		return pipeline.DoctorMachine(ctx, a.env.Dir), nil
	}
	err = a.with(ctx, func(p *pipeline.Pipeline) error {
		checks, err = p.Doctor(ctx)
		return err
	})
	return checks, err
}
