package cli

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sheratan/sheratan/pipeline"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/workspace"
)

type gateOptions struct {
	Blocked bool
	DryRun  bool
	Settle  bool
	Source  string
}

func newGate(a *app) *cobra.Command {
	var o gateOptions
	c := &cobra.Command{
		Use:   "gate [ID... | FILE... | -]",
		Short: "judge proposals: gates G0 to G4",
		Long: `Takes what lies in the inbox into the ledger and puts it through the gates: barrier, payload, resource,
capability, policy. Without arguments it takes everything. An approved job goes to the queue, others to
queue/blocked.

A file that may still be growing (a .jsonl, or a .json that does not parse) is left until it has been
unchanged for two seconds; --settle waits for that.

--dry-run only reports what the gates would say of files, of - or of the inbox. It needs no workspace: without
one the default rules are used.`,
		Example: `sheratan gate
sheratan gate --json | sheratan dispatch - --json | sheratan run -
sheratan gate --dry-run proposal.json
sheratan gate --blocked job-7`,
		Annotations: workspaceExits(exitBlocked),
	}
	f := c.Flags()
	f.BoolVar(&o.Blocked, "blocked", false, "judge blocked jobs again, under the present rules")
	f.BoolVar(&o.DryRun, "dry-run", false, "only report")
	f.BoolVar(&o.Settle, "settle", false, "wait for files that may still be growing")
	f.StringVar(&o.Source, "source", "", "with --dry-run or -: judge as if from `SOURCE` (default operator)")
	c.ValidArgsFunction = orFiles(a.completeJobs(string(job.StatusQuarantined)))
	c.RunE = a.run(func(ctx context.Context, args []string) error {
		switch {
		case o.DryRun && (o.Blocked || o.Settle):
			return usagef("--dry-run: goes with neither --blocked nor --settle")
		case o.DryRun:
			return runDryGate(ctx, a, &o, args)
		}
		return runGate(ctx, a, &o, args)
	})
	return c
}

func runGate(ctx context.Context, a *app, o *gateOptions, args []string) error {
	a.streaming()
	ids, files, stdin := sortArgs(args)
	if o.Blocked && len(files) > 0 {
		return usagef("%s: --blocked takes ids of jobs", files[0])
	}
	if stdin { // it may bring proposals
		if err := a.refuseFollowUp("gate -"); err != nil {
			return err
		}
	}
	source := cmp.Or(o.Source, sourceOperator)
	return a.with(ctx, func(p *pipeline.Pipeline) error {
		g := &gating{a: a, p: p, bar: a.progress("gating")}
		o := pipeline.GateOptions{IDs: ids, Blocked: o.Blocked && len(ids) == 0 && !stdin, Settle: o.Settle}
		for _, f := range files {
			path, err := a.inInbox(p.Workspace(), f)
			if err != nil {
				return err
			}
			o.Files = append(o.Files, path)
		}
		if !stdin || len(ids)+len(files) > 0 {
			if err := g.run(ctx, o); err != nil {
				return err
			}
		}
		if stdin {
			err := a.stdinLines(ctx, parseLine, func(batch []inputLine) error { return g.lines(ctx, o, source, batch) })
			if err != nil {
				return err
			}
		}
		return g.end()
	})
}

// inInbox returns the path of a file in the inbox as the inbox names it, whatever links lead there.
func (a *app) inInbox(ws *workspace.Workspace, name string) (string, error) {
	path := a.env.path(name)
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return "", bare(name, err)
	}
	path = filepath.Join(dir, filepath.Base(path))
	if _, err := os.Lstat(path); err != nil {
		return "", bare(name, err)
	}
	if !strings.HasPrefix(path, ws.Inbox()+"/") {
		return "", &pipeline.InputError{File: name, Message: "is not in the inbox", Way: "sheratan submit " + shellWord(name)}
	}
	return path, nil
}

// gating is one run of the gate command, over several calls of the pipeline.
type gating struct {
	a   *app
	p   *pipeline.Pipeline
	bar *progress
	sum pipeline.GateSummary
	n   int64
	v   verdicts
}

// run gates inbox files and blocked jobs, which the pipeline takes one after the other.
func (g *gating) run(ctx context.Context, o pipeline.GateOptions) error {
	if len(o.IDs) > 0 && len(o.Files) > 0 {
		files := o
		o.Files, files.IDs, files.Blocked = nil, nil, false
		if err := g.once(ctx, files); err != nil {
			return err
		}
	}
	return g.once(ctx, o)
}

func (g *gating) once(ctx context.Context, o pipeline.GateOptions) error {
	s, err := g.p.Gate(ctx, o, func(l pipeline.GateLine) error {
		g.v.add(l.Status)
		g.n++
		g.bar.set(g.n, 0)
		return g.a.printVerdict(l)
	})
	g.sum.Received += s.Received
	g.sum.Approved += s.Approved
	g.sum.Blocked += s.Blocked
	g.sum.Deferred += s.Deferred
	return err
}

// lines gates a batch of standard input: proposals are submitted first, what submit printed is found in the inbox, and
// other lines name blocked jobs.
func (g *gating) lines(ctx context.Context, o pipeline.GateOptions, source string, batch []inputLine) error {
	var proposals, jobs []inputLine
	o.Files = nil
	for _, l := range batch {
		switch {
		case l.proposal:
			proposals = append(proposals, l)
		case l.path != "":
			o.Files = append(o.Files, g.absolute(l.path))
		default:
			jobs = append(jobs, l)
		}
	}
	o.IDs = idsOf(jobs)
	if len(proposals) > 0 {
		done, err := g.p.Submit(ctx, source, lineDrafts(proposals))
		if err != nil {
			return err
		}
		for _, s := range done {
			o.Files = append(o.Files, g.absolute(s.Path))
		}
	}
	slices.Sort(o.Files)
	o.Files = slices.Compact(o.Files) // the proposals of one submit share a file
	return g.run(ctx, o)
}

// absolute returns a path that the workspace is named in.
func (g *gating) absolute(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(g.p.Workspace().Root(), path)
}

// end says for people what was done, and returns the exit code.
func (g *gating) end() error {
	s := g.sum
	if s.Deferred > 0 {
		g.a.people.note("%d deferred: still growing, or the queue is full", s.Deferred)
	}
	if s.Received+s.Blocked+s.Approved > 1 && g.a.env.StderrTTY {
		g.a.people.note("%d received, %d approved, %d blocked", s.Received, s.Approved, s.Blocked)
	}
	if s.Blocked > 0 || g.v.blocked {
		g.a.people.hint("sheratan jobs --status quarantined")
		return outcome(exitBlocked)
	}
	return nil
}
