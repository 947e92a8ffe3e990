package cli

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/sheratan/sheratan/pipeline"
	"github.com/sheratan/sheratan/runtime/workspace"
)

// find returns the workspace that the command is about.
func (a *app) find() (*workspace.Workspace, error) {
	if a.env.DirErr != nil && a.global.Workspace == "" {
		return nil, fmt.Errorf("working directory: %w", a.env.DirErr)
	}
	return workspace.Find(a.env.Dir, a.global.Workspace, a.env.Getenv(workspace.EnvWorkspace))
}

// options are what the pipeline takes from this process.
func (a *app) options() pipeline.Options {
	return pipeline.Options{
		Now:      a.env.Now,
		Notify:   func(n pipeline.Notice) { a.people.say(n.Level, n.Text) },
		Actor:    a.actor(),
		NoCommit: a.global.NoCommit,
		Worker:   workerArgv(),
		Getenv:   a.env.Getenv,
		Environ:  a.environ(),
	}
}

// environ is the environment of this process, none where nobody gave one.
func (a *app) environ() []string {
	if a.env.Environ == nil {
		return nil
	}
	return a.env.Environ()
}

// actor names who is at the keyboard, as the ledger does.
func (a *app) actor() string { return fmt.Sprintf("uid:%d", os.Getuid()) }

// with calls fn with the workspace's pipeline and closes it: what was written is committed also when fn failed or was
// interrupted.
func (a *app) with(ctx context.Context, fn func(*pipeline.Pipeline) error) (err error) {
	ws, err := a.find()
	if err != nil {
		return err
	}
	o := a.options()
	hurry, calm := a.hurry()
	defer calm()
	o.Hurry = hurry
	p, err := pipeline.Open(ctx, ws, o)
	if err != nil {
		return err
	}
	defer func() { err = joined(err, p.Close(context.WithoutCancel(ctx))) }()
	return fn(p)
}

// joined returns the first error, and the second with it where there are two.
func joined(first, second error) error {
	if second == nil {
		return first
	}
	var o outcome
	if first == nil || errors.As(first, &o) {
		return second
	}
	return errors.Join(first, second)
}

// streaming makes every line of the result go out at once: another stage may be waiting for it.
func (a *app) streaming() { a.out.live = true }
