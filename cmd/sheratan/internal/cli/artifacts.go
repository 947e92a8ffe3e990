package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/sheratan/sheratan/pipeline"
)

type artifactsOptions struct {
	Attempt int
	Remove  bool
	Reason  string
}

func newArtifacts(a *app) *cobra.Command {
	var o artifactsOptions
	c := &cobra.Command{
		Use:   "artifacts ID [NAME]",
		Short: "list or print the files that a job left",
		Long: `Lists the files that a job declared as its outputs and left, with size and digest. With a name it prints that file
on stdout, of the latest attempt that has it, and only where it still is what the ledger says.

With --remove they are removed, all or the one that is named. The ledger says so, with the reason and the digests, and
verifies without them. What is older, or more, than "retention" in the config allows, a tick removes in the same way.`,
		Example: `sheratan artifacts job-7
sheratan artifacts job-7 coverage/unit.out > unit.out
sheratan artifacts --remove job-7 --reason "not needed any more"`,
		Annotations: workspaceExits(),
		Args:        cobra.RangeArgs(1, 2),
	}
	f := c.Flags()
	f.IntVar(&o.Attempt, "attempt", 0, "of attempt `N`, from 1; 0 is all")
	f.BoolVar(&o.Remove, "remove", false, "remove the files, which the ledger says")
	f.StringVar(&o.Reason, "reason", "", "with --remove, say why, for the ledger")
	c.ValidArgsFunction = a.completeJobs("completed", "failed")
	c.RunE = a.run(func(ctx context.Context, args []string) error {
		name := ""
		if len(args) == 2 {
			name = args[1]
		}
		switch {
		case o.Attempt < 0:
			return usagef("--attempt %d: want 1 or more, or 0 for all", o.Attempt)
		case o.Remove:
			return a.removeFiles(ctx, "artifacts", args[0],
				pipeline.RemoveOptions{Artifacts: true, Attempt: o.Attempt, Name: name, Reason: o.Reason})
		case o.Reason != "":
			return usagef("--reason: is for --remove")
		}
		return a.with(ctx, func(p *pipeline.Pipeline) error {
			if name != "" {
				return a.printArtifact(ctx, p, args[0], name, o.Attempt)
			}
			return a.listArtifacts(ctx, p, args[0], o.Attempt)
		})
	})
	return c
}

func (a *app) listArtifacts(ctx context.Context, p *pipeline.Pipeline, id string, attempt int) error {
	list, err := p.Artifacts(ctx, id, attempt)
	if err != nil {
		return err
	}
	t := &table{style: a.out.style, header: []string{"NAME", "BYTES", "SHA256", "ATTEMPT", "PATH"}}
	for _, f := range list {
		if a.global.JSON {
			if err := a.out.line(f); err != nil {
				return err
			}
			continue
		}
		where := f.Path
		if f.Removed != "" {
			where = "removed: " + f.Removed
		}
		t.add(f.Name, fmt.Sprint(f.Bytes), f.SHA256[:min(16, len(f.SHA256))], fmt.Sprint(f.Attempt), where)
	}
	switch {
	case len(list) > 0:
	case attempt > 0:
		a.people.note("%s: attempt %d left no files", id, attempt)
	default:
		a.people.note("%s: left no files; a proposal declares them in \"outputs\"", id)
	}
	return t.flush(a.out)
}

func (a *app) printArtifact(ctx context.Context, p *pipeline.Pipeline, id, name string, attempt int) error {
	f, err := p.OpenArtifact(ctx, id, name, attempt)
	if err != nil {
		return err
	}
	defer f.Close()
	a.streaming()
	var w io.Writer = a.out
	if a.env.StdoutTTY {
		w = &textTerminal{w: w}
	}
	_, err = io.Copy(w, f)
	return err
}

// removeFiles removes files of a job and prints each.
func (a *app) removeFiles(ctx context.Context, command, id string, o pipeline.RemoveOptions) error {
	if o.Reason == "" {
		return &usageError{usagef("--remove: say why, for the ledger: --reason TEXT"), "sheratan " + command + " --help"}
	}
	if err := a.refuseInsideJob(command + " --remove"); err != nil {
		return err
	}
	return a.with(ctx, func(p *pipeline.Pipeline) error {
		list, err := p.RemoveFiles(ctx, id, o)
		for _, r := range list {
			if a.global.JSON {
				err = joined(err, a.out.line(r))
			} else {
				err = joined(err, a.out.printf("%s  removed  %s\n", escape(r.JobID), escape(r.Path)))
			}
		}
		if err == nil && len(list) == 0 {
			a.people.note("%s: there is nothing to remove", id)
		}
		return err
	})
}
