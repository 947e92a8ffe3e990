package gates

import (
	"regexp"
	"slices"
)

// ExecDecision is what the exec rules say of a command line.
type ExecDecision struct {
	Decision  Decision
	Program   string   // the real path of the program to execute, "" where there is no rule for it
	SHA256    string   // of the program when the rules were loaded; of one in a root, now
	InRoot    bool     // the program is a file in a root, and may be another one by the time that the job starts
	RerunSafe bool     // every rule that decided says so
	Retries   int      // of a failed job that does not say it itself: the least that a rule that decided gives
	Write     bool     // the same of changing the roots
	Unprotect []string // names of settings in them that all of these rules open
	Network   bool     // and of the network
	Rule      int      // index in gates.exec of the rule that decided, -1 where none did
	Missing   bool     // a rule allows it or asks, but there is no such program
}

// Program is a program that exec rules or kinds name, as it was found when they were loaded.
type Program struct {
	Name   string `json:"name"`   // as in the rule
	Path   string `json:"path"`   // where it was found; "" where it was not
	Real   string `json:"real"`   // that path with its symbolic links resolved
	SHA256 string `json:"sha256"` // of the file
	// InRoot says that Path lies in a root, as a rule allows. Jobs may change that file at any time, so the rules do not hold what
	// it is: Real and SHA256 are empty.
	InRoot bool `json:"in_root,omitempty"`
}

// execRule is a compiled ExecRule.
type execRule struct {
	index     int
	decision  Decision
	rerun     bool
	retries   int
	write     bool
	network   bool
	unprotect []string
	args      []argPattern
	rest      bool        // "..." was the last
	each      *argPattern // of "(EXPR)..." as the last: every further argument matches it
}

// argPattern matches one argument: a literal, or an expression.
type argPattern struct {
	literal string
	expr    *regexp.Regexp // nil for a literal
	any     bool           // every argument: one of the rest
}

func (p argPattern) match(s string) bool {
	if p.any {
		return true
	}
	if p.expr == nil {
		return p.literal == s
	}
	return p.expr.MatchString(s)
}

// matches reports whether the rule is about a command line with these arguments, the program left out.
func (r *execRule) matches(args []string) bool {
	if len(args) < len(r.args) || len(args) > len(r.args) && !r.rest && r.each == nil {
		return false
	}
	for i, p := range r.args {
		if !p.match(args[i]) {
			return false
		}
	}
	if r.each != nil {
		for _, a := range args[len(r.args):] {
			if !r.each.match(a) {
				return false
			}
		}
	}
	return true
}

// execRules are the rules, by program. Several spellings (a name, the path where it was found, its real path) may name
// the same program, so that a rule which forbids one of them forbids all.
type execRules struct {
	bySpelling map[string]*programRules
	inRoot     func(path string) (Program, error) // looks at a program in a root
}

type programRules struct {
	Program
	rules []execRule
}

// knows reports whether there is any rule for the program that argv[0] names.
func (x *execRules) knows(argv0 string) bool {
	_, ok := x.bySpelling[argv0]
	return ok
}

// decide returns what the strictest matching rule says.
func (x *execRules) decide(argv []string) ExecDecision {
	d := ExecDecision{Decision: NoRule, Rule: -1}
	if len(argv) == 0 {
		return d
	}
	p, ok := x.bySpelling[argv[0]]
	if !ok {
		return d
	}
	program := p.Program
	if d.InRoot = p.InRoot; p.InRoot {
		program, _ = x.inRoot(p.Path) // one that cannot be used is missing
	}
	d.Program, d.SHA256 = program.Real, program.SHA256
	strictest := -1
	for i := range p.rules {
		r := &p.rules[i]
		rank := slices.Index(strictness, r.decision)
		if rank < strictest || !r.matches(argv[1:]) {
			continue
		}
		if rank > strictest {
			strictest = rank
			d.Decision, d.Rule, d.RerunSafe, d.Write, d.Network = r.decision, r.index, r.rerun, r.write, r.network
			d.Unprotect = r.unprotect
			d.Retries = r.retries
		} else {
			d.RerunSafe = d.RerunSafe && r.rerun
			d.Retries = min(d.Retries, r.retries)
			d.Write, d.Network = d.Write && r.write, d.Network && r.network
			d.Unprotect = slices.DeleteFunc(slices.Clone(d.Unprotect), func(name string) bool { return !slices.Contains(r.unprotect, name) })
		}
	}
	d.Missing = d.Program == "" && (d.Decision == DecisionAllow || d.Decision == DecisionAsk)
	return d
}

var strictness = []Decision{DecisionAllow, DecisionAsk, DecisionForbid}

// Exec returns what the exec rules say of a command line. The executor asks the same, and executes the program that the
// answer names.
func (r *Rules) Exec(argv []string) ExecDecision { return r.exec.decide(argv) }

// InRoots reports whether any rule names a program in a root.
func (r *Rules) InRoots() bool {
	return slices.ContainsFunc(r.programs, func(p Program) bool { return p.InRoot })
}

// Programs returns the programs that the exec rules and then the kinds name, in their order, each once. They belong to the
// rules in force: another program under the same name makes other rules.
func (r *Rules) Programs() []Program { return slices.Clone(r.programs) }
