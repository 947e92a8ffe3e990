package kind

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/schemas"
)

// SchemaFile is the value of $schema in a file of config/kinds.
const SchemaFile = "sheratan.kind/v1"

// Fault is one thing that is wrong with the file of a kind.
type Fault struct {
	Pointer string // RFC 6901, into the file
	Message string // with the way out
}

// reserved are names that this program has kinds for, or is going to.
var reserved = []string{"http_get", "llm"}

// file is the text of a kind. What the schema of the file says is checked before.
type file struct {
	Name         string            `json:"name"`
	Summary      string            `json:"summary"`
	Argv         []any             `json:"argv"`
	Params       paramsSchema      `json:"params"`
	Paths        []string          `json:"paths"`
	Cwd          string            `json:"cwd"`
	Env          map[string]string `json:"env"`
	Capabilities []string          `json:"capabilities"`
	Limits       struct {
		Timeout    int   `json:"timeout_seconds"`
		MaxTimeout int   `json:"max_timeout_seconds"`
		Output     int64 `json:"output_bytes"`
		Data       int64 `json:"data_bytes"`
	} `json:"limits"`
	Effect   Effect `json:"effect"`
	Rerun    string `json:"rerun"`
	Retries  *int   `json:"max_retries"`
	Unsafe   bool   `json:"unsafe"`
	Network  bool   `json:"network"`
	Examples struct {
		Match []struct {
			Params map[string]any `json:"params"`
			Argv   []string       `json:"argv"`
		} `json:"match"`
		NoMatch []map[string]any `json:"no_match"`
	} `json:"examples"`
}

// ParseFile reads the file of a kind and checks all that can be checked without the machine: its form, that no
// parameters can make another argument or option of the template than it has, and its examples. There is a kind exactly
// where there are no faults.
func ParseFile(text []byte) (Kind, []Fault) {
	v, canonical, err := schemas.ParseCanonical(text, schemas.DefaultLimits)
	if err != nil {
		return Kind{}, []Fault{{Message: err.Error()}}
	}
	if object, ok := v.(map[string]any); ok && object["$schema"] != SchemaFile {
		return Kind{}, []Fault{{"/$schema", fmt.Sprintf("is not %q; sheratan schema kind says what such a file has", SchemaFile)}}
	}
	var c compiler
	for _, x := range schemas.Validate("kind", v) {
		c.fault(x.Pointer, "%s; sheratan schema kind says what such a file has", x.Message)
	}
	if len(c.faults) > 0 {
		return Kind{}, c.faults
	}
	if err := json.Unmarshal(text, &c.file); err != nil {
		return Kind{}, []Fault{{Message: err.Error()}}
	}
	k := c.compile()
	if len(c.faults) > 0 {
		return Kind{}, c.faults
	}
	k.Definition = canonical
	c.examples(k, v)
	if len(c.faults) > 0 {
		return Kind{}, c.faults
	}
	return k, nil
}

// compiler turns a file into a kind.
type compiler struct {
	file
	faults []Fault
	used   map[string]bool // parameters that the template mentions
	ended  bool            // a literal "--" came before
}

func (c *compiler) fault(pointer, format string, args ...any) {
	c.faults = append(c.faults, Fault{pointer, fmt.Sprintf(format, args...)})
}

func (c *compiler) compile() Kind {
	c.used = map[string]bool{}
	c.checkName()
	c.checkParams()
	c.checkPaths()
	c.checkEnv()
	l := c.Limits
	if l.Timeout == 0 {
		l.Timeout = job.DefaultTimeoutSeconds
		if l.MaxTimeout > 0 {
			l.Timeout = min(l.Timeout, l.MaxTimeout)
		}
	}
	if l.MaxTimeout > 0 && l.Timeout > l.MaxTimeout {
		c.fault("/limits/timeout_seconds", "%d is more than max_timeout_seconds, %d; lower the one or raise the other", l.Timeout, l.MaxTimeout)
	}
	if len(c.faults) > 0 {
		return Kind{}
	}
	if _, err := Retries(c.Rerun == "safe", c.Retries); err != nil {
		c.fault("/max_retries", "%v", err)
		return Kind{}
	}
	t := &template{params: c.Params.Properties, cwd: c.Cwd, env: c.Env, unsafe: c.Unsafe}
	t.argv = c.elements()
	for _, name := range slices.Sorted(maps.Keys(c.Params.Properties)) {
		if !c.used[name] && name != c.Cwd {
			c.fault("/params/properties/"+name, "the command line does not use it; write \"{%s}\" into argv, or take the parameter out", name)
		}
	}
	if len(c.faults) > 0 {
		return Kind{}
	}
	k := Kind{
		Name: c.Name, Summary: c.Summary, Paths: append([]string{}, c.Paths...), Effect: c.Effect, RerunSafe: c.Rerun == "safe",
		MaxRetries: c.Retries,
		Timeout:    l.Timeout, MaxTimeout: l.MaxTimeout, OutputBytes: l.Output, DataBytes: l.Data, Network: c.Network,
		template: t,
	}
	k.Capabilities = append([]string{c.Name}, c.Capabilities...)
	slices.Sort(k.Capabilities[1:])
	k.Capabilities = slices.Compact(k.Capabilities)
	var err error
	if k.Schema, err = c.Params.document(c.Name, c.Summary); err == nil {
		t.schema, err = schemas.Compile("kind."+c.Name, k.Schema)
	}
	if err != nil {
		c.fault("/params", "%v", err)
		return Kind{}
	}
	c.checkDefaults(t.schema)
	return k
}

func (c *compiler) checkName() {
	_, builtin := Lookup(c.Name)
	if builtin || slices.Contains(reserved, c.Name) {
		c.fault("/name", "%q is the name of a built-in kind; take another one", c.Name)
	}
	if program, ok := c.Argv[0].(string); !ok || program == "" || strings.ContainsAny(program, "{}\x00") {
		c.fault("/argv/0", "is not the name of a program; the first element is the program as it stands, never a parameter")
	} else if strings.Contains(program, "/") && (!filepath.IsAbs(program) || filepath.Clean(program) != program) {
		c.fault("/argv/0", "%q is neither a name nor a clean absolute path", program)
	}
}

func (c *compiler) checkPaths() {
	for i, pointer := range c.Paths {
		name, at := pointer[1:], "/paths/"+strconv.Itoa(i)
		p, ok := c.Params.Properties[name]
		switch {
		case !ok:
			c.fault(at, "there is no parameter %q; /params/properties lists them", name)
		case p.text() == nil:
			c.fault(at, "%q is no text and no list of texts, and so no path", name)
		case slices.Contains(c.Paths[:i], pointer):
			c.fault(at, "%s is there twice", pointer)
		default:
			p.path = true
		}
	}
	if c.Cwd == "" {
		return
	}
	switch p, ok := c.Params.Properties[c.Cwd]; {
	case !ok:
		c.fault("/cwd", "there is no parameter %q; /params/properties lists them", c.Cwd)
	case !p.path || p.Type != typeString:
		c.fault("/cwd", "%q is no path; make it a string, and add \"/%s\" to paths", c.Cwd, c.Cwd)
	}
}

// checkEnv refuses the variables that tell a job who and where it is.
func (c *compiler) checkEnv() {
	for _, name := range slices.Sorted(maps.Keys(c.Env)) {
		if name == "PATH" || name == "HOME" || name == "TMPDIR" || name == "PWD" || strings.HasPrefix(name, "SHERATAN_") {
			c.fault("/env/"+name, "is set by Sheratan for each job; leave it out")
		}
	}
}

func (c *compiler) checkDefaults(s *schemas.Schema) {
	for _, name := range slices.Sorted(maps.Keys(c.Params.Properties)) {
		p := c.Params.Properties[name]
		if p.Default == nil {
			continue
		}
		at := "/params/properties/" + name + "/default"
		if slices.Contains(c.Params.Required, name) {
			c.fault(at, "the parameter is required, so its default would never be used; take one of the two away")
		}
		v, err := schemas.Parse(p.Default, schemas.DefaultLimits)
		if err != nil {
			c.fault(at, "%v", err)
			continue
		}
		for _, x := range s.Validate(map[string]any{name: v}) {
			if strings.HasPrefix(x.Pointer, "/"+name) {
				c.fault(at, "%s", x.Message)
			}
		}
		p.standard = v
	}
}

// examples runs the examples. v is the parsed file, in which numbers are what they are in proposals.
func (c *compiler) examples(k Kind, v any) {
	examples, _ := v.(map[string]any)["examples"].(map[string]any)
	list, _ := examples["match"].([]any)
	for i := range list {
		at := "/examples/match/" + strconv.Itoa(i)
		params, _ := list[i].(map[string]any)["params"].(map[string]any)
		cmd, err := k.Fill(params)
		want := c.Examples.Match[i].Argv
		switch {
		case err != nil:
			c.fault(at, "these parameters are refused: %v; correct the example or the kind", err)
		case !slices.Equal(cmd.Argv, want):
			c.fault(at, "these parameters make %q, the example says %q; correct the example or the kind", cmd.Argv, want)
		}
	}
	list, _ = examples["no_match"].([]any)
	for i := range list {
		params, _ := list[i].(map[string]any)
		if cmd, err := k.Fill(params); err == nil {
			c.fault("/examples/no_match/"+strconv.Itoa(i), "these parameters are not refused, they make %q; make the type of a parameter narrower, or take the example out", cmd.Argv)
		}
	}
}
