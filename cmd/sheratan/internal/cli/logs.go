package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/sheratan/sheratan/pipeline"
	"github.com/sheratan/sheratan/pipeline/job"
)

type logsOptions struct {
	Stdout, Stderr bool
	Follow         bool
	Raw            bool
	Attempt        int
	Remove         bool
	Reason         string
}

func newLogs(a *app) *cobra.Command {
	var o logsOptions
	c := &cobra.Command{
		Use:   "logs ID",
		Short: "print what a job wrote",
		Long: `Prints what an attempt of a job wrote, the latest one where none is named: its stdout on stdout, its stderr on
stderr. With --follow it goes on, through all attempts that come, until the job has ended; it does not matter which
process runs the job. An agent with a user of its own gets what its job wrote when the job has ended. On a terminal,
what could control the terminal is shown instead of sent; --raw sends it.

With --remove the files are removed, of all attempts or of the one that is named. The ledger says so, with the
reason and the digests, and verifies without them. The result keeps the beginning of what was written.`,
		Example: `sheratan logs job-7
sheratan logs -f job-7
sheratan logs job-7 --attempt 1 --stderr
sheratan logs job-7 --stdout > out.txt
sheratan logs --remove job-7 --reason "names of customers"`,
		Annotations: workspaceExits(exitInterrupted),
		Args:        cobra.ExactArgs(1),
	}
	f := c.Flags()
	f.BoolVar(&o.Stdout, "stdout", false, "only what it wrote to stdout")
	f.BoolVar(&o.Stderr, "stderr", false, "only what it wrote to stderr")
	f.BoolVarP(&o.Follow, "follow", "f", false, "print what comes until the job ends")
	f.BoolVar(&o.Raw, "raw", false, "print bytes as they are, also on a terminal")
	f.IntVar(&o.Attempt, "attempt", 0, "of attempt `N`, from 1; 0 is the latest")
	f.BoolVar(&o.Remove, "remove", false, "remove the files instead, which the ledger says")
	f.StringVar(&o.Reason, "reason", "", "with --remove, say why, for the ledger")
	c.ValidArgsFunction = a.completeJobs("running", "completed", "failed")
	c.RunE = a.run(func(ctx context.Context, args []string) error {
		if o.Attempt < 0 {
			return usagef("--attempt %d: want 1 or more, or 0 for the latest", o.Attempt)
		}
		if o.Remove {
			return o.remove(ctx, a, args[0])
		}
		if o.Reason != "" {
			return usagef("--reason: is for --remove")
		}
		if !o.Stdout && !o.Stderr {
			o.Stdout, o.Stderr = true, true
		}
		if own, ok := a.own(); ok {
			return own.logs(ctx, args[0], &o)
		}
		return a.with(ctx, func(p *pipeline.Pipeline) error { return runLogs(ctx, a, p, &o, args[0]) })
	})
	return c
}

func (o *logsOptions) remove(ctx context.Context, a *app, id string) error {
	if o.Follow {
		return usagef("--remove: not together with --follow")
	}
	r := pipeline.RemoveOptions{Attempt: o.Attempt, Reason: o.Reason}
	switch {
	case o.Stdout && !o.Stderr:
		r.Name = "stdout"
	case o.Stderr && !o.Stdout:
		r.Name = "stderr"
	}
	return a.removeFiles(ctx, "logs", id, r)
}

// logLine is what logs prints with --json.
type logLine struct {
	JobID   string     `json:"job_id"`
	Status  string     `json:"status"`
	Attempt int        `json:"attempt"`
	Stdout  job.Output `json:"stdout"`
	Stderr  job.Output `json:"stderr"`
}

// logPoll is how often a running job's files are looked at.
const logPoll = 200 * time.Millisecond

func runLogs(ctx context.Context, a *app, p *pipeline.Pipeline, o *logsOptions, id string) error {
	if a.global.JSON {
		return logsJSON(ctx, a, p, o, id)
	}
	a.streaming()
	l := &logReader{o: o, out: tail{w: a.out}, errs: tail{w: a.people.stderr()}}
	if a.env.StdoutTTY && !o.Raw {
		l.out.w = &textTerminal{w: l.out.w}
	}
	if a.env.StderrTTY && !o.Raw {
		l.errs.w = &textTerminal{w: l.errs.w}
	}
	for {
		v, err := p.Outputs(ctx, id, o.Attempt)
		if err != nil {
			return err
		}
		if l.attempt > 0 && v.Attempt != l.attempt {
			// The one before may have written more between the last look and its end.
			before, err := p.Outputs(ctx, id, l.attempt)
			if err != nil {
				return err
			}
			if err := l.copy(before); err != nil {
				return err
			}
		}
		if err := l.copy(v); err != nil {
			return err
		}
		if !v.Live || !o.Follow {
			a.logsEnd(&v, o)
			return nil
		}
		if err := a.out.flush(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(logPoll):
		}
	}
}

// logsEnd says what the output itself does not.
func (a *app) logsEnd(v *pipeline.Outputs, o *logsOptions) {
	for _, s := range []struct {
		name  string
		asked bool
	}{{"stdout", o.Stdout}, {"stderr", o.Stderr}} {
		if reason, ok := v.Removed[s.name]; ok && s.asked {
			a.people.note("%s: %s of attempt %d was removed: %s", v.JobID, s.name, v.Attempt, reason)
		}
	}
	switch r := v.Result; {
	case v.Attempt == 0:
		a.people.note("%s: has not run", v.JobID)
	case v.Live:
		a.people.hint("sheratan logs --follow %s", shellWord(v.JobID))
	case r == nil:
		a.people.note("%s: attempt %d has no result; this is what it wrote", v.JobID, v.Attempt)
	case r.Stdout.Truncated || r.Stderr.Truncated:
		a.people.warn("%s: wrote more than is kept: %d bytes to stdout, %d to stderr", v.JobID, r.Stdout.Bytes, r.Stderr.Bytes)
	}
}

func logsJSON(ctx context.Context, a *app, p *pipeline.Pipeline, o *logsOptions, id string) error {
	v, err := p.Outputs(ctx, id, o.Attempt)
	if err != nil {
		return err
	}
	l := logLine{JobID: id, Status: string(v.Status), Attempt: v.Attempt}
	if v.Result != nil {
		l.Stdout, l.Stderr = v.Result.Stdout, v.Result.Stderr
	}
	return a.out.line(l)
}

// logReader prints what attempts write, as it comes.
type logReader struct {
	o         *logsOptions
	out, errs tail
	attempt   int
}

// copy prints what came since the last time. The file of an attempt may have another name than it had then.
func (l *logReader) copy(v pipeline.Outputs) error {
	if v.Attempt != l.attempt {
		l.attempt, l.out.offset, l.errs.offset = v.Attempt, 0, 0
	}
	var err error
	if l.o.Stdout {
		err = l.out.copy(v.Stdout)
	}
	if l.o.Stderr && err == nil {
		err = l.errs.copy(v.Stderr)
	}
	return err
}

// tail copies what was added to a file since the last time.
type tail struct {
	w      io.Writer
	offset int64
}

func (t *tail) copy(path string) error {
	if path == "" {
		return nil
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // nothing was written yet, or it has just got its last name
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Seek(t.offset, io.SeekStart); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	n, err := io.Copy(t.w, f)
	t.offset += n
	return err
}
