package rules

import (
	"cmp"
	"fmt"
	"strings"
)

// Guide says what may be proposed under these rules, for a model that is asked to propose. It names no place of the machine.
func (r *Rules) Guide() string {
	var b strings.Builder
	builtin := map[string]string{}
	for _, row := range kindRows {
		builtin[row[0]] = row[1]
	}
	b.WriteString("Kinds of job, with their params (those with ? may be left out):\n")
	for _, k := range r.Gates.Kinds() {
		if how := listed(r.Config.Gates.Kinds, k.Name); how != "" {
			fmt.Fprintf(&b, "- %s%s %s: %s\n", k.Name, strings.TrimRight(how, " "), cmp.Or(builtin[k.Name], k.ParamsLine()), k.Summary)
		}
	}
	fmt.Fprintf(&b, "Programs that exec may start, never through a shell: %s. Their arguments have rules of their own.\n", programList(r.Config.Gates.Exec))
	if len(r.Config.Gates.Models) > 0 {
		fmt.Fprintf(&b, "Models that jobs may ask: %s.\n", strings.Join(r.Config.Gates.Models, ", "))
	}
	if len(r.prompts) > 0 {
		fmt.Fprintf(&b, "Questions that a job of the kind llm may name in prompt_name: %s.\n", strings.Join(promptNames(r.prompts), ", "))
	}
	b.WriteString("Paths are relative to the folder that the jobs work in; none with .. in it, and nothing in a .git.\n")
	return b.String()
}
