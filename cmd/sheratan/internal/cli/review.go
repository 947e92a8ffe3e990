package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/sheratan/sheratan/pipeline"
	"github.com/sheratan/sheratan/pipeline/job"
)

type reviewOptions struct {
	Source  string
	Mission string
	All     bool
}

func newReview(a *app) *cobra.Command {
	var o reviewOptions
	c := &cobra.Command{
		Use:   "review [ID...]",
		Short: "go through what waits for a decision, on a terminal",
		Long: `Shows the blocked jobs that wait for a person one after the other, urgent ones first: the proposal, what the gates and
the auditors said, and what they suggest as a diff. One key decides: a approves these bytes, r rejects them, e opens
an editor for a new version, p takes over the changes of the auditor and g those of the gates as a new version. n and
b go to the next and back, ? lists all keys.

A job is approved as with approve, for exactly the bytes that were shown, and only after all of it was on the screen.
What somebody else decides meanwhile is taken notice of; nothing is locked while it waits for you. Who decided is
taken from the operating system.`,
		Example: `sheratan review
sheratan review --source crawler
sheratan review job-7 job-8`,
		Annotations: workspaceExits(exitInterrupted),
	}
	f := c.Flags()
	f.StringVar(&o.Source, "source", "", "only jobs of `SOURCE`")
	f.StringVar(&o.Mission, "mission", "", "only jobs of the mission `ID`")
	f.BoolVar(&o.All, "all", false, "also jobs that nobody may allow as they are")
	c.ValidArgsFunction = a.completeJobs(string(job.StatusQuarantined))
	c.RunE = a.run(func(ctx context.Context, args []string) error {
		if len(args) > 0 && (o != reviewOptions{}) {
			return usagef("%s: jobs are named, or selected by --source, --mission and --all, not both", args[0])
		}
		if err := a.refuseInsideJob("review"); err != nil {
			return err
		}
		if !a.env.StdinTTY || !a.env.StdoutTTY || a.env.Raw == nil || a.global.JSON {
			return hint(errors.New("review: needs a terminal for keys and pictures"), "sheratan jobs --status quarantined, and sheratan approve ID")
		}
		return a.with(ctx, func(p *pipeline.Pipeline) error { return runReview(ctx, a, p, &o, args) })
	})
	return c
}

// reviewer is one person at the queue.
type reviewer struct {
	a      *app
	p      *pipeline.Pipeline
	screen reviewScreen
	keys   *keyReader
	done   []pipeline.GateLine // what was decided
}

// runReview shows the queue until a key or ctx ends it.
func runReview(ctx context.Context, a *app, p *pipeline.Pipeline, o *reviewOptions, ids []string) (err error) {
	if len(ids) == 0 {
		if ids, err = p.Waiting(ctx, o.Source, o.Mission, o.All); err != nil {
			return err
		}
	} else if _, err := p.Pending(ctx, ids); err != nil {
		return err
	}
	if len(ids) == 0 {
		a.people.note("nothing waits for a decision")
		return nil
	}
	w := &reviewer{a: a, p: p, screen: reviewScreen{style: a.out.style, queue: ids}, keys: newKeyReader(a.env.Stdin)}
	leave, err := a.fullScreen()
	if err != nil {
		return err
	}
	defer func() {
		err = joined(err, leave())
		for _, l := range w.done {
			err = joined(err, a.printVerdict(l))
		}
	}()
	err = w.loop(ctx, &leave)
	if errors.Is(err, errQuit) {
		return nil
	}
	return err
}

// fullScreen takes the terminal: the other screen, and keys instead of lines. leave gives it back.
func (a *app) fullScreen() (leave func() error, err error) {
	restore, err := a.env.Raw()
	if err != nil {
		return nil, err
	}
	back := func() error {
		err := a.out.printf(leaveScreen)
		err = joined(err, a.out.flush())
		restore()
		return err
	}
	if err := joined(a.out.printf(enterScreen), a.out.flush()); err != nil {
		return nil, joined(err, back())
	}
	return back, nil
}

// loop draws, and obeys keys. leave is how the terminal is given back, another one after an editor had it.
func (w *reviewer) loop(ctx context.Context, leave *func() error) error {
	look := time.NewTicker(watchPoll)
	defer look.Stop()
	if err := w.load(ctx); err != nil {
		return err
	}
	size, err := w.p.LedgerSize()
	if err != nil {
		return err
	}
	last := ""
	draw := func() error {
		if len(w.screen.queue) == 0 {
			return nil
		}
		columns, rows := w.a.env.size()
		picture := w.screen.draw(columns, rows)
		if picture == last {
			return nil
		}
		last = picture
		return joined(w.a.out.printf("%s", picture), w.a.out.flush())
	}
	for {
		if len(w.screen.queue) == 0 {
			return errQuit
		}
		if err := draw(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case typed := <-w.keys.next():
			w.keys.taken()
			if typed.err != nil {
				return fmt.Errorf("terminal: %w", typed.err)
			}
			for _, k := range splitKeys(typed.bytes) {
				last = "" // a message of ours may have come between
				// Each key is answered by a picture, for a job is read when all of it was on the screen.
				if err := w.obey(ctx, k, leave); err != nil {
					return err
				}
				if err := draw(); err != nil {
					return err
				}
			}
			if size, err = w.p.LedgerSize(); err != nil {
				return err
			}
		case <-look.C:
			// Others decide too: what is shown has to be what is.
			now, err := w.p.LedgerSize()
			if err != nil {
				return err
			}
			if now != size {
				size = now
				if err := w.refresh(ctx); err != nil {
					return err
				}
			}
		}
	}
}

// load reads the job that is to be shown. One that does not wait any more leaves the queue.
func (w *reviewer) load(ctx context.Context) error {
	for len(w.screen.queue) > 0 {
		s := &w.screen
		s.at = min(max(s.at, 0), len(s.queue)-1)
		l, err := w.p.Look(ctx, s.queue[s.at])
		var state *pipeline.StateError
		if errors.As(err, &state) {
			s.say("%s is %s now", state.ID, state.Status)
			s.drop()
			continue
		}
		if err != nil {
			return err
		}
		s.show(l, reviewLines(w.a, &l))
		return nil
	}
	return nil
}

// refresh reads the job again that is shown, and keeps the place where it is the same still.
func (w *reviewer) refresh(ctx context.Context) error {
	before := w.screen
	if err := w.load(ctx); err != nil {
		return err
	}
	s := &w.screen
	if len(s.queue) == 0 || s.look.Job.ID != before.look.Job.ID {
		return nil
	}
	if s.look.DocumentSHA256 != before.look.DocumentSHA256 {
		s.say("%s is another document now", s.look.Job.ID)
		return nil
	}
	s.top, s.seen, s.ask, s.input, s.armed = before.top, before.seen, before.ask, before.input, before.armed
	return nil
}
