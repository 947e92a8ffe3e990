package gates

import (
	"cmp"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/sheratan/sheratan/hosts/roots"
	"github.com/sheratan/sheratan/pipeline/kind"
	"github.com/sheratan/sheratan/schemas"
)

// capability is G3: may it be done here, and can it?
func (e *evaluation) capability(v *verdict) {
	if e.notExamined(v) {
		return
	}
	e.kindAllowed(v)
	e.hosts(v)
	e.paths(v)
	e.change(v)
	e.outputs(v)
	e.command(v)
	e.model(v)
	e.prompt(v)
	e.environment(v)
	e.crossSource(v)
}

// kindAllowed asks the three lists of the config.
func (e *evaluation) kindAllowed(v *verdict) {
	if e.payload["kind"] == nil {
		return // G1 reports that it is missing
	}
	const at = "/payload/kind"
	name := clip(e.kindName, 64)
	switch {
	case e.kind == nil && slices.Contains(e.rules.config.Gates.Kinds.Forbid, e.kindName):
		v.add("FORBIDDEN_KIND", at, "kind %q is forbidden here", name)
	case e.kind == nil:
		v.add(CodeUnknownKind, at, "there is no kind %q; there are %s", name, strings.Join(e.rules.kindNames, ", "))
	case e.kind.list == kindForbidden:
		v.add("FORBIDDEN_KIND", at, "kind %q is forbidden here", name)
	case e.kind.list == kindUnlisted:
		v.add("FORBIDDEN_KIND", at, "kind %q is in none of the lists gates.kinds.allow, manual and forbid", name)
	case e.kind.list == kindManual:
		v.add(CodeManualKind, at, "jobs of kind %q need an operator's word", name)
	}
}

// model asks whether the config lets jobs ask the model.
func (e *evaluation) model(v *verdict) {
	if name, ok := e.params["model"].(string); ok && e.kindName == kind.NameLLM && !slices.Contains(e.rules.config.Gates.Models, name) {
		v.add("MODEL_NOT_ALLOWED", "/payload/params/model", "jobs may not ask a model %q; gates.models has those that they may", clip(name, 64))
	}
}

// prompt asks whether the operator has written the question that is named.
func (e *evaluation) prompt(v *verdict) {
	if name, ok := e.params["prompt_name"].(string); ok && e.kindName == kind.NameLLM && !slices.Contains(e.rules.prompts, name) {
		v.add("UNKNOWN_PROMPT", "/payload/params/prompt_name", "there is no prompt %q; there are %s", clip(name, 64),
			cmp.Or(strings.Join(e.rules.prompts, ", "), "none"))
	}
}

// hosts asks whether any host offers what is required. It need not be online: then the job waits.
func (e *evaluation) hosts(v *verdict) {
	need := e.required()
	if len(need) == 0 {
		return
	}
	var best []string // what the best host lacks
	for i, host := range e.in.Facts.Hosts {
		missing := without(need, host)
		if len(missing) == 0 {
			return
		}
		if i == 0 || len(missing) < len(best) {
			best = missing
		}
	}
	if len(e.in.Facts.Hosts) == 0 {
		best = need
	}
	v.add("NO_HOST", "/required_capabilities", "no known host offers %s", strings.Join(best, ", "))
	v.note("missing_capabilities", best)
}

// required lists what the proposal asks for and what the kind needs.
func (e *evaluation) required() []string {
	asked, _ := e.object["required_capabilities"].([]any)
	var need []string
	if e.kind != nil {
		if len(asked) == 0 {
			return e.kind.Capabilities
		}
		need = append(need, e.kind.Capabilities...)
	}
	for _, c := range asked {
		if s, ok := c.(string); ok {
			need = append(need, s)
		}
	}
	return need
}

func without(need, have []string) []string {
	var missing []string
	for _, n := range need {
		if !slices.Contains(have, n) {
			missing = append(missing, n)
		}
	}
	return missing
}

// paths checks every declared path against the roots, as the executor will do again when it opens it.
func (e *evaluation) paths(v *verdict) {
	if e.kind == nil || e.params == nil {
		return
	}
	for _, p := range e.kind.Places(e.params) {
		if err := e.rules.roots.Check(p.Path); err != nil {
			code, message := pathFault(v.levels, err)
			v.add(code, "/payload/params"+p.Pointer, "%s", message)
		}
	}
}

// pathFault translates the error of the roots. A code that the table does not have is a refusal all the same.
func pathFault(known levels, err error) (code, message string) {
	var fault *roots.PathError
	if !errors.As(err, &fault) {
		return "PATH_REFUSED", err.Error()
	}
	if _, ok := known[string(fault.Code)]; ok {
		return string(fault.Code), fault.Message
	}
	return "PATH_REFUSED", fault.Message
}

// command asks the exec rules.
func (e *evaluation) command(v *verdict) {
	if e.kind != nil && e.kind.Own() {
		e.ownCommand(v)
		return
	}
	if e.kind == nil || e.kind.Name != kind.NameExec {
		return
	}
	const at = "/payload/params/argv"
	argv, ok := texts(e.params["argv"])
	if !ok || len(argv) == 0 {
		return // G1 refuses it
	}
	d := e.rules.Exec(argv)
	if d.Rule >= 0 {
		v.note("exec_rule", "/gates/exec/"+strconv.Itoa(d.Rule))
	}
	if d.Program != "" {
		v.note("program", d.Program)
		v.note("program_sha256", d.SHA256)
	}
	if d.InRoot {
		v.note("program_in_root", true)
	}
	cwd, _ := e.params["cwd"].(string)
	for i, arg := range argv[1:] {
		e.closedArgument(v, cwd, arg, "/argv/"+strconv.Itoa(i+1))
	}
	program := clip(argv[0], 80)
	switch {
	case d.Missing:
		v.add("PROGRAM_MISSING", at+"/0", "there is a rule for %q, but no such program on this machine", program)
	case d.Decision == DecisionAllow:
	case d.Decision == DecisionAsk:
		v.add("EXEC_ASK", at, "an exec rule for %q wants an operator to decide", program)
	case d.Decision == DecisionForbid:
		v.add("EXEC_FORBIDDEN", at, "an exec rule forbids this command line of %q", program)
	case e.rules.exec.knows(argv[0]):
		v.add(CodeNoRule, at, "there are exec rules for %q, but none for these arguments", program)
	default:
		v.add(CodeNoRule, at+"/0", "there is no exec rule for the program %q", program)
	}
}

// closedArgument refuses an argument that names what is closed to jobs: config/, runtime/ and missions/ can lie in a root, and
// an exec rule for a harmless program does not know that. It is a tripwire and no boundary: an argument is taken for a path
// as it stands or behind a "=", and what a program makes of the others only a sandbox can tell. A .git is left to the rules,
// because programs are given its name for honest reasons.
func (e *evaluation) closedArgument(v *verdict, cwd, arg, pointer string) {
	_, value, _ := strings.Cut(arg, "=")
	for _, text := range [...]string{arg, value} {
		if text == "" {
			continue
		}
		for _, path := range e.rules.places(cwd, text) {
			var fault *roots.PathError
			if err := e.rules.roots.Check(path); errors.As(err, &fault) && fault.Code == roots.ForbiddenPath && !namesGit(path) {
				v.add(string(fault.Code), "/payload/params"+pointer, "%s", fault.Message)
				return
			}
		}
	}
}

// places are the absolute paths that an argument may stand for in a folder: with its ".." taken as text, and as the kernel takes
// them, behind the links before them.
func (r *Rules) places(cwd, text string) []string {
	if len(text) > longestPath {
		return nil // no system opens it
	}
	if !filepath.IsAbs(text) {
		if !filepath.IsAbs(cwd) {
			if cwd = filepath.Join(r.base, cwd); r.base == "" {
				return []string{filepath.Join(cwd, text)}
			}
		}
		text = cwd + "/" + text // not joined: that would take the ".." as text
	}
	list := []string{filepath.Clean(text)}
	if !strings.Contains(text, "..") {
		return list
	}
	if real := followed(text); real != list[0] {
		list = append(list, real)
	}
	return list
}

// longestPath is PATH_MAX.
const longestPath = 4096

// followed goes along a path as the kernel does, as far as it exists: a ".." leads from where a link led.
func followed(path string) string {
	at := "/"
	for _, name := range strings.Split(path, "/") {
		if at = filepath.Join(at, name); name == "" || name == "." || name == ".." {
			continue
		}
		if _, err := os.Readlink(at); err != nil {
			continue // no link
		}
		if real, err := filepath.EvalSymlinks(at); err == nil {
			at = real
		}
	}
	return at
}

// namesGit reports whether a part of the path is .git, in any case.
func namesGit(path string) bool {
	for _, part := range strings.Split(path, "/") {
		if strings.EqualFold(part, ".git") {
			return true
		}
	}
	return false
}

// environment checks the names of the variables that the job wants to set.
func (e *evaluation) environment(v *verdict) {
	env, _ := e.params["env"].(map[string]any)
	if len(env) == 0 {
		return
	}
	names := make([]string, 0, len(env))
	value := func(name string) string {
		text, _ := env[name].(string) // G1 refuses anything else
		return text
	}
	for name := range env {
		if !e.rules.EnvAllowed(name, value(name)) {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	for _, name := range names {
		pointer, how := "/payload/params/env/"+schemas.EscapeToken(name), ""
		if namesFile(name, value(name)) {
			how = " to the path of a file"
		}
		v.add("ENV_NOT_ALLOWED", pointer, "a proposal may not set the variable %q%s", clip(name, 80), how)
		if plain(name, identifier) {
			v.suggest("remove", pointer, nil) // else G1 suggests another name, and this is judged again
		}
	}
}

// crossSource keeps the jobs of one source from waiting for, and so learning about, those of another.
func (e *evaluation) crossSource(v *verdict) {
	own := e.in.Intake.Provenance.Source
	for _, d := range e.in.Facts.Depends {
		if !d.Exists || d.Source == own || e.rules.mayDepend(own, d.Source) {
			continue
		}
		v.add("CROSS_SOURCE", e.dependencyPointer(d.ID), "job %s is of another source, and source %q may not depend on its jobs", clip(d.ID, 64), own)
	}
}

func (e *evaluation) dependencyPointer(id string) string {
	deps, _ := e.object["depends_on"].([]any)
	for i, d := range deps {
		if d == id {
			return "/depends_on/" + strconv.Itoa(i)
		}
	}
	return "/depends_on"
}

// texts returns a list of strings, and false where one of its members is something else.
func texts(v any) ([]string, bool) {
	list, ok := v.([]any)
	if !ok {
		return nil, false
	}
	out := make([]string, 0, len(list))
	for _, x := range list {
		s, ok := x.(string)
		if !ok {
			return nil, false
		}
		out = append(out, s)
	}
	return out, true
}
