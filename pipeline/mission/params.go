package mission

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/sheratan/sheratan/schemas"
)

// param is a declared parameter.
type param struct {
	kind     string // the type in its schema
	standard any    // its default, nil where there is none
	schema   *schemas.Schema
}

// compileParams makes the declared schemas ready to check values with.
func compileParams(declared map[string]json.RawMessage) (map[string]*param, error) {
	params := map[string]*param{}
	for _, name := range slices.Sorted(maps.Keys(declared)) {
		at := "/params/" + name
		v, err := schemas.Parse(declared[name], schemas.Limits{})
		if err != nil {
			return nil, faultAt(at, "%v", err)
		}
		doc, _ := v.(map[string]any)
		p := &param{standard: doc["default"]}
		p.kind, _ = doc["type"].(string)
		if p.schema, err = schemas.Compile("the parameter "+name, declared[name]); err != nil {
			return nil, faultAt(at, "%v", err)
		}
		if p.standard != nil {
			for _, violation := range p.schema.Validate(p.standard) {
				return nil, faultAt(at+"/default", "%s", violation.Message)
			}
		}
		params[name] = p
	}
	return params, nil
}

// Values makes values for the parameters of a mission out of NAME=VALUE words. A value of a parameter of type string is taken as
// it is, any other one as JSON. What is not named has its default.
func (m *Mission) Values(words []string) (map[string]any, error) {
	values := map[string]any{}
	for _, w := range words {
		name, text, ok := strings.Cut(w, "=")
		p := m.params[name]
		switch {
		case !ok:
			return nil, faultAt("", "--param %q: want NAME=VALUE", w)
		case p == nil:
			return nil, faultAt("", "--param %s: the mission has no such parameter; it has %s", name, m.paramNames())
		case values[name] != nil:
			return nil, faultAt("", "--param %s: given twice", name)
		}
		var v any = text
		if p.kind != "string" {
			var err error
			if v, err = schemas.Parse([]byte(text), schemas.DefaultLimits); err != nil {
				return nil, faultAt("", "--param %s: a JSON %s is expected: %v", name, p.kind, err)
			}
		}
		for _, violation := range p.schema.Validate(v) {
			return nil, faultAt("", "--param %s: %s", name, violation.Message)
		}
		values[name] = v
	}
	for name, p := range m.params {
		if values[name] != nil {
			continue
		}
		if p.standard == nil {
			return nil, faultAt("/params/"+name, "has no value and no default; give it with --param %s=VALUE", name)
		}
		values[name] = p.standard
	}
	return values, nil
}

func (m *Mission) paramNames() string {
	if len(m.params) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(maps.Keys(m.params)), ", ")
}

var (
	placeholder = regexp.MustCompile(`^\{([A-Za-z][A-Za-z0-9_-]*)\}$`)
	escaped     = regexp.MustCompile(`^\{\{[A-Za-z][A-Za-z0-9_-]*\}\}$`)
	inside      = regexp.MustCompile(`\{([A-Za-z][A-Za-z0-9_-]*)\}`)
)

// checkTemplate looks at the strings of a template. A parameter stands for a whole value and never for a part of a string: text
// that is put together could become another argument or option than was declared.
func (m *Mission) checkTemplate(at string, v any) error {
	switch v := v.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if err := m.checkTemplate(at+"/"+name, v[name]); err != nil {
				return err
			}
		}
	case []any:
		for i := range v {
			if err := m.checkTemplate(fmt.Sprintf("%s/%d", at, i), v[i]); err != nil {
				return err
			}
		}
	case string:
		if found := placeholder.FindStringSubmatch(v); found != nil {
			if m.params[found[1]] == nil {
				return faultAt(at, "no parameter %s is declared; {%s} in double braces stands for the text", found[1], v)
			}
			return nil
		}
		if escaped.MatchString(v) {
			return nil
		}
		for _, found := range inside.FindAllStringSubmatch(v, -1) {
			if m.params[found[1]] != nil {
				return faultAt(at, "%s is only a part of the string; a parameter stands for a whole value", found[0])
			}
		}
	}
	return nil
}

// fill returns a template with values in the place of the parameters.
func fill(v any, values map[string]any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, x := range v {
			out[name] = fill(x, values)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = fill(v[i], values)
		}
		return out
	case string:
		if found := placeholder.FindStringSubmatch(v); found != nil {
			return values[found[1]]
		}
		if escaped.MatchString(v) {
			return v[1 : len(v)-1]
		}
	}
	return v
}
