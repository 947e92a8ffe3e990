package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sheratan/sheratan/pipeline"
	"github.com/sheratan/sheratan/pipeline/job"
)

type statusOptions struct {
	Watch    bool
	Interval time.Duration
}

func newStatus(a *app) *cobra.Command {
	var o statusOptions
	c := &cobra.Command{
		Use:   "status",
		Short: "say how things are",
		Long: `Prints in one screen what lies in the inbox, how many jobs there are in each state, what is paused, how long
the ledger is, and which hosts there are.

With --watch it stays until interrupted. On a terminal that is a live view, which q ends as well: the queue by priority
and source, what runs and since when, the hosts, and the last events, drawn anew once per --interval and whenever there
are new events. Where stdout is no terminal, or with --json, the status is printed again whenever it has changed.`,
		Example: `sheratan status
sheratan status --watch
sheratan status --json | jq .jobs`,
		Annotations: workspaceExits(exitInterrupted),
		Args:        cobra.NoArgs,
	}
	c.Flags().BoolVar(&o.Watch, "watch", false, "stay, and show what changes, until interrupted")
	c.Flags().DurationVar(&o.Interval, "interval", time.Second, "with --watch, draw at least every `TIME`")
	c.RunE = a.run(func(ctx context.Context, _ []string) error {
		if o.Interval <= 0 {
			return usagef("--interval: want a time above zero")
		}
		return runStatus(ctx, a, &o)
	})
	return c
}

func runStatus(ctx context.Context, a *app, o *statusOptions) error {
	return a.with(ctx, func(p *pipeline.Pipeline) error {
		if o.Watch {
			return runWatch(ctx, a, p, o)
		}
		s, err := p.Status(ctx)
		if err != nil {
			return err
		}
		return a.show(s, a.statusText(p.Workspace().Root(), s))
	})
}

// statusText is the status for people.
func (a *app) statusText(root string, s pipeline.Status) string {
	style := a.out.style
	var b strings.Builder
	row := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-12s %s\n", name, fmt.Sprintf(format, args...))
	}
	row("workspace", "%s", escape(root))
	row("state", "%s", style.word(s.State))
	for _, pause := range s.Paused {
		row("paused", "%s%s", everything(pause.Source), because(pause.Reason))
	}
	if s.Rules != "" {
		row("rules", "%s; the loop begins nothing until they are mended", escape(s.Rules))
	}
	row("inbox", "%d", s.Inbox)
	for _, stray := range s.Strays {
		row("left alone", "%s", escape(stray))
	}
	for _, st := range job.Statuses {
		n := s.Jobs[string(st)]
		if st == job.StatusQuarantined {
			row(style.pad(string(st), 12), "%d%s", n, blockedText(s))
			continue
		}
		row(style.pad(string(st), 12), "%d", n)
	}
	row("ledger", "%d events, root %s", s.Ledger.Size, escape(clip(s.Ledger.Root, 16)))
	for _, h := range s.Hosts {
		slots := fmt.Sprint(h.MaxConcurrent)
		if h.MaxConcurrent == 0 {
			slots = "unlimited"
		}
		row("host", "%s, %s, %d of %s slots", escape(h.ID), style.word(string(h.Status)), h.CurrentJobs, slots)
	}
	return b.String()
}

// blockedText says where to go with blocked jobs.
func blockedText(s pipeline.Status) string {
	if s.Blocked == 0 {
		return ""
	}
	return "   (sheratan jobs --status quarantined)"
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + escape(reason)
}
