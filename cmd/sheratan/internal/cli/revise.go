package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/sheratan/sheratan/pipeline"
	"github.com/sheratan/sheratan/pipeline/job"
)

func newRevise(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "revise ID [FILE | -]",
		Short: "propose a new version of a job",
		Long: `Proposes a new version of a blocked, failed or cancelled job, from FILE or from your editor ($VISUAL, $EDITOR,
vi). It has a new id and the same idempotency key, names the job that it revises, and goes through all gates.
A blocked old version is cancelled. Jobs that depend on the old version wait for the new one.`,
		Example: `sheratan revise job-7
sheratan revise job-7 better.json`,
		Annotations: workspaceExits(exitBlocked),
		Args:        cobra.RangeArgs(1, 2),
	}
	complete := a.completeJobs(string(job.StatusQuarantined), string(job.StatusFailed), string(job.StatusCancelled))
	c.ValidArgsFunction = func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveDefault
		}
		return complete(cmd, args, word)
	}
	c.RunE = a.run(func(ctx context.Context, args []string) error {
		if err := a.refuseInsideJob("revise"); err != nil {
			return err
		}
		return a.with(ctx, func(p *pipeline.Pipeline) error { return runRevise(ctx, a, p, args) })
	})
	return c
}

func runRevise(ctx context.Context, a *app, p *pipeline.Pipeline, args []string) error {
	id := args[0]
	var (
		d   pipeline.Draft
		err error
	)
	switch {
	case len(args) == 1:
		d, err = a.edit(ctx, p, id)
	case args[1] == "-":
		d.Name = "-"
		d.Data, err = io.ReadAll(a.env.Stdin)
	default:
		d, err = a.readOne(args[1])
	}
	if err != nil {
		return err
	}
	if d.Data == nil {
		a.people.note("%s: nothing was changed, so nothing is proposed", id)
		return nil
	}
	line, err := p.Revise(ctx, id, d)
	if err != nil && len(args) == 1 {
		return keepEdited(d, err)
	}
	if err != nil {
		return err
	}
	if err := a.printVerdict(line); err != nil {
		return err
	}
	var v verdicts
	v.add(line.Status)
	return v.outcome()
}

// readOne reads a file that holds a single proposal.
func (a *app) readOne(name string) (pipeline.Draft, error) {
	list, err := a.readDrafts(name)
	if err != nil {
		return pipeline.Draft{}, err
	}
	if len(list) != 1 {
		return pipeline.Draft{}, &pipeline.InputError{File: name, Message: fmt.Sprintf("holds %d proposals, want one", len(list))}
	}
	return list[0], nil
}

// edit lets the operator change the proposal of a job. Data is nil where it was left as it was. Where the editor fails, what it
// left behind is kept, and its place is named.
func (a *app) edit(ctx context.Context, p *pipeline.Pipeline, id string) (pipeline.Draft, error) {
	before, err := p.Proposal(ctx, id)
	if err != nil {
		return pipeline.Draft{}, err
	}
	if !a.env.StdinTTY {
		return pipeline.Draft{}, hint(errors.New("no terminal for an editor"), "sheratan revise "+shellWord(id)+" FILE")
	}
	dir, err := os.MkdirTemp("", "sheratan-revise-")
	if err != nil {
		return pipeline.Draft{}, err
	}
	path := filepath.Join(dir, "proposal.json")
	if err := os.WriteFile(path, append(bytes.TrimRight(before, "\n"), '\n'), 0o600); err != nil {
		return pipeline.Draft{}, err
	}
	if err := a.runEditor(ctx, path); err != nil {
		return pipeline.Draft{}, fmt.Errorf("editor: %w; the text is in %s", err, path)
	}
	after, err := os.ReadFile(path)
	if err != nil {
		return pipeline.Draft{}, err
	}
	if err := os.RemoveAll(dir); err != nil {
		return pipeline.Draft{}, err
	}
	if bytes.Equal(bytes.TrimSpace(before), bytes.TrimSpace(after)) {
		return pipeline.Draft{}, nil
	}
	return pipeline.Draft{Name: "proposal.json", Data: after}, nil
}

// keepEdited keeps a version from the editor that could not be taken, and adds its place to the error.
func keepEdited(d pipeline.Draft, err error) error {
	f, ferr := os.CreateTemp("", "sheratan-revise-*.json")
	if ferr != nil {
		return errors.Join(err, ferr)
	}
	_, ferr = f.Write(d.Data)
	if ferr = errors.Join(ferr, f.Close()); ferr != nil {
		return errors.Join(err, ferr)
	}
	return fmt.Errorf("%w; the text is in %s", err, f.Name())
}

// runEditor starts the editor of the user through the shell, as git does: the variable may hold arguments.
func (a *app) runEditor(ctx context.Context, path string) error {
	editor := "vi"
	for _, name := range []string{"VISUAL", "EDITOR"} {
		if v := a.env.Getenv(name); v != "" {
			editor = v
			break
		}
	}
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", editor+` "$1"`, "sh", path)
	cmd.Dir, cmd.Env = a.env.Dir, a.env.Environ()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = a.env.Stdin, a.env.Stdout, a.env.Stderr
	return cmd.Run()
}
