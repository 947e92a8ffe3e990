package cli

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"
)

// app is one run of the program: the process, the flags that every command has, and the streams.
type app struct {
	env     Env
	global  globalOptions
	out     *output
	people  *people
	started bool // the command line was understood and a command has begun
	grace   time.Duration
	signals context.Context // ends at the first signal, with its cause
}

// globalOptions are the flags that every command has.
type globalOptions struct {
	Workspace string
	JSON      bool
	NoCommit  bool
	ExitZero  bool
	Quiet     bool
	NoColor   bool
}

func (o *globalOptions) addFlags(root *cobra.Command) {
	f := root.PersistentFlags()
	f.StringVar(&o.Workspace, "workspace", "", "use the workspace in `DIR` ($SHERATAN_WORKSPACE)")
	f.BoolVar(&o.JSON, "json", false, "print one JSON object per line")
	f.BoolVar(&o.NoCommit, "no-commit", false, "leave the git commit to the next command")
	f.BoolVar(&o.ExitZero, "exit-zero", false, "exit 0 also when jobs were blocked or failed")
	f.BoolVarP(&o.Quiet, "quiet", "q", false, "print no notes and hints")
	f.BoolVar(&o.NoColor, "no-color", false, "print no colours ($NO_COLOR)")
}

// Run runs the command line env.Args and returns the exit code. When ctx ends with ErrInterrupted or ErrTerminated as
// its cause, the command stops at the next safe point.
func Run(ctx context.Context, env Env) int {
	if len(env.Args) > 0 && env.Args[0] == workerCommand {
		return runWorker(ctx, env)
	}
	a := &app{env: env, grace: defaultGrace, signals: ctx}
	a.people = newPeople(a)
	a.out = newOutput(a)
	root := newRoot(a)
	root.SetArgs(append([]string{}, env.Args...))
	err := root.ExecuteContext(ctx)
	if err != nil && !a.started {
		err = a.misuse(root, err)
	}
	if ferr := a.out.flush(); ferr != nil && err == nil {
		err = ferr
	}
	code := exitCode(ctx, err)
	a.people.report(err, code)
	if a.global.ExitZero && (code == exitBlocked || code == exitFailed) {
		return exitDone
	}
	return code
}

// misuse turns an error of cobra into a usage error with a command to type.
func (a *app) misuse(root *cobra.Command, err error) error {
	var u *usageError
	if errors.As(err, &u) {
		return err
	}
	if cmd, rest, _ := root.Find(a.env.Args); cmd != nil && cmd != root {
		return &usageError{err, cmd.CommandPath() + " --help"}
	} else if len(rest) > 0 {
		return unknownCommand(root, firstWord(rest))
	}
	return &usageError{err, "sheratan --help"}
}

// unknownCommand is the error for a word that parent has no command for.
func unknownCommand(parent *cobra.Command, word string) error {
	u := &usageError{usagef("%s: no such command", word), parent.CommandPath() + " --help"}
	parent.SuggestionsMinimumDistance = 2
	if near := parent.SuggestionsFor(word); len(near) > 0 {
		u.hint = parent.CommandPath() + " " + near[0]
	}
	return u
}

// firstWord returns the first argument that is no flag.
func firstWord(args []string) string {
	for _, w := range args {
		if len(w) > 0 && w[0] != '-' {
			return w
		}
	}
	return args[0]
}

// run makes the function of a command out of fn. What fails before it is the command line's fault.
func (a *app) run(fn func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		a.started = true
		return fn(cmd.Context(), args)
	}
}

// runFor is run for a command that asks its own flags or the position of "--".
func (a *app) runFor(fn func(ctx context.Context, cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		a.started = true
		return fn(cmd.Context(), cmd, args)
	}
}
