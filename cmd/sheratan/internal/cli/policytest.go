package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sheratan/sheratan/gates"
	"github.com/sheratan/sheratan/gates/policy"
	"github.com/sheratan/sheratan/pipeline/kind"
	"github.com/sheratan/sheratan/pipeline/rules"
)

// ruleCheck is what policy test prints with --json of one rule.
type ruleCheck struct {
	Rule     string `json:"rule"`   // POLICY/RULE, or the place in the config
	Status   string `json:"status"` // ok, warn or bad
	Examples int    `json:"examples"`
	Message  string `json:"message,omitempty"`
}

func newPolicyTest(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "test",
		Short: "run the examples of all rules",
		Long: `Runs the examples (match, no_match) of the exec rules and policies, and reports rules that do not load, that
have no examples, or whose program is not on this machine. Rules with an example that does not hold are not
loaded by any command, so nothing runs until they are mended.`,
		Example:     `sheratan policy test`,
		Annotations: exits(exitNoWorkspace),
		Args:        cobra.NoArgs,
		RunE:        a.run(func(ctx context.Context, _ []string) error { return runPolicyTest(ctx, a) }),
	}
}

func runPolicyTest(ctx context.Context, a *app) error {
	ws, err := a.find()
	if err != nil {
		return err
	}
	checks, err := testPolicies(ws.Policies())
	if err != nil {
		return err
	}
	r, err := rules.Load(ctx, ws, rules.Options{Unlocked: true})
	var invalid *rules.InvalidError
	switch {
	case errors.As(err, &invalid):
		for _, p := range invalid.Problems {
			checks = append(checks, ruleCheck{Rule: p.File + p.Pointer, Status: "bad", Message: p.Message})
		}
	case err != nil:
		return err
	default:
		defer r.Close()
		checks = append(checks, testExecRules(r)...)
	}
	t := &table{style: a.out.style}
	bad := false
	for _, c := range checks {
		bad = bad || c.Status == "bad"
		if a.global.JSON {
			if err := a.out.line(c); err != nil {
				return err
			}
			continue
		}
		t.add(c.Status, c.Rule, fmt.Sprintf("%d examples", c.Examples), c.Message)
	}
	if err := t.flush(a.out); err != nil {
		return err
	}
	if bad {
		return outcome(exitError)
	}
	return nil
}

// testPolicies runs the examples of the policy files in dir.
func testPolicies(dir string) ([]ruleCheck, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	var checks []ruleCheck
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		base := "policies/" + filepath.Base(name)
		f, err := policy.Parse(base, text)
		var outcomes []policy.Outcome
		if err == nil {
			outcomes, err = policy.Test(f, viewOfKind)
		}
		if err != nil {
			checks = append(checks, ruleCheck{Rule: base, Status: "bad", Message: err.Error()})
		}
		for _, r := range f.Rules {
			if err != nil {
				break
			}
			checks = append(checks, checkOutcomes(f, r, outcomes))
		}
	}
	return checks, nil
}

func checkOutcomes(f policy.File, r policy.Rule, outcomes []policy.Outcome) ruleCheck {
	c := ruleCheck{Rule: f.ID + "/" + r.ID, Status: "ok", Message: string(r.Level)}
	for _, o := range outcomes {
		if o.Rule != r.ID {
			continue
		}
		c.Examples++
		if o.Err != nil {
			c.Status, c.Message = "bad", fmt.Sprintf("%s/%d: %v", o.List, o.Index, o.Err)
		}
	}
	if c.Examples == 0 {
		c.Status, c.Message = "warn", "has no examples"
	}
	if f.Disabled {
		c.Message += ", disabled"
	}
	return c
}

func viewOfKind(name string, params map[string]any) (paths, argv []string) {
	k, _ := kind.Lookup(name)
	return k.View(params)
}

// testExecRules reports on exec rules that have been loaded, and whose examples therefore hold.
func testExecRules(r *rules.Rules) []ruleCheck {
	var checks []ruleCheck
	programs := r.Gates.Programs()
	for i, rule := range r.Config.Gates.Exec {
		c := ruleCheck{Rule: fmt.Sprintf("gates.exec/%d", i), Status: "ok", Examples: len(rule.Match) + len(rule.NoMatch),
			Message: strings.TrimSpace(fmt.Sprintf("%s %s %s", rule.Decision, rule.Program, strings.Join(rule.Args, " ")))}
		found := slices.ContainsFunc(programs, func(p gates.Program) bool { return p.Name == rule.Program && p.Path != "" })
		switch {
		case !found:
			c.Status, c.Message = "warn", c.Message+": not on this machine"
		case c.Examples == 0:
			c.Status, c.Message = "warn", c.Message+": has no examples"
		}
		checks = append(checks, c)
	}
	return checks
}
