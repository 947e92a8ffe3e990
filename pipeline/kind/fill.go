package kind

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/sheratan/sheratan/schemas"
)

// Command is what a job of an operator's kind runs. The program is Argv[0], as the kind names it; where that is was
// decided when the rules were loaded.
type Command struct {
	Argv   []string
	From   []string // for each argument the pointer to the parameter in it, "" where the template has it
	Cwd    string   // "" is the first root
	Env    map[string]string
	Places []Place // the parameters that are paths
}

// Place is a parameter that is a path.
type Place struct {
	Pointer string // RFC 6901, into the params
	Path    string // relative to the first root, or absolute
}

// Own reports whether the kind is one of the operator's, with a command line of which params fill in parts.
func (k Kind) Own() bool { return k.template != nil }

// Examples is how many examples the file of an operator's kind has.
func (k Kind) Examples() int {
	var f file
	if k.Definition == nil || json.Unmarshal(k.Definition, &f) != nil {
		return 0
	}
	return len(f.Examples.Match) + len(f.Examples.NoMatch)
}

// Program names the program of an operator's kind as the file does, and whether it may be one that runs others.
func (k Kind) Program() (name string, unsafe bool) {
	return k.template.argv[0].literal, k.template.unsafe
}

// Fill makes the command line of an operator's kind of params, as schemas.Parse returns them. It is a pure function, and
// strict: what the schema of the params refuses, it refuses. The error is a *ParamError.
func (k Kind) Fill(params map[string]any) (Command, error) {
	if params == nil {
		params = map[string]any{}
	}
	if v := k.template.schema.Validate(params); len(v) > 0 {
		return Command{}, &ParamError{k.Name, v[0].Pointer, v[0].Message}
	}
	f := filler{template: k.template, params: params, checker: checker{kind: k.Name}}
	for _, e := range f.template.argv {
		f.element(e)
	}
	f.sizes()
	f.cmd.Env = maps.Clone(f.template.env)
	f.cmd.Places = k.Places(params)
	for _, p := range f.cmd.Places {
		f.path(p.Pointer, p.Path)
		if slices.Contains(strings.Split(p.Path, "/"), "..") {
			f.fail(p.Pointer, "contains \"..\"")
		}
	}
	if name := f.template.cwd; name != "" {
		f.cmd.Cwd, _ = f.value(name).(string)
	}
	if err := f.err(); err != nil {
		return Command{}, err
	}
	return f.cmd, nil
}

// Places lists the params that are paths, each as the gate has to check it. What is left out, or of another type than the
// schema wants, is not among them. Where the kind has a parameter for the folder to run in, relative paths are joined to
// it: without cleaning, because a/../b is to be refused and not to become b.
func (k Kind) Places(params map[string]any) []Place {
	var places []Place
	base := ""
	get := func(name string) any { return params[name] }
	if k.template != nil {
		f := filler{template: k.template, params: params}
		get = f.value
		base, _ = get(k.template.cwd).(string)
	}
	for _, pointer := range k.Paths {
		name := pointer[1:] // paths are members of the params
		v := get(name)
		add := func(pointer string, v any) {
			path, ok := v.(string)
			if !ok {
				return
			}
			if base != "" && name != k.template.cwd && !strings.HasPrefix(path, "/") {
				path = base + "/" + path
			}
			places = append(places, Place{pointer, path})
		}
		if list, ok := v.([]any); ok {
			for i, x := range list {
				add(pointer+"/"+strconv.Itoa(i), x)
			}
			continue
		}
		add(pointer, v)
	}
	return places
}

// RunsIn reports whether a place is the folder in which the program of the kind runs.
func (k Kind) RunsIn(pointer string) bool {
	return k.template == nil && pointer == "/cwd" || k.template != nil && k.template.cwd != "" && pointer == "/"+k.template.cwd
}

// Argv is the command line of a job with these params, for whoever looks at it: that of exec as it stands, that of an
// operator's kind filled in. It is nil where there is none, or the params are not right.
func (k Kind) Argv(params map[string]any) []string {
	switch {
	case k.template != nil:
		if cmd, err := k.Fill(params); err == nil {
			return cmd.Argv
		}
	case k.Name == NameExec:
		list, _ := params["argv"].([]any)
		argv := make([]string, 0, len(list))
		for _, a := range list {
			if s, ok := a.(string); ok {
				argv = append(argv, s)
			}
		}
		return argv
	}
	return nil
}

// Parse is ParseParams for this kind; for one of the operator's it returns a Command.
func (k Kind) Parse(raw []byte) (any, error) {
	if k.template == nil {
		return ParseParams(k.Name, raw)
	}
	v, err := schemas.Parse(raw, schemas.Limits{})
	if err != nil {
		return nil, &ParamError{Kind: k.Name, Message: "not valid JSON: " + err.Error()}
	}
	params, ok := v.(map[string]any)
	if !ok {
		return nil, &ParamError{Kind: k.Name, Message: "an object is expected"}
	}
	cmd, err := k.Fill(params)
	if err != nil {
		return nil, err
	}
	return cmd, nil
}

type filler struct {
	checker
	template *template
	params   map[string]any
	cmd      Command
}

// value is the value of a parameter, nil where there is none. A list without items is one that is left out.
func (f *filler) value(name string) any {
	v, ok := f.params[name]
	if !ok && f.template.params[name] != nil {
		v = f.template.params[name].standard
	}
	if list, ok := v.([]any); ok && len(list) == 0 {
		return nil
	}
	return v
}

func (f *filler) element(e element) {
	switch {
	case e.when != "":
		if v := f.value(e.when); v == nil || v == false {
			return
		}
		for _, x := range e.then {
			f.element(x)
		}
	case e.param == "":
		f.add(e.literal, "")
	default:
		p := f.template.params[e.param]
		v, pointer := f.value(e.param), "/"+e.param
		if v == nil && p.Type == typeBoolean {
			v = false
		}
		if list, ok := v.([]any); ok {
			for i, x := range list {
				f.add(e.prefix+f.argument(p, x, pointer), pointer+"/"+strconv.Itoa(i))
			}
		} else if v != nil {
			f.add(e.prefix+f.argument(p, v, pointer), pointer)
		}
	}
}

func (f *filler) add(arg, from string) {
	f.text(from, arg, MaxArgBytes)
	f.cmd.Argv = append(f.cmd.Argv, arg)
	f.cmd.From = append(f.cmd.From, from)
}

// argument prints a value that the schema has let through.
func (f *filler) argument(p *param, v any, pointer string) string {
	switch v := v.(type) {
	case string:
		if p.path && v != "." && !strings.HasPrefix(v, "/") && !strings.HasPrefix(v, "./") {
			return "./" + v // so that no path is taken for an option, for "-", or for what the program has a syntax for
		}
		return v
	case json.Number:
		n, err := v.Int64() // a schema takes 1e+21 for an integer too
		if err != nil {
			f.fail(pointer, "%s is no whole number of 64 bits", v)
		}
		return strconv.FormatInt(n, 10)
	case bool:
		return strconv.FormatBool(v)
	}
	return ""
}

// View is what policies may ask of a job with these params: the paths, and the command line.
func (k Kind) View(params map[string]any) (paths, argv []string) {
	for _, p := range k.Places(params) {
		paths = append(paths, p.Path)
	}
	return paths, k.Argv(params)
}

func (f *filler) sizes() {
	total := 0
	for _, a := range f.cmd.Argv {
		total += len(a) + 1
	}
	if len(f.cmd.Argv) > MaxArgs {
		f.fail("", "they make %d arguments, at most %d are allowed", len(f.cmd.Argv), MaxArgs)
	}
	if total > MaxArgsBytes {
		f.fail("", "they make arguments of %d bytes, at most %d are allowed", total, MaxArgsBytes)
	}
}
