package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sheratan/sheratan/pipeline"
	"github.com/sheratan/sheratan/pipeline/job"
)

func newPolicy(a *app) *cobra.Command {
	return family(&cobra.Command{
		Use:   "policy",
		Short: "the rules by which the gates decide",
		Long:  `Checks, explains and tries out the rules in config/: exec rules and policies.`,
		Example: `sheratan policy explain NO_EXEC_RULE
sheratan policy suggest job-7 --write
sheratan policy replay --config new.json`,
	}, newPolicyTest(a), newPolicyExplain(a), newPolicyReplay(a), newPolicySuggest(a))
}

func newPolicyReplay(a *app) *cobra.Command {
	var config, since string
	c := &cobra.Command{
		Use:   "replay",
		Short: "judge recorded proposals again under other rules",
		Long: `Puts the proposals in the ledger through the gates again, under the rules as they are now or under another
config file, and prints each verdict that would change. Nothing is changed.`,
		Example: `sheratan policy replay --config new.json --since 7d
sheratan policy replay --json | jq 'select(.after_action == "ALLOW")'`,
		Annotations: workspaceExits(exitInterrupted),
		Args:        cobra.NoArgs,
	}
	c.Flags().StringVar(&config, "config", "", "use `FILE` in place of config/sheratan.json")
	c.Flags().StringVar(&since, "since", "", "only proposals received since `TIME`: 2h, 3d, 2026-01-31 or RFC 3339")
	c.RunE = a.run(func(ctx context.Context, _ []string) error {
		from, err := parseMoment(since, a.env.Now())
		if err != nil {
			return usagef("--since %w", err)
		}
		if config != "" {
			config = a.env.path(config)
		}
		n := 0
		err = a.with(ctx, func(p *pipeline.Pipeline) error {
			return p.PolicyReplay(ctx, config, from, func(c pipeline.Change) error {
				n++
				return a.show(c, a.changeText(c))
			})
		})
		if err == nil && n == 0 {
			a.people.note("no verdict would change")
		}
		return err
	})
	return c
}

func (a *app) changeText(c pipeline.Change) string {
	s := a.out.style
	line := fmt.Sprintf("%s  %s %s -> %s %s", escape(c.JobID), s.word(c.Before), s.word(c.BeforeAction), s.word(c.After), s.word(c.AfterAction))
	if len(c.Codes) > 0 {
		line += "  " + escape(strings.Join(c.Codes, " "))
	}
	return line + "\n"
}

func newPolicySuggest(a *app) *cobra.Command {
	var write, inRoot bool
	c := &cobra.Command{
		Use:   "suggest ID...",
		Short: "find the rule that would allow blocked jobs",
		Long: `Prints the smallest exec rules that would allow these blocked jobs and no other command line. --write puts them
into config/sheratan.json, if the rules load with them; then judge the jobs again.

For a program in a root, which jobs can change, a rule is suggested only with --in-root. A job then runs the file
only as it was when the job was approved.`,
		Example: `sheratan policy suggest job-7
sheratan policy suggest job-7 --write && sheratan gate --blocked job-7`,
		Annotations: workspaceExits(),
		Args:        idArgs(1),
	}
	c.Flags().BoolVar(&write, "write", false, "put the rule into config/sheratan.json")
	c.Flags().BoolVar(&inRoot, "in-root", false, "also for a program that lies in a root")
	c.ValidArgsFunction = a.completeJobs("quarantined")
	c.RunE = a.run(func(ctx context.Context, args []string) error {
		if write {
			if err := a.refuseInsideJob("policy suggest --write"); err != nil {
				return err
			}
		}
		return a.with(ctx, func(p *pipeline.Pipeline) error {
			return a.eachIDs(ctx, args, func(ids []string) error { return runSuggest(ctx, a, p, ids, write, inRoot) })
		})
	})
	return c
}

func runSuggest(ctx context.Context, a *app, p *pipeline.Pipeline, ids []string, write, inRoot bool) error {
	s, err := p.PolicySuggest(ctx, ids, inRoot)
	if lies := (*pipeline.InRootError)(nil); errors.As(err, &lies) {
		return hint(err, "if jobs may run it as it is: sheratan policy suggest --in-root "+strings.Join(ids, " "))
	}
	if err != nil {
		return err
	}
	if err := a.show(s, indentRules(s.Rules)); err != nil {
		return err
	}
	again := "sheratan gate --blocked"
	for _, id := range s.Covers {
		again += " " + shellWord(id)
	}
	if !write {
		if s.Text != "" {
			a.people.note("%s", s.Text)
		}
		flags := "--write"
		if inRoot {
			flags = "--in-root --write"
		}
		a.people.hint("sheratan policy suggest %s%s", flags, strings.TrimPrefix(again, "sheratan gate --blocked"))
		return nil
	}
	added, err := p.AddRule(ctx, s)
	if err != nil {
		return err
	}
	if added == 0 {
		a.people.note("%s has this already", p.Workspace().Config())
	} else {
		a.people.note("written into %s", p.Workspace().Config())
	}
	return tellWhatIsLeft(ctx, a, p, s, again)
}

// tellWhatIsLeft says what a rule that was just written does not settle: a program that is not there, and what else the gates
// have against the jobs.
func tellWhatIsLeft(ctx context.Context, a *app, p *pipeline.Pipeline, s pipeline.Suggestion, again string) error {
	missing, err := p.Missing(ctx, s)
	if err != nil {
		return err
	}
	for _, program := range missing {
		a.people.warn("this machine has no program %q: the rule matches nothing until it is installed", program)
	}
	lines, err := p.Verdicts(ctx, s.Covers)
	if err != nil {
		return err
	}
	for _, l := range lines {
		if l.NextAction != string(job.Allow) {
			a.people.note("%s: still %s, %s: %s", escape(l.JobID), l.Verdict, l.NextAction, escape(strictestReason(l.Reports)))
		}
	}
	a.people.hint("%s", again)
	return nil
}

// indentRules prints rules as they would stand in the config, one after the other.
func indentRules(list []json.RawMessage) string {
	texts := make([]string, len(list))
	for i, rule := range list {
		texts[i] = strings.TrimRight(indentJSON(rule), "\n")
	}
	return strings.Join(texts, ",\n") + "\n"
}
