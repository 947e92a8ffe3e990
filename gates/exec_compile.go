package gates

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"

	"github.com/sheratan/sheratan/gates/programs"
	"github.com/sheratan/sheratan/pipeline/kind"
)

// rest stands for any further arguments, as the last of an exec rule. Behind an expression in parentheses it stands for
// any number of arguments that match it, also none, which is safe for every program.
const rest = "..."

// Found is where a program was found.
type Found struct {
	Path string // absolute, as it lies in the folder that was searched
	Real string // with symbolic links resolved
}

// ErrNoProgram is what a resolver returns for a program that this machine does not have. The rules for it are kept, and
// refuse.
var ErrNoProgram = errors.New("no such program")

// execCompiler builds execRules.
type execCompiler struct {
	roots    PathChecker
	base     string
	writable []string
	resolve  func(program string) (Found, error)
	digest   func(path string) (string, error)

	rules    *execRules
	programs []Program
	faults   []error
}

func (c *execCompiler) compile(rules []ExecRule) {
	c.rules = &execRules{bySpelling: make(map[string]*programRules), inRoot: c.inRoot}
	compiled := make([]execRule, len(rules))
	for i, r := range rules {
		var err error
		if compiled[i], err = c.add(i, r); err != nil {
			c.faults = append(c.faults, fmt.Errorf("/gates/exec/%d%w", i, err))
		}
	}
	if len(c.faults) > 0 {
		return
	}
	for i, r := range rules {
		if err := c.examples(r, compiled[i]); err != nil {
			c.faults = append(c.faults, fmt.Errorf("/gates/exec/%d%w", i, err))
		}
	}
}

// add compiles a rule and files it under the spellings of its program.
func (c *execCompiler) add(index int, r ExecRule) (execRule, error) {
	rule, err := compileExecRule(index, r)
	if err != nil {
		return rule, err
	}
	find := c.program
	if r.InRoot {
		find = c.programInRoot
	}
	p, err := find(r.Program)
	if err != nil {
		return rule, fmt.Errorf("/program: %w", err)
	}
	if p.InRoot != r.InRoot {
		return rule, fmt.Errorf("/in_root: another rule names the same program %q and says otherwise", r.Program)
	}
	if !r.Unsafe && r.Decision != DecisionForbid {
		if err := c.guard(&rule, r.Program, p); err != nil {
			return rule, fmt.Errorf("/args: %w", err)
		}
	}
	p.rules = append(p.rules, rule)
	return rule, nil
}

// guard judges a rule by the name of its program, and by that of the file. A file that is many programs is what its name says.
func (c *execCompiler) guard(rule *execRule, name string, p *programRules) error {
	if err := rule.guard(name); err != nil {
		return err
	}
	real := p.Real
	if p.InRoot {
		if found, err := c.inRoot(p.Path); err == nil {
			real = found.Real
		}
	}
	if real == "" || manyInOne(real) && !manyInOne(name) {
		return nil
	}
	return rule.guard(real)
}

// program finds the entry of a program, or makes it. Two names are the same program where they lead to the same file
// and differ by a version at most (python3 and python3.12). Several programs in one file (busybox) are told apart by
// their names, and their file's own name is no spelling of any of them.
func (c *execCompiler) program(name string) (*programRules, error) {
	if p, ok := c.rules.bySpelling[name]; ok {
		return p, nil
	}
	program, err := c.locate(name)
	if errors.Is(err, ErrNoProgram) {
		p := &programRules{Program: Program{Name: name}}
		c.programs = append(c.programs, p.Program)
		c.rules.bySpelling[name] = p
		return p, nil
	}
	if err != nil {
		return nil, err
	}
	p := c.sameProgram(program)
	if p == nil {
		p = &programRules{Program: program}
	}
	c.programs = append(c.programs, program)
	for _, spelling := range []string{name, program.Path} {
		c.rules.bySpelling[spelling] = p
	}
	if programs.Stem(program.Real) == programs.Stem(name) {
		c.rules.bySpelling[program.Real] = p
	}
	return p, nil
}

func (c *execCompiler) sameProgram(program Program) *programRules {
	for _, p := range c.rules.bySpelling {
		if p.Real == program.Real && programs.Stem(p.Name) == programs.Stem(program.Name) {
			return p
		}
	}
	return nil
}

func manyInOne(path string) bool { return strings.HasPrefix(programs.RunsOthers(path), "is many") }

func compileExecRule(index int, r ExecRule) (execRule, error) {
	rule := execRule{index: index, decision: r.Decision, rerun: r.Rerun == "safe", write: r.Write, network: r.Network, unprotect: r.Unprotect}
	switch r.Decision {
	case DecisionAllow, DecisionAsk, DecisionForbid:
	default:
		return rule, fmt.Errorf("/decision: %q is none of allow, ask, forbid", r.Decision)
	}
	if len(r.Unprotect) > 0 && !r.Write {
		return rule, errors.New("/unprotect: without \"write\": true the program changes nothing in the roots: say that too, or take this out")
	}
	if r.Rerun != "" && r.Rerun != "safe" {
		return rule, fmt.Errorf("/rerun: %q is neither safe nor left out", r.Rerun)
	}
	var err error
	if rule.retries, err = kind.Retries(rule.rerun, r.Retries); err != nil {
		return rule, fmt.Errorf("/max_retries: %w", err)
	}
	for i, a := range r.Args {
		if a == rest {
			if i != len(r.Args)-1 {
				return rule, fmt.Errorf("/args/%d: \"...\" stands only at the end; \".*\" is any one argument", i)
			}
			rule.rest = true
			break
		}
		repeated := i == len(r.Args)-1 && strings.HasPrefix(a, "(") && strings.HasSuffix(a, ")"+rest)
		if repeated {
			a = strings.TrimSuffix(a, rest)
		}
		p, err := compileArg(a)
		if err != nil {
			return rule, fmt.Errorf("/args/%d: %w", i, err)
		}
		if repeated {
			rule.each = &p
			break
		}
		rule.args = append(rule.args, p)
	}
	return rule, nil
}

// compileArg anchors an expression at both ends. It is parsed alone first: "a)|(b" would be valid inside the group
// that anchors it, and match what it does not say.
func compileArg(expr string) (argPattern, error) {
	alone, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return argPattern{}, fmt.Errorf("%w; \\Q…\\E takes text as it is", err)
	}
	if alone.Op == syntax.OpLiteral && alone.Flags&syntax.FoldCase == 0 {
		return argPattern{literal: string(alone.Rune)}, nil
	}
	anchored, err := regexp.Compile(`(?s)^(?:` + expr + `)$`)
	return argPattern{expr: anchored}, err
}

// examples checks that a rule says of its examples what it claims to say: the rule alone, whatever others say.
func (c *execCompiler) examples(r ExecRule, rule execRule) error {
	p := c.rules.bySpelling[r.Program]
	about := func(argv []string) bool {
		return len(argv) > 0 && c.rules.bySpelling[argv[0]] == p && rule.matches(argv[1:])
	}
	for i, argv := range r.Match {
		if !about(argv) {
			return fmt.Errorf("/match/%d: the rule does not match %q", i, argv)
		}
	}
	for i, argv := range r.NoMatch {
		if about(argv) {
			return fmt.Errorf("/no_match/%d: the rule matches %q", i, argv)
		}
	}
	return nil
}
