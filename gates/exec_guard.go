package gates

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/sheratan/sheratan/gates/programs"
)

// guard refuses a rule that lets a program run any other: the patterns for its arguments are tried on arguments by which that
// program would do so. A rule that says every argument word for word passes, because it allows no more than it says.
func (rule *execRule) guard(program string) error {
	r, ok := programs.Find(program)
	if !ok {
		return nil
	}
	found := places{args: rule.args, rest: rule.rest, each: rule.each}.runsAny(r)
	if found == nil {
		return nil
	}
	shown := make([]string, len(found))
	for i, arg := range found {
		shown[i] = strconv.Quote(arg)
	}
	what := strings.Join(shown, " ")
	if len(found) == 0 {
		what = "code on standard input"
	}
	return fmt.Errorf("%q %s, and the arguments of this rule let a job choose which: they allow %s; write out what is to be allowed, or say \"unsafe\": true",
		filepath.Base(program), r.Why, what)
}

// places are the places for arguments in a rule.
type places struct {
	args []argPattern
	rest bool
	each *argPattern
}

// at returns the pattern of one place. There is none behind the last of a rule that has no rest.
func (p places) at(i int) (pattern argPattern, ok bool) {
	switch {
	case i < len(p.args):
		return p.args[i], true
	case p.each != nil:
		return *p.each, true
	case p.rest:
		return argPattern{any: true}, true
	}
	return argPattern{}, false
}

// count is how many places are worth a look: those with patterns of their own, and as many of the rest as a probe is long.
func (p places) count() int {
	if p.rest || p.each != nil {
		return len(p.args) + 3
	}
	return len(p.args)
}

func (p places) from(i int) places {
	p.args = p.args[min(i, len(p.args)):]
	return p
}

// runsAny returns arguments that the places allow and by which the program runs what a job wants, nil where there are none.
// An empty list is code on standard input.
func (p places) runsAny(r programs.Runner) []string {
	switch r.Form {
	case programs.ByCode:
		return p.takesCode()
	case programs.ByOperand:
		return p.takesProgram()
	}
	return p.takesProbe(r.Probes)
}

// takesProbe tries each probe at each place. What stands behind a "--" is no option.
func (p places) takesProbe(list []programs.Probe) []string {
	for i := range p.count() {
		at, _ := p.at(i)
		if at.expr == nil && !at.any && at.literal == "--" {
			return nil
		}
		for _, probe := range list {
			if probe.First && i > 0 || !at.match(probe.Arg) {
				continue
			}
			if probe.Value == "" {
				if at.free() {
					return []string{probe.Arg}
				}
				continue
			}
			values := operands
			if probe.Value != "X" {
				values = []string{probe.Value}
			}
			if next, ok := p.at(i + 1); ok && next.free() {
				if value := next.accepts(values); value != "" {
					return []string{probe.Arg, value}
				}
			}
		}
	}
	return nil
}

// Arguments with which patterns are tried.
var (
	operands    = []string{"x", "/x", "./x", "x y", "x()", "a=b", "import os", "/bin/sh", "exec=sh"}
	codeOptions = []string{"-c", "-e", "-E", "-r", "-p", "-pe", "-ne", "-lc", "-cx", "-ic", "-n", "-i", "-M", "--eval", "--exec", "--print", "--command", "--run", "--require", "--import",
		"-m", "-f", "-l", "-x", "-s", "-o", "--init-file", "--rcfile", "--init", "-I", "-W", "-X", "-S"}
	codeInOption = []string{"-cx", "-cprint(1)", "-cimport os", "-ex", "-eprint(1)", "-rx", "-px", "-lcx", "-nex", "-pex", "-Mx", "-mx", "-mpdb", "-Ix", "--eval=x", "--exec=x", "--print=x", "--command=x", "--run=x", "--require=x",
		"--import=x", "--import=data:x", "--init-file=x", "--rcfile=x", "-W", "-d", "--inspect"}
	codeOnStdin = []string{"-", "-s", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0", "-i"}
	// plainOptions may stand in front of code without ending the options.
	plainOptions = []string{"-u", "-x", "-l", "-E", "-I", "-B", "-O", "-v", "-w", "-n", "-q", "-s", "-S", "-T", "--norc", "--posix", "--noprofile", "--no-warnings", "--verbose", "-o", "+x"}
)

// takesCode looks for code among the options of an interpreter, which end with its script, with -m or with "--".
func (p places) takesCode() []string {
	for i := 0; i < p.count(); i++ {
		at, _ := p.at(i)
		if !at.free() && slices.Contains(codeOnStdin[:5], at.literal) {
			return []string{at.literal}
		}
		if at.free() {
			for _, list := range [][]string{codeInOption, codeOnStdin} {
				if arg := at.accepts(list); arg != "" {
					return []string{arg}
				}
			}
		}
		next, more := p.at(i + 1)
		option := at.accepts(codeOptions)
		if !at.free() && strings.HasPrefix(at.literal, "-") && !strings.HasPrefix(at.literal, "--") {
			option = at.literal // bundled: -euo, -lc
		}
		if option != "" && more && next.free() {
			if operand := next.accepts(operands); operand != "" && at.match(option) {
				return []string{option, operand}
			}
		}
		if !at.free() {
			if at.literal == "--" || at.literal == "-m" || !strings.HasPrefix(at.literal, "-") {
				return nil // what follows belongs to the script
			}
			if valueOption(at.literal) {
				i++
			}
			continue
		}
		if at.accepts(plainOptions) == "" {
			return nil
		}
	}
	if p.hasOperand() {
		return nil
	}
	return []string{}
}

// valueOption reports whether an option of an interpreter has a value behind it that is no code: of a shell -o, also bundled.
func valueOption(option string) bool {
	return option == "-W" || option == "-X" || !strings.HasPrefix(option, "--") && strings.HasSuffix(strings.ToLower(option), "o")
}

// hasOperand reports whether the rule wants something that is no option, so that an interpreter does not read its standard input.
func (p places) hasOperand() bool {
	for i, at := range p.args {
		switch {
		case at.free():
			if at.accepts(plainOptions) == "" {
				return true
			}
		case strings.HasPrefix(at.literal, "-") && at.literal != "-":
			// With a value of its own behind it, such as -c CODE, or one that ends at once, there is nothing to be read.
			if i+1 < len(p.args) || slices.Contains(harmlessAlone, at.literal) {
				return true
			}
		default:
			return true
		}
	}
	return false
}

// harmlessAlone are options with which an interpreter ends without having read anything.
var harmlessAlone = []string{"-v", "-V", "-vV", "-VV", "--version", "-version", "--help", "-help", "-h", "version", "help"}

// takesProgram looks for the program that a wrapper runs: its first operand. Where the rule names that, it is judged by what
// follows; which of the words is the value of an option before it, nobody here knows, so each is taken for the program.
func (p places) takesProgram() []string {
	named := false
	for i := range p.count() {
		at, _ := p.at(i)
		if at.free() {
			if arg := at.accepts(wrapped); arg != "" && !named {
				return []string{arg}
			}
			continue // a number, a variable, or an argument of the program
		}
		if strings.HasPrefix(at.literal, "-") && !named {
			if next, ok := p.at(i + 1); ok && next.free() {
				if arg := next.accepts(operands); arg != "" {
					return []string{at.literal, arg}
				}
			}
			continue
		}
		if r, ok := programs.Find(at.literal); ok {
			if found := p.from(i + 1).runsAny(r); found != nil {
				return append([]string{at.literal}, found...)
			}
		}
		named = named || !strings.Contains(at.literal, "=") && !startsWithDigit(at.literal)
	}
	return nil
}

// wrapped are arguments by which a wrapper would run a program.
var wrapped = []string{"x", "sh", "/bin/sh", "./x", "x y", "-Sx", "--split-string=x", "-c", "-cx", "-x", "-ex", "--exec=x", "--command=x"}

func startsWithDigit(s string) bool { return s != "" && s[0] >= '0' && s[0] <= '9' }

// free reports whether a job chooses what stands there.
func (p argPattern) free() bool { return p.any || p.expr != nil }

// accepts returns the first of the arguments that the pattern matches, "" where it matches none.
func (p argPattern) accepts(list []string) string {
	for _, arg := range list {
		if p.match(arg) {
			return arg
		}
	}
	return ""
}
