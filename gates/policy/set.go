package policy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/ext"

	"github.com/sheratan/sheratan/pipeline/job"
)

// Bounds of the evaluation. The cost is in the units of CEL (roughly one per operation and per ten characters looked at)
// and decides the same way everywhere. The deadline is for what the cost misjudges.
const (
	costLimit      = 1_000_000
	deadline       = 2 * time.Second
	checkFrequency = 100 // turns of a loop between looks at the deadline
)

// ErrNoPolicies says that there is nothing to ask.
var ErrNoPolicies = errors.New("no policy has a rule that is in force; config/policies/default.json, as init writes it, is a start")

// Set is a set of compiled policies. It may be used by many goroutines.
type Set struct {
	rules []compiled
}

type compiled struct {
	Rule
	policy  string
	program cel.Program
}

// Hit is a rule that is true of a proposal, or that could not be evaluated.
type Hit struct {
	Policy string
	Rule   Rule
	Err    error // of the evaluation; the rule counts as broken then, not as true
}

// ID returns POLICY/RULE, the name by which the config sets the level of a rule.
func (h Hit) ID() string { return h.Policy + "/" + h.Rule.ID }

// Compile compiles the rules of all files that are not disabled, and checks their examples: a rule whose examples do not
// hold does not load. view says which parameters are paths, and what the command line is. The error names every rule that is wrong.
func Compile(files []File, view View) (*Set, error) {
	s := new(Set)
	env, err := environment()
	if err != nil {
		return nil, err
	}
	var faults []error
	seen := make(map[string]bool)
	for _, f := range files {
		if f.Disabled {
			continue
		}
		if seen[f.ID] {
			faults = append(faults, fmt.Errorf("%s: another policy has the same id", f.ID))
		}
		seen[f.ID] = true
		for i, r := range f.Rules {
			c, err := compile(env, f.ID, r)
			if err != nil {
				faults = append(faults, fmt.Errorf("%s: /rules/%d/when: %w", f.ID, i, err))
				continue
			}
			s.rules = append(s.rules, c)
			for _, o := range c.test(view) {
				if o.Err != nil {
					faults = append(faults, fmt.Errorf("%s: /rules/%d/%s/%d: %w", f.ID, i, o.List, o.Index, o.Err))
				}
			}
		}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	if len(s.rules) == 0 {
		return nil, ErrNoPolicies
	}
	return s, nil
}

// environment has the standard functions of CEL and those on strings. All are pure.
func environment() (*cel.Env, error) {
	return cel.NewEnv(append(slices.Clone(variables),
		ext.Strings(),
		cel.ParserRecursionLimit(100),
		cel.ParserExpressionSizeLimit(8192))...)
}

func compile(env *cel.Env, policy string, r Rule) (compiled, error) {
	ast, iss := env.Compile(r.When)
	if err := iss.Err(); err != nil {
		return compiled{}, err
	}
	if t := ast.OutputType(); !t.IsExactType(cel.BoolType) {
		return compiled{}, fmt.Errorf("is of type %s, a condition is of type bool", t)
	}
	program, err := env.Program(ast,
		cel.EvalOptions(cel.OptOptimize),
		cel.CostLimit(costLimit),
		cel.InterruptCheckFrequency(checkFrequency))
	return compiled{r, policy, program}, err
}

// Eval returns the rules that are true of s, in the order of files and rules, and those that could not be evaluated. It
// pays no heed to the cancelling of ctx: an answer takes microseconds, and half an answer would be taken for a refusal.
func (s *Set) Eval(ctx context.Context, subject *Subject) []Hit {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deadline)
	defer cancel()
	var hits []Hit
	for i := range s.rules {
		r := &s.rules[i]
		hit, err := r.eval(ctx, subject)
		if hit || err != nil {
			hits = append(hits, Hit{Policy: r.policy, Rule: r.Rule, Err: err})
		}
	}
	return hits
}

func (c *compiled) eval(ctx context.Context, subject *Subject) (hit bool, err error) {
	defer func() {
		if r := recover(); r != nil {
			hit, err = false, fmt.Errorf("panic: %v", r)
		}
	}()
	out, _, err := c.program.ContextEval(ctx, subject)
	if err != nil {
		return false, err
	}
	hit, ok := out.Value().(bool)
	if !ok {
		return false, fmt.Errorf("gave a %s, a bool was expected", out.Type().TypeName())
	}
	return hit, nil
}

// IDs returns POLICY/RULE of every rule in force, in the order in which they are asked.
func (s *Set) IDs() []string {
	ids := make([]string, 0, len(s.rules))
	for _, r := range s.rules {
		ids = append(ids, r.policy+"/"+r.ID)
	}
	return ids
}

// Outcome is what became of one example.
type Outcome struct {
	Rule  string
	List  string // match or no_match
	Index int
	Err   error // nil where the example holds
}

// Test runs the examples of a file, also of one that is disabled. The error is about a rule that does not compile.
func Test(f File, view View) ([]Outcome, error) {
	env, err := environment()
	if err != nil {
		return nil, err
	}
	var all []Outcome
	for i, r := range f.Rules {
		c, err := compile(env, f.ID, r)
		if err != nil {
			return all, fmt.Errorf("%s: /rules/%d/when: %w", f.ID, i, err)
		}
		all = append(all, c.test(view)...)
	}
	return all, nil
}

func (c *compiled) test(view View) []Outcome {
	outcomes := make([]Outcome, 0, len(c.Match)+len(c.NoMatch))
	for _, list := range []struct {
		name     string
		examples []json.RawMessage
		want     bool
	}{{"match", c.Match, true}, {"no_match", c.NoMatch, false}} {
		for i, text := range list.examples {
			o := Outcome{Rule: c.ID, List: list.name, Index: i}
			subject, err := example(text, view)
			if err == nil {
				var hit bool
				ctx, cancel := context.WithTimeout(context.Background(), deadline)
				hit, err = c.eval(ctx, subject)
				cancel()
				if err == nil && hit != list.want {
					err = fmt.Errorf("the rule is %t of this example", hit)
				}
			}
			o.Err = err
			outcomes = append(outcomes, o)
		}
	}
	return outcomes
}

// example reads an example: a proposal, or an object that has one as a member, with source and provenance.
func example(text []byte, view View) (*Subject, error) {
	prov := job.Provenance{Zone: job.ZoneInbox, Source: "inbox", OwnerUID: -1}
	v, err := parseObject(text)
	if err != nil {
		return nil, err
	}
	if inner, ok := v["proposal"].(map[string]any); ok {
		var around struct {
			Proposal   json.RawMessage `json:"proposal"`
			Source     string          `json:"source"`
			Provenance job.Provenance  `json:"provenance"`
		}
		around.Provenance = prov
		if err := json.Unmarshal(text, &around); err != nil {
			return nil, err
		}
		prov = around.Provenance
		if around.Source != "" {
			prov.Source = around.Source
		}
		v = inner
	}
	if _, ok := v["payload"].(map[string]any); !ok {
		return nil, errors.New("is no proposal: it has no payload")
	}
	return NewSubject(v, prov, view), nil
}
