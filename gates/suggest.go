package gates

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Suggest returns few exec rules that match the command lines of allow and no other: arguments word for word, never "...".
// Command lines of the same program and length share a rule with alternatives where that matches none that nobody asked for:
// of "a x" and "b y" it would also match "a y". The rules carry all command lines as examples, so that they load or say why they
// do not. A command line of allow must not be among those of deny. The rules of programs for which inRoot answers true say that
// these lie in a root.
func Suggest(allow, deny [][]string, inRoot func(program string) bool) ([]ExecRule, error) {
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
		rule.InRoot = inRoot(rule.Program)
		rules = append(rules, rule)
	}
	return rules, nil
}

// alike groups command lines that can share a rule, in the order of their first appearance, each line once.
func alike(lines [][]string) [][][]string {
	var groups [][][]string
	for i, argv := range lines {
		same := func(other []string) bool { return slices.Equal(other, argv) }
		if slices.ContainsFunc(lines[:i], same) {
			continue
		}
		at := slices.IndexFunc(groups, func(group [][]string) bool {
			return group[0][0] == argv[0] && len(group[0]) == len(argv) && exact(append(slices.Clip(group), argv))
		})
		if at < 0 {
			at, groups = len(groups), append(groups, nil)
		}
		groups[at] = append(groups[at], argv)
	}
	return groups
}

// exact reports whether these command lines, which differ and have the same length, are all that there is when each argument is
// any of the words that stand in its place.
func exact(group [][]string) bool {
	all := 1
	for i := range group[0] {
		words := map[string]bool{}
		for _, argv := range group {
			words[argv[i]] = true
		}
		if all *= len(words); all > len(group) {
			return false
		}
	}
	return all == len(group)
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
