package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/sheratan/sheratan/pipeline"
	"github.com/sheratan/sheratan/pipeline/job"
)

// follow waits for n jobs and prints their results. With through, the job's output is passed on as if it had been started
// here, and the rest goes to stderr.
func follow(ctx context.Context, a *app, p *pipeline.Pipeline, n int, wait func(emit func(job.Result) error) error, through bool) error {
	a.streaming()
	var v verdicts
	bar := a.progress("waiting, done")
	done := int64(0)
	err := wait(func(r job.Result) error {
		v.add(string(r.Status))
		done++
		bar.set(done, int64(n))
		if r.Status == job.StatusQuarantined && !a.global.JSON {
			return a.printBlocked(context.WithoutCancel(ctx), p, r.JobID)
		}
		if through {
			return a.passThrough(p, r)
		}
		if err := a.printResult(r); err != nil {
			return err
		}
		if r.Status == job.StatusQuarantined {
			a.people.hint("sheratan why %s", shellWord(r.JobID))
		}
		return nil
	})
	if err != nil {
		return err
	}
	return v.outcome() // an interrupt after the end of the last job changes no exit code
}

// finish turns what became of jobs into the outcome of a command. Whoever interrupts it learns only that it was.
func finish(ctx context.Context, err error, v *verdicts) error {
	switch {
	case err != nil:
		return err
	case errors.Is(context.Cause(ctx), ErrInterrupted):
		return ErrInterrupted
	}
	return v.outcome()
}

// noteRetry says that a job has failed and waits for another attempt.
func (a *app) noteRetry(w pipeline.RetryWait) {
	a.people.note("job %s failed: %s; retry %d of %d in %s", w.JobID, firstLine(w.Error), w.Retry, w.Most, shortDuration(max(0, w.In)))
}

// noteLeft says that an interrupted wait has left a job as it is.
func (a *app) noteLeft(l pipeline.LeftJob) {
	switch {
	case l.JobID == "":
		a.people.note("a proposal is still in the inbox: a tick takes it in")
		return
	case l.Status == job.StatusRunning:
		a.people.note("job %s runs in another process and goes on", l.JobID)
	default:
		a.people.note("job %s is %s: a tick runs it", l.JobID, l.Status)
	}
	a.people.hint("sheratan cancel %s", shellWord(l.JobID))
}

// noteOthers says why a command goes on when the jobs that it waits for are over.
func (a *app) noteOthers(n int) {
	a.people.note("waiting for %d %s of others that this command has started", n, map[bool]string{true: "job", false: "jobs"}[n == 1])
}

// printResult prints the result of one job, as a line.
func (a *app) printResult(r job.Result) error {
	if a.global.JSON {
		return a.out.line(r)
	}
	return a.out.printf("%s  %s  %s\n", escape(r.JobID), a.out.style.word(string(r.Status)), escape(resultText(r)))
}

// resultText says in a few words how an attempt ended.
func resultText(r job.Result) string {
	var parts []string
	switch {
	case r.DeduplicatedOf != "":
		parts = append(parts, "same key as "+r.DeduplicatedOf)
	case r.Signal != "":
		parts = append(parts, "signal "+r.Signal)
	case r.StartedAt != "" && r.ExitCode >= 0: // below that there was no program, or none that ended
		parts = append(parts, fmt.Sprintf("exit %d", r.ExitCode))
	}
	if r.StartedAt != "" {
		parts = append(parts, shortDuration(time.Duration(r.DurationMS)*time.Millisecond))
	}
	if r.Attempt > 1 {
		parts = append(parts, fmt.Sprintf("attempt %d", r.Attempt))
	}
	if r.Error != "" {
		parts = append(parts, firstLine(r.Error))
	}
	if len(r.Killed) > 0 {
		parts = append(parts, "ended "+strings.Join(r.Killed, " "))
	}
	if s := leftText(r); s != "" {
		parts = append(parts, s)
	}
	return strings.Join(parts, ", ")
}

// leftText says which processes a job left, "" where it left none.
func leftText(r job.Result) string {
	if r.Survivors == 0 && r.Leaked == 0 {
		return ""
	}
	s := fmt.Sprintf("left %d processes", r.Survivors)
	if r.Survivors == 1 {
		s = "left a process"
	}
	if len(r.SurvivorNames) > 0 {
		s += " (" + strings.Join(r.SurvivorNames, " ") + ")"
	}
	if r.Leaked > 0 {
		return fmt.Sprintf("%s, of which %d could not be ended", s, r.Leaked)
	}
	return s + ", ended"
}

// passThrough prints what the job wrote where it wrote it, and on stderr how it ended.
func (a *app) passThrough(p *pipeline.Pipeline, r job.Result) error {
	ws := p.Workspace()
	var out, errs io.Writer = a.out, a.people.stderr()
	if a.env.StdoutTTY {
		out = &textTerminal{w: out}
	}
	if a.env.StderrTTY {
		errs = &textTerminal{w: errs}
	}
	if err := copyOutput(out, ws.Root(), r.Stdout); err != nil {
		return err
	}
	if err := a.out.flush(); err != nil {
		return err
	}
	if err := copyOutput(errs, ws.Root(), r.Stderr); err != nil {
		return err
	}
	a.people.note("job %s %s: %s", r.JobID, r.Status, resultText(r))
	if r.Stdout.Truncated || r.Stderr.Truncated {
		a.people.warn("job %s: wrote more than is kept: %d bytes to stdout, %d to stderr", r.JobID, r.Stdout.Bytes, r.Stderr.Bytes)
	}
	return nil
}

// copyOutput copies the kept bytes of one stream. Where the file is gone, the beginning in the result has to do.
func copyOutput(w io.Writer, root string, o job.Output) error {
	if o.Path == "" {
		_, err := io.WriteString(w, o.Text)
		return err
	}
	f, err := os.Open(root + "/" + o.Path)
	if os.IsNotExist(err) {
		_, err = io.WriteString(w, o.Text)
		return err
	}
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}

// printBlocked says why a job is blocked and what would allow it.
func (a *app) printBlocked(ctx context.Context, p *pipeline.Pipeline, id string) error {
	why, err := p.Why(ctx, id)
	if err != nil {
		return err
	}
	if len(why.Report.Gates) > 0 {
		line := pipeline.GateLine{JobID: id, Status: string(job.StatusQuarantined), Verdict: string(why.Report.Verdict),
			NextAction: string(why.Report.NextAction), Zone: "blocked", Reports: why.Report.Gates}
		if err := a.printVerdict(line); err != nil {
			return err
		}
	}
	for _, command := range why.Unblock {
		a.people.hint("%s", command)
	}
	return nil
}

// firstLine returns s up to its first newline.
func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// shortDuration prints d in at most a handful of characters.
func shortDuration(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd", int(d.Hours())/24)
}

// clockTime prints the time in a document for a person: the time of day for today, with the date otherwise.
func (a *app) clockTime(stamp string) string {
	t, err := job.ParseTime(stamp)
	if err != nil {
		return stamp
	}
	now := a.env.Now()
	t = t.In(now.Location())
	switch {
	case t.Format(time.DateOnly) == now.Format(time.DateOnly):
		return t.Format("15:04:05")
	case t.Year() == now.Year():
		return t.Format("Jan 02 15:04")
	}
	return t.Format(time.DateOnly)
}
