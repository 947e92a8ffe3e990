package gates

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Suggest returns the smallest exec rules that match every command line of allow and none of deny: arguments word for
// word, alternatives where command lines of the same program and length differ, never "...". There is one rule for each
// program and number of arguments; where alternatives of several arguments would let a denied one through, one for each
// command line. The rules carry all command lines as examples, so that they load or say why they do not.
func Suggest(allow, deny [][]string) ([]ExecRule, error) {
	if len(allow) == 0 {
		return nil, errors.New("no command lines to allow")
	}
	for _, argv := range allow {
		if len(argv) == 0 || argv[0] == "" {
			return nil, errors.New("a command line without a program cannot be allowed")
		}
		if slices.ContainsFunc(deny, func(d []string) bool { return slices.Equal(d, argv) }) {
			return nil, fmt.Errorf("%q: this very command line is also among those that stay refused", argv)
		}
	}
	var rules []ExecRule
	for _, group := range alike(allow) {
		rule := ruleFor(group, deny)
		if !slices.ContainsFunc(deny, rule.lets) {
			rules = append(rules, rule)
			continue
		}
		for _, argv := range group {
			rules = append(rules, ruleFor([][]string{argv}, deny))
		}
	}
	return rules, nil
}

// alike groups command lines by program and length, in the order of their first appearance, each line once.
func alike(lines [][]string) [][][]string {
	type key struct {
		program string
		n       int
	}
	at := make(map[key]int)
	var groups [][][]string
	for _, argv := range lines {
		k := key{argv[0], len(argv)}
		i, ok := at[k]
		if !ok {
			i = len(groups)
			at[k] = i
			groups = append(groups, nil)
		}
		if !slices.ContainsFunc(groups[i], func(g []string) bool { return slices.Equal(g, argv) }) {
			groups[i] = append(groups[i], argv)
		}
	}
	return groups
}

func ruleFor(group, deny [][]string) ExecRule {
	program := group[0][0]
	rule := ExecRule{Program: program, Args: []string{}, Decision: DecisionAllow, Match: group}
	for i := 1; i < len(group[0]); i++ {
		var words []string
		for _, argv := range group {
			if word := regexp.QuoteMeta(argv[i]); !slices.Contains(words, word) {
				words = append(words, word)
			}
		}
		rule.Args = append(rule.Args, strings.Join(words, "|"))
	}
	for _, d := range deny {
		if len(d) > 0 && d[0] == program {
			rule.NoMatch = append(rule.NoMatch, d)
		}
	}
	return rule
}

// lets reports whether a rule as ruleFor makes it matches a command line.
func (r ExecRule) lets(argv []string) bool {
	if len(argv) == 0 || argv[0] != r.Program {
		return false
	}
	rule, err := compileExecRule(0, r)
	return err == nil && rule.matches(argv[1:])
}

// SuggestKind says which line of the config would let jobs of a kind run: the JSON Pointer of a list, and whether each
// job still needs an operator. Kinds that write belong to the manual ones.
func (r *Rules) SuggestKind(name string) (pointer string, manual bool, err error) {
	k, ok := r.kinds[name]
	if !ok {
		return "", false, fmt.Errorf("%s: there is no such kind; there are %s", name, strings.Join(r.kindNames, ", "))
	}
	switch {
	case k.list == kindAllowed:
		return "", false, fmt.Errorf("%s: the kind is allowed already", name)
	case k.list == kindManual:
		return "/gates/kinds/allow", false, nil
	case k.Writes():
		return "/gates/kinds/manual", true, nil
	default:
		return "/gates/kinds/allow", false, nil
	}
}
