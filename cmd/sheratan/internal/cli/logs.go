package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/sheratan/sheratan/pipeline"
	"github.com/sheratan/sheratan/pipeline/job"
)

type logsOptions struct {
	Stdout, Stderr bool
	Follow         bool
	Raw            bool
}

func newLogs(a *app) *cobra.Command {
	var o logsOptions
	c := &cobra.Command{
		Use:   "logs ID",
		Short: "print what a job wrote",
		Long: `Prints what the latest attempt of a job wrote: its stdout on stdout, its stderr on stderr. On a terminal, what
could control the terminal is shown instead of sent; --raw sends it.`,
		Example: `sheratan logs job-7
sheratan logs job-7 --follow
sheratan logs job-7 --stdout > out.txt`,
		Annotations: workspaceExits(exitInterrupted),
		Args:        cobra.ExactArgs(1),
	}
	f := c.Flags()
	f.BoolVar(&o.Stdout, "stdout", false, "only what it wrote to stdout")
	f.BoolVar(&o.Stderr, "stderr", false, "only what it wrote to stderr")
	f.BoolVarP(&o.Follow, "follow", "f", false, "print what comes until the job ends")
	f.BoolVar(&o.Raw, "raw", false, "print bytes as they are, also on a terminal")
	c.ValidArgsFunction = a.completeJobs("running", "completed", "failed")
	c.RunE = a.run(func(ctx context.Context, args []string) error {
		if !o.Stdout && !o.Stderr {
			o.Stdout, o.Stderr = true, true
		}
		return a.with(ctx, func(p *pipeline.Pipeline) error { return runLogs(ctx, a, p, &o, args[0]) })
	})
	return c
}

// logLine is what logs prints with --json.
type logLine struct {
	JobID  string     `json:"job_id"`
	Status string     `json:"status"`
	Stdout job.Output `json:"stdout"`
	Stderr job.Output `json:"stderr"`
}

// logPoll is how often a running job's files are looked at.
const logPoll = 200 * time.Millisecond

func runLogs(ctx context.Context, a *app, p *pipeline.Pipeline, o *logsOptions, id string) error {
	if a.global.JSON {
		return logsJSON(ctx, a, p, id)
	}
	a.streaming()
	out := &tail{w: a.out}
	errs := &tail{w: a.people.stderr()}
	if a.env.StdoutTTY && !o.Raw {
		out.w = &textTerminal{w: out.w}
	}
	if a.env.StderrTTY && !o.Raw {
		errs.w = &textTerminal{w: errs.w}
	}
	for {
		stdout, stderr, r, running, err := p.Outputs(ctx, id)
		if err != nil {
			return err
		}
		out.path, errs.path = stdout, stderr
		if o.Stdout {
			err = out.copy()
		}
		if o.Stderr && err == nil {
			err = errs.copy()
		}
		if err != nil {
			return err
		}
		switch {
		case running && o.Follow:
		case running:
			a.people.hint("sheratan logs --follow %s", shellWord(id))
			return nil
		case r == nil:
			a.people.note("%s: has not run", id)
			return nil
		default:
			if r.Stdout.Truncated || r.Stderr.Truncated {
				a.people.warn("%s: wrote more than is kept: %d bytes to stdout, %d to stderr", id, r.Stdout.Bytes, r.Stderr.Bytes)
			}
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(logPoll):
		}
	}
}

func logsJSON(ctx context.Context, a *app, p *pipeline.Pipeline, id string) error {
	j, err := p.Job(ctx, id)
	if err != nil {
		return err
	}
	_, _, r, _, err := p.Outputs(ctx, id)
	if err != nil {
		return err
	}
	l := logLine{JobID: id, Status: string(j.Status)}
	if r != nil {
		l.Stdout, l.Stderr = r.Stdout, r.Stderr
	}
	return a.out.line(l)
}

// tail copies what was added to a file since the last time. A retry has a file of its own, which begins anew.
type tail struct {
	w    io.Writer
	path string

	current string
	offset  int64
}

func (t *tail) copy() error {
	if t.path == "" {
		return nil
	}
	if t.path != t.current {
		t.current, t.offset = t.path, 0
	}
	f, err := os.Open(t.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // nothing was written yet
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Seek(t.offset, io.SeekStart); err != nil {
		return fmt.Errorf("%s: %w", t.path, err)
	}
	n, err := io.Copy(t.w, f)
	t.offset += n
	return err
}

// textTerminal writes the output of a job to a terminal. A character that is cut in two by a write is put together.
type textTerminal struct {
	w    io.Writer
	rest []byte
}

func (t *textTerminal) Write(p []byte) (int, error) {
	text := append(t.rest, p...)
	end := len(text)
	for i := 1; i < utf8.UTFMax && i <= len(text); i++ {
		if b := text[len(text)-i]; utf8.RuneStart(b) {
			if b >= utf8.RuneSelf && !utf8.FullRune(text[len(text)-i:]) {
				end -= i
			}
			break
		}
	}
	t.rest = append([]byte(nil), text[end:]...)
	if _, err := io.WriteString(t.w, escapeBlock(string(text[:end]))); err != nil {
		return 0, err
	}
	return len(p), nil
}
