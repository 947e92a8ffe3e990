package gates

import (
	"fmt"
	"strings"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/schemas"
)

// setting is the level of a reason under the config in force.
type setting struct {
	level    job.Level
	waivable bool
}

// levels holds the settings by reason code, and for policies by POLICY/RULE where the config has one.
type levels map[string]setting

// newLevels lays the config over the table of reasons. policies lists the rules in force as POLICY/RULE. A reason that
// the config makes soft needs an operator: what the second opinion may waive is not the config's to widen.
func newLevels(set map[string]job.Level, policies []string) (levels, []error) {
	l := make(levels, len(Reasons))
	fixed := make(map[string]bool)
	for _, r := range Reasons {
		l[r.Code] = setting{r.Level, r.Waivable}
		fixed[r.Code] = r.Fixed
	}
	rules := make(map[string]bool, len(policies))
	for _, id := range policies {
		rules[id] = true
	}
	var faults []error
	for name, level := range set {
		at := "/gates/levels/" + schemas.EscapeToken(name)
		before, known := l[name]
		switch {
		case level != job.Advisory && level != job.Soft && level != job.Hard:
			faults = append(faults, fmt.Errorf("%s: %q is none of advisory, soft, hard", at, level))
		case rules[name]:
			l[name] = setting{level: level}
		case !known && strings.Contains(name, "/"):
			faults = append(faults, fmt.Errorf("%s: no policy in force has this rule", at))
		case !known:
			faults = append(faults, fmt.Errorf("%s: there is no such reason; docs/GATES.md lists them", at))
		case fixed[name] && level != before.level:
			faults = append(faults, fmt.Errorf("%s: the level of this reason is fixed (%s); remove the line", at, before.level))
		default:
			l[name] = setting{level, before.waivable && level == job.Soft}
		}
	}
	return l, faults
}

// of returns the setting of a code. An unknown code is hard: it is a fault of the program, and fails closed.
func (l levels) of(code string) setting {
	if s, ok := l[code]; ok {
		return s
	}
	return setting{level: job.Hard}
}

// ofRule returns the setting of a rule of a policy.
func (l levels) ofRule(id string, level job.Level, waivable bool) setting {
	if s, ok := l[id]; ok {
		return s
	}
	return setting{level, waivable && level == job.Soft}
}
