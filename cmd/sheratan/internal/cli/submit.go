package cli

import (
	"cmp"
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sheratan/sheratan/pipeline"
	"github.com/sheratan/sheratan/pipeline/job"
)

// sourceOperator is the source of what a person submits.
const sourceOperator = "operator"

type submitOptions struct {
	proposalOptions
	Source string
	Print  bool
	Wait   bool
}

func (o *submitOptions) addFlags(cmd *cobra.Command) {
	o.proposalOptions.addFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&o.Source, "source", "", "submit as `SOURCE` (default operator)")
	f.BoolVar(&o.Print, "print", false, "print the proposal instead of submitting it")
	f.BoolVar(&o.Wait, "wait", false, "wait for the jobs, run them if nobody else does, and print what became of them")
}

func newSubmit(a *app) *cobra.Command {
	var o submitOptions
	c := &cobra.Command{
		Use:   "submit [flags] FILE... | -",
		Short: "put proposals into the inbox",
		Long: `Puts proposals into the inbox and prints their ids. What was acknowledged survives a crash; nothing is judged
yet.

A FILE holds one proposal, a FILE.jsonl one per line, - reads lines from stdin. A program after -- is proposed
as a job of kind exec, and --kind with --param makes a job of any kind.

With --wait a single job's output goes to stdout and stderr as if it had been started here, and of several
jobs there is a line for each. A note on stderr says when a failed job waits for another attempt. A blocked
job is printed with the reasons, and what would allow it.

SIGINT ends the jobs that run here, and cancels them. SIGTERM lets them go on for --grace first. Jobs that have
not begun stay in the queue.`,
		Example: `sheratan submit proposal.json more.jsonl
sheratan submit --wait -- go vet ./...
sheratan submit --kind file_read --param path=README.md --after fetch-1
sheratan submit --print --kind noop | sheratan submit -`,
		Annotations: usage(workspaceExits(exitBlocked, exitFailed, exitInterrupted),
			"[flags] -- PROGRAM ARG...", "[flags] --kind KIND [--param NAME=VALUE]..."),
	}
	o.addFlags(c)
	a.addGrace(c)
	c.RunE = a.runFor(func(ctx context.Context, cmd *cobra.Command, args []string) error {
		return runSubmit(ctx, a, &o, cmd, args)
	})
	return c
}

func runSubmit(ctx context.Context, a *app, o *submitOptions, cmd *cobra.Command, args []string) error {
	files, argv := splitAtDash(cmd, args)
	made := argv != nil || o.Kind != ""
	switch {
	case made && len(files) > 0:
		return usagef("%s: a proposal is made here or read from files, not both", files[0])
	case argv != nil && len(argv) == 0:
		return usagef("--: no program")
	case !made && len(files) == 0:
		return &usageError{usagef("nothing to submit"), "sheratan submit --wait -- PROGRAM ARG..."}
	}
	if !made {
		for _, name := range proposalFlags {
			if cmd.Flags().Changed(name) {
				return usagef("--%s: applies to a proposal made here, with --kind or a program after --", name)
			}
		}
	}
	if o.Source != "" && !job.ValidID(o.Source) {
		return usagef("--source %q: is no valid name of a source", o.Source)
	}
	drafts, stdin, err := a.drafts(cmd, o, files, argv)
	if err != nil {
		return err
	}
	if o.Print {
		for _, d := range drafts {
			if err := a.out.printf("%s\n", d.Data); err != nil {
				return err
			}
		}
		return nil
	}
	if err := a.refuseFollowUp("submit"); err != nil {
		return err
	}
	source := cmp.Or(o.Source, sourceOperator)
	return a.with(ctx, func(p *pipeline.Pipeline) error {
		return submitAndWait(ctx, a, p, o, source, drafts, stdin)
	})
}

// splitAtDash separates the arguments before "--" from those after it; argv is nil where there is no "--".
func splitAtDash(cmd *cobra.Command, args []string) (files, argv []string) {
	at := cmd.ArgsLenAtDash()
	if at < 0 {
		return args, nil
	}
	return args[:at], append([]string{}, args[at:]...)
}

// drafts collects what is to be submitted, and whether stdin comes on top.
func (a *app) drafts(cmd *cobra.Command, o *submitOptions, files, argv []string) (drafts []pipeline.Draft, stdin bool, err error) {
	if len(files) == 0 {
		data, err := o.build(a, cmd, argv)
		return []pipeline.Draft{{Name: "command line", Data: data}}, false, err
	}
	for _, name := range files {
		if name == "-" {
			stdin = true
			continue
		}
		list, err := a.readDrafts(name)
		if err != nil {
			return nil, false, err
		}
		drafts = append(drafts, list...)
	}
	if o.Print {
		return nil, false, usagef("--print: prints a proposal made here, with --kind or a program after --")
	}
	return drafts, stdin, nil
}

// refuseFollowUp stops a job from submitting. What it proposes would be a follow-up, which has to carry its parent and its
// depth in a way that the job cannot forge, and a file in the inbox carries neither.
func (a *app) refuseFollowUp(command string) error {
	id := a.env.InsideJob(a.env.Getenv)
	if id == "" {
		return nil
	}
	return hint(fmt.Errorf("%s: this runs inside job %s, and jobs cannot propose jobs yet", command, escape(id)),
		"sheratan submit --after "+escape(id)+" -- PROGRAM ARG..., outside of the job")
}

// submitAndWait submits and, with --wait, follows what it submitted.
func submitAndWait(ctx context.Context, a *app, p *pipeline.Pipeline, o *submitOptions, source string, drafts []pipeline.Draft, stdin bool) error {
	var waits *pipeline.Arrivals
	if o.Wait {
		var err error
		if waits, err = p.Arrivals(ctx); err != nil {
			return err
		}
	}
	submit := func(drafts []pipeline.Draft) error {
		done, err := p.Submit(ctx, source, drafts)
		for _, s := range done {
			if o.Wait {
				waits.Expect(s)
				continue
			}
			name := s.JobID
			if name == "" {
				name = s.Path
			}
			if err := a.show(s, escape(name)+"\n"); err != nil {
				return err
			}
		}
		return err
	}
	if len(drafts) > 0 {
		if err := submit(drafts); err != nil {
			return err
		}
	}
	if stdin {
		a.streaming()
		err := a.stdinLines(ctx, rawLine, func(batch []inputLine) error {
			return submit(lineDrafts(batch))
		})
		if err != nil {
			return err
		}
	}
	if o.Wait {
		n := waits.Len()
		return follow(ctx, a, p, n, func(emit func(job.Result) error) error {
			return waits.Wait(ctx, pipeline.WaitOptions{Drive: true, Retrying: a.noteRetry, Left: a.noteLeft, Others: a.noteOthers}, emit)
		}, n == 1 && !a.global.JSON)
	}
	if a.env.StderrTTY {
		a.people.hint("sheratan tick")
	}
	return nil
}

// lineDrafts makes a draft of each line of standard input.
func lineDrafts(batch []inputLine) []pipeline.Draft {
	list := make([]pipeline.Draft, 0, len(batch))
	for _, l := range batch {
		list = append(list, pipeline.Draft{Name: "-", Line: l.number, Data: l.text})
	}
	return list
}
