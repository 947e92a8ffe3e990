package cli

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/sheratan/sheratan/pipeline"
	"github.com/sheratan/sheratan/runtime/workspace"
)

// runDryGate reports what the gates would say.
func runDryGate(ctx context.Context, a *app, o *gateOptions, args []string) error {
	ids, files, stdin := sortArgs(args)
	if len(ids) > 0 {
		// A file may have any name; here nothing else can be meant.
		files = append(files, ids...)
	}
	ws, err := a.find()
	var missing *workspace.NotFoundError
	known := err == nil
	if err != nil && (!errors.As(err, &missing) || a.global.Workspace != "") {
		return err
	}
	if !known {
		if len(args) == 0 {
			return err
		}
		a.people.note("no workspace here: the default rules are used")
	}
	source := o.Source
	if source == "" {
		source = sourceOperator
	}
	if len(args) == 0 {
		if files, err = inboxFiles(ws); err != nil {
			return err
		}
	}
	d := &dryGating{a: a, source: source}
	if known {
		d.ws = ws
	}
	for _, name := range files {
		run := func(drafts []pipeline.Draft) error { return d.run(ctx, drafts) }
		if strings.HasSuffix(name, ".jsonl") {
			if err := a.eachDraft(name, run); err != nil {
				return err
			}
			continue
		}
		draft, err := a.readDraft(name)
		if err != nil {
			return err
		}
		if err := run([]pipeline.Draft{draft}); err != nil {
			return err
		}
	}
	if stdin {
		err := a.stdinLines(ctx, rawLine, func(batch []inputLine) error { return d.run(ctx, lineDrafts(batch)) })
		if err != nil {
			return err
		}
	}
	return d.v.outcome()
}

// dryGating is one run of gate --dry-run.
type dryGating struct {
	a      *app
	ws     *workspace.Workspace // nil where there is none
	source string
	v      verdicts
}

func (d *dryGating) run(ctx context.Context, drafts []pipeline.Draft) error {
	lines, err := pipeline.DryRun(ctx, d.ws, drafts, d.source, d.a.options())
	if err != nil {
		return err
	}
	for _, l := range lines {
		d.v.add(l.Status)
		if err := d.a.printVerdict(l); err != nil {
			return err
		}
	}
	return nil
}

// inboxFiles lists the proposals in the inbox.
func inboxFiles(ws *workspace.Workspace) ([]string, error) {
	var files []string
	for _, pattern := range []string{"*.json", "*.jsonl", "*/*.json", "*/*.jsonl"} {
		found, err := filepath.Glob(filepath.Join(ws.Inbox(), pattern))
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			if info, err := os.Lstat(f); err == nil && info.Mode().IsRegular() {
				files = append(files, f)
			}
		}
	}
	return files, nil
}
