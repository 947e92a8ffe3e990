package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sheratan/sheratan/pipeline"
	"github.com/sheratan/sheratan/runtime/ledger"
)

func newLedger(a *app) *cobra.Command {
	return family(&cobra.Command{
		Use:   "ledger",
		Short: "read and prove history",
		Long: `The ledger has one event per line, each chained to the one before, and is committed to git in runtime/.git.
These commands read it and check it.`,
		Example: `sheratan ledger log --job job-7
sheratan ledger verify`,
	}, newLedgerLog(a), newLedgerShow(a), newLedgerTail(a), newLedgerVerify(a))
}

// eventOptions select events.
type eventOptions struct {
	Job, Event, Actor, Trace string
	Since, Until             string
	Seq                      string
}

func (o *eventOptions) addFlags(a *app, c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.Job, "job", "", "only events of the job with this `ID`")
	f.StringVar(&o.Event, "event", "", "only events of this `NAME`, such as JOB_BLOCKED")
	f.StringVar(&o.Actor, "actor", "", "only events by `ACTOR`")
	f.StringVar(&o.Trace, "trace", "", "only events with the trace `ID`")
	f.StringVar(&o.Since, "since", "", "only events from `TIME` on: 2h, 3d, 2026-01-31 or RFC 3339")
	f.StringVar(&o.Until, "until", "", "only events before `TIME`")
	f.StringVar(&o.Seq, "seq", "", "only events with these sequence `NUMBERS`: 12, 12-20, 12- or -20")
	_ = c.RegisterFlagCompletionFunc("job", a.completeJobs())
	_ = c.RegisterFlagCompletionFunc("event", completeWords(eventNames()...))
}

func (o *eventOptions) filter(a *app) (pipeline.EventFilter, error) {
	f := pipeline.EventFilter{Job: o.Job, Event: strings.ToUpper(o.Event), Actor: o.Actor, Trace: o.Trace}
	var err error
	if f.Since, err = parseMoment(o.Since, a.env.Now()); err != nil {
		return f, usagef("--since %w", err)
	}
	if f.Until, err = parseMoment(o.Until, a.env.Now()); err != nil {
		return f, usagef("--until %w", err)
	}
	if f.Event != "" && !knownEvent(f.Event) {
		return f, usagef("--event %q: no event has this name", o.Event)
	}
	if o.Seq != "" {
		if f.From, f.To, err = parseRange(o.Seq); err != nil {
			return f, usagef("--seq %w", err)
		}
	}
	return f, nil
}

func newLedgerLog(a *app) *cobra.Command {
	var (
		o       eventOptions
		limit   int
		reverse bool
	)
	c := &cobra.Command{
		Use:   "log",
		Short: "print events",
		Long:  `Prints the events that were asked for, the oldest first. With --json it prints the very lines of the ledger.`,
		Example: `sheratan ledger log --since 1h
sheratan ledger log --event JOB_BLOCKED --json
sheratan ledger log --reverse --limit 20`,
		Annotations: workspaceExits(),
		Args:        cobra.NoArgs,
	}
	o.addFlags(a, c)
	c.Flags().IntVar(&limit, "limit", 0, "at most `N` events; 0 is all")
	c.Flags().BoolVar(&reverse, "reverse", false, "the newest first")
	c.RunE = a.run(func(ctx context.Context, _ []string) error {
		f, err := o.filter(a)
		if err != nil {
			return err
		}
		if limit < 0 {
			return usagef("--limit %d: want 0 or more", limit)
		}
		f.Limit, f.Reverse = limit, reverse
		t := &table{style: a.out.style}
		err = a.with(ctx, func(p *pipeline.Pipeline) error {
			return p.Events(ctx, f, func(line []byte, ev ledger.Event) error { return a.printEvent(t, line, &ev) })
		})
		return joined(err, t.flush(a.out))
	})
	return c
}

// printEvent prints an event: its line with --json, else a row of t.
func (a *app) printEvent(t *table, line []byte, ev *ledger.Event) error {
	if a.global.JSON {
		return a.out.printf("%s\n", line)
	}
	t.add(fmt.Sprintf("#%d", ev.Seq), a.clockTime(ev.Timestamp), string(ev.Event), ev.JobID, ev.Actor, eventText(ev))
	if t.full() {
		return t.flush(a.out)
	}
	return nil
}

// eventText says in a few words what an event adds to its name.
func eventText(ev *ledger.Event) string {
	if ev.JobID != "" {
		return pipeline.Describe(*ev)
	}
	var m map[string]any
	if json.Unmarshal(ev.Meta, &m) != nil {
		return string(ev.Meta)
	}
	var parts []string
	for _, k := range sortedKeys(m) {
		switch v := m[k].(type) {
		case float64:
			if v != 0 && k != "offset" && k != "bytes" { // the place of the document is for programs
				parts = append(parts, fmt.Sprintf("%s=%v", k, v))
			}
		case string:
			if v != "" {
				parts = append(parts, k+"="+shortDigest(v))
			}
		case bool:
			if v {
				parts = append(parts, k)
			}
		}
	}
	return strings.Join(parts, " ")
}

// shortDigest shortens a SHA-256 in hexadecimal, and leaves other text as it is.
func shortDigest(s string) string {
	if len(s) == 64 && strings.Trim(s, "0123456789abcdef") == "" {
		return s[:12]
	}
	return s
}

func newLedgerShow(a *app) *cobra.Command {
	var document bool
	c := &cobra.Command{
		Use:   "show NUMBER | EVENT-ID",
		Short: "print one event and the document that it names",
		Long: `Prints one event, by sequence number or event id, and the document that it names by digest: the proposal, the
report, the result. With --json it prints the line of the ledger, with --document only the document.`,
		Example: `sheratan ledger show 42
sheratan ledger show 42 --document | jq .`,
		Annotations: workspaceExits(),
		Args:        cobra.ExactArgs(1),
	}
	c.Flags().BoolVar(&document, "document", false, "print only the document, as it is stored")
	c.RunE = a.run(func(ctx context.Context, args []string) error {
		return a.with(ctx, func(p *pipeline.Pipeline) error {
			_, line, doc, err := p.Event(ctx, args[0])
			switch {
			case err != nil:
				return err
			case document && doc == nil:
				return fmt.Errorf("event %s: names no document", escape(args[0]))
			case document:
				return a.out.printf("%s\n", doc)
			case a.global.JSON:
				return a.out.printf("%s\n", line)
			}
			if err := a.out.printf("%s", indentJSON(line)); err != nil || doc == nil {
				return err
			}
			return a.out.printf("%s\n%s", a.out.style.dim("document:"), indentJSON(doc))
		})
	})
	return c
}

func newLedgerTail(a *app) *cobra.Command {
	var (
		n      int64
		follow bool
	)
	c := &cobra.Command{
		Use:   "tail",
		Short: "print the last events",
		Long:  `Prints the last events; with --follow also those that come, until it is interrupted.`,
		Example: `sheratan ledger tail -n 20
sheratan ledger tail -f --json | jq -r .event`,
		Annotations: workspaceExits(exitInterrupted),
		Args:        cobra.NoArgs,
	}
	c.Flags().Int64VarP(&n, "lines", "n", 10, "begin with the last `N` events")
	c.Flags().BoolVarP(&follow, "follow", "f", false, "print what comes")
	c.RunE = a.run(func(ctx context.Context, _ []string) error {
		if n < 0 {
			return usagef("--lines %d: want 0 or more", n)
		}
		a.streaming()
		return a.with(ctx, func(p *pipeline.Pipeline) error { return runTail(ctx, a, p, n, follow) })
	})
	return c
}

func runTail(ctx context.Context, a *app, p *pipeline.Pipeline, n int64, follow bool) error {
	s, err := p.Status(ctx)
	if err != nil {
		return err
	}
	from := max(0, s.Ledger.Size-n)
	t := &table{style: a.out.style}
	if !follow {
		err := p.Events(ctx, pipeline.EventFilter{From: from, To: s.Ledger.Size}, func(line []byte, ev ledger.Event) error {
			return a.printEvent(t, line, &ev)
		})
		return joined(err, t.flush(a.out))
	}
	return p.Follow(ctx, from, func(line []byte, ev ledger.Event) error {
		if err := a.printEvent(t, line, &ev); err != nil {
			return err
		}
		return t.flush(a.out)
	})
}

func newLedgerVerify(a *app) *cobra.Command {
	var since string
	c := &cobra.Command{
		Use:   "verify",
		Short: "check the whole ledger",
		Long: `Checks the form, order and chain of all events, the digests of all documents, outputs and artifacts that they
name, that the git history agrees with the files, and that the index is what the ledger says. It changes none of them.
A file that is missing because an event says that it was removed is noted, and no finding.

Where only git lacks something, it ends with 14: the next command that writes makes git again from the ledger
and the documents. Events that a running command has yet to commit are noted.

How far the ledger was found whole is remembered in runtime/.sheratan/verified, and each later run makes sure
that the events up to there are the same. With --since last it looks only at the events that came afterwards, and
neither at git nor at the index: an event before them that was altered since is found by a run without --since
alone. Where the last event that was verified is another one now, everything is checked, and it ends with 12.`,
		Example: `sheratan ledger verify
sheratan ledger verify --json | jq .ok
sheratan ledger verify --since last`,
		Annotations: workspaceExits(exitIncomplete, exitInterrupted),
		Args:        cobra.NoArgs,
	}
	c.Flags().StringVar(&since, "since", "", "only what came since the `LAST` verification; the only value is last")
	_ = c.RegisterFlagCompletionFunc("since", completeWords("last"))
	c.RunE = a.run(func(ctx context.Context, _ []string) error {
		if since != "" && since != "last" {
			return usagef("--since %q: want last", since)
		}
		bar := a.progress(pipeline.StepEvents)
		return a.with(ctx, func(p *pipeline.Pipeline) error {
			v, err := p.Verify(ctx, pipeline.VerifyOptions{SinceLast: since != "", Progress: bar.step})
			if err != nil {
				return err
			}
			bar.clear()
			if err := a.show(v, a.verificationText(v)); err != nil {
				return err
			}
			if v.Incomplete() {
				return outcome(exitIncomplete)
			}
			if !v.OK {
				return outcome(exitTampered)
			}
			return nil
		})
	})
	return c
}

func (a *app) verificationText(v pipeline.Verification) string {
	var b strings.Builder
	for _, f := range v.Findings {
		b.WriteString(findingText(f))
	}
	for _, f := range v.Notes {
		b.WriteString(a.out.style.dim("note: ") + findingText(f))
	}
	named := 0
	for _, f := range v.Notes {
		if f.Code == pipeline.CodeFileRemoved {
			named++
		}
	}
	if more := v.Removed - named; more > 0 {
		fmt.Fprintf(&b, "note: and %d more files were removed on purpose\n", more)
	}
	switch s := v.Since; {
	case v.OK && s != nil:
		fmt.Fprintf(&b, "%s: %d new events of %d, root %s\n", a.out.style.word("ok"), v.Size-s.Size, v.Size, escape(v.Root))
		fmt.Fprintf(&b, "not looked at: git, the index, and the first %d events, verified at %s; %d of them with git and index at %s\n",
			s.Size, escape(a.clockTime(s.At)), s.Full, escape(a.clockTime(s.FullAt)))
	case v.OK:
		fmt.Fprintf(&b, "%s: %d events, root %s\n", a.out.style.word("ok"), v.Size, escape(v.Root))
	default:
		fmt.Fprintf(&b, "%s: %d findings in %d events\n", a.out.style.word("bad"), len(v.Findings), v.Size)
	}
	return b.String()
}

func findingText(f pipeline.Finding) string {
	if f.Seq < 0 {
		return fmt.Sprintf("%s: %s\n", escape(f.Code), escape(f.Message))
	}
	return fmt.Sprintf("#%d %s: %s\n", f.Seq, escape(f.Code), escape(f.Message))
}
