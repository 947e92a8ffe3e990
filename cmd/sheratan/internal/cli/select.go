package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/sheratan/sheratan/pipeline"
	"github.com/sheratan/sheratan/pipeline/job"
)

// selectOptions choose jobs by what they have in common.
type selectOptions struct{ Source, Mission, Status string }

func (o *selectOptions) addFlags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.Source, "source", "", "all jobs of `SOURCE`")
	f.StringVar(&o.Mission, "mission", "", "all jobs of mission `ID`")
	f.StringVar(&o.Status, "status", "", "all jobs in state `STATUS`")
	_ = c.RegisterFlagCompletionFunc("status", completeWords(statusWords()...))
}

func (o *selectOptions) empty() bool { return o.Source == "" && o.Mission == "" && o.Status == "" }

func statusWords() []string {
	words := make([]string, 0, len(job.Statuses))
	for _, s := range job.Statuses {
		words = append(words, string(s))
	}
	return words
}

// checkStatus refuses words that are no status.
func checkStatus(flag string, words ...string) error {
	for _, w := range words {
		ok := w == ""
		for _, s := range job.Statuses {
			ok = ok || w == string(s)
		}
		if !ok {
			return usagef("%s %q: is none of %v", flag, w, job.Statuses)
		}
	}
	return nil
}

// run calls fn with the jobs that arguments and flags choose, which must be some.
func (o *selectOptions) run(ctx context.Context, a *app, cmd string, args []string,
	fn func(*pipeline.Pipeline, pipeline.Selection) error) error {
	switch {
	case len(args) == 0 && o.empty():
		return &usageError{usagef("%s: which jobs?", cmd), "sheratan " + cmd + " --help"}
	case len(args) > 0 && !o.empty():
		return usagef("%s: jobs are chosen by id or by --source, --mission, --status, not both", cmd)
	}
	if err := checkStatus("--status", o.Status); err != nil {
		return err
	}
	return a.with(ctx, func(p *pipeline.Pipeline) error {
		if !o.empty() {
			return fn(p, pipeline.Selection{Source: o.Source, Mission: o.Mission, Status: o.Status})
		}
		return a.eachIDs(ctx, args, func(ids []string) error { return fn(p, pipeline.Selection{IDs: ids}) })
	})
}

// printChange prints a job that a command moved.
func (a *app) printChange(l pipeline.JobLine) error {
	if a.global.JSON {
		return a.out.line(l)
	}
	return a.out.printf("%s  %s\n", escape(l.ID), a.out.style.word(string(l.Status)))
}

func newCancel(a *app) *cobra.Command {
	var (
		o      selectOptions
		reason string
	)
	c := &cobra.Command{
		Use:   "cancel [ID... | -]",
		Short: "end jobs",
		Long:  `Cancels jobs that wait, are blocked or run. A running one is ended, with all processes that it started.`,
		Example: `sheratan cancel job-7
sheratan cancel --source crawler --status pending --reason "wrong list"`,
		Annotations: workspaceExits(),
		Args:        idArgs(0),
	}
	o.addFlags(c)
	c.Flags().StringVar(&reason, "reason", "", "say why, for the ledger")
	c.ValidArgsFunction = a.completeJobs(string(job.StatusPending), string(job.StatusThrottled), string(job.StatusRunning),
		string(job.StatusQuarantined))
	c.RunE = a.run(func(ctx context.Context, args []string) error {
		return o.run(ctx, a, "cancel", args, func(p *pipeline.Pipeline, s pipeline.Selection) error {
			return p.Cancel(ctx, s, reason, a.printChange)
		})
	})
	return c
}

func newRetry(a *app) *cobra.Command {
	var o selectOptions
	c := &cobra.Command{
		Use:   "retry [ID... | -]",
		Short: "run failed or cancelled jobs again",
		Long: `Makes failed and cancelled jobs pending again, with all their retries. They are gated again before they run. A
rejected job stays as it is: revise it.`,
		Example: `sheratan retry job-7
sheratan retry --source crawler --status failed`,
		Annotations: workspaceExits(),
		Args:        idArgs(0),
	}
	o.addFlags(c)
	c.ValidArgsFunction = a.completeJobs(string(job.StatusFailed), string(job.StatusCancelled))
	c.RunE = a.run(func(ctx context.Context, args []string) error {
		return o.run(ctx, a, "retry", args, func(p *pipeline.Pipeline, s pipeline.Selection) error {
			return p.Retry(ctx, s, a.printChange)
		})
	})
	return c
}
