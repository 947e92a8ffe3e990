package rules

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/sheratan/sheratan/schemas"
)

// Setting is one value of the effective config.
type Setting struct {
	Pointer     string          `json:"pointer"`
	Value       json.RawMessage `json:"value"`
	Default     bool            `json:"default"` // it is what holds where the file says nothing
	InFile      bool            `json:"in_file"` // the file says it, which may be the same
	Description string          `json:"description"`
}

// Settings lists the effective config, in the order of the file format: one entry for each value, and one for each
// element of a list of objects.
func (r *Rules) Settings() ([]Setting, error) {
	effective, err := toValue(r.Config)
	if err != nil {
		return nil, err
	}
	defaults, err := toValue(DefaultConfig())
	if err != nil {
		return nil, err
	}
	var file any
	if len(r.sources.config) > 0 {
		if file, err = schemas.Parse(r.sources.config, schemas.Limits{Bytes: maxConfig}); err != nil {
			return nil, err
		}
	}
	text, ok := schemas.Source("config")
	if !ok {
		return nil, errors.New("there is no schema of the config")
	}
	var root map[string]any
	if err := json.Unmarshal(text, &root); err != nil {
		return nil, err
	}
	l := lister{root: root}
	l.walk("", root, at{effective, true}, at{defaults, true}, at{file, file != nil})
	for i := range l.found {
		// Rules read better in the order in which people write them.
		if n, ok := strings.CutPrefix(l.found[i].Pointer, "/gates/exec/"); ok {
			index, err := strconv.Atoi(n)
			if err != nil {
				return nil, err
			}
			text, err := plainJSON(r.Config.Gates.Exec[index])
			if err != nil {
				return nil, err
			}
			l.found[i].Value = json.RawMessage(inline(text))
		}
	}
	return l.found, nil
}

func toValue(v any) (any, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return schemas.Parse(text, schemas.Limits{Bytes: maxConfig})
}

// at is a value that may be missing.
type at struct {
	value any
	there bool
}

func (a at) member(name string) at {
	m, _ := a.value.(map[string]any)
	v, ok := m[name]
	return at{v, ok}
}

func (a at) element(i int) at {
	list, _ := a.value.([]any)
	if i >= len(list) {
		return at{}
	}
	return at{list[i], true}
}

type lister struct {
	root  map[string]any
	found []Setting
}

func (l *lister) walk(pointer string, schema map[string]any, value, def, file at) {
	schema = l.resolve(schema)
	switch v := value.value.(type) {
	case map[string]any:
		if schema == nil || len(v) == 0 && pointer != "" {
			break
		}
		for _, name := range order(v) {
			next := submember(schema, "properties", name)
			if next == nil {
				next, _ = schema["additionalProperties"].(map[string]any)
			}
			if pointer == "" && name == "$schema" {
				continue
			}
			l.walk(pointer+"/"+schemas.EscapeToken(name), next, value.member(name), def.member(name), file.member(name))
		}
		return
	case []any:
		items, _ := schema["items"].(map[string]any)
		if len(v) == 0 || !isObject(v[0]) {
			break
		}
		for i := range v {
			l.add(pointer+"/"+strconv.Itoa(i), describe(schema, items), value.element(i), def.element(i), file.element(i))
		}
		return
	}
	l.add(pointer, describe(schema), value, def, file)
}

func (l *lister) add(pointer, description string, value, def, file at) {
	text, err := schemas.Marshal(value.value)
	if err != nil {
		return // it came out of schemas.Parse
	}
	same := false
	if def.there {
		other, err := schemas.Marshal(def.value)
		same = err == nil && bytes.Equal(text, other)
	}
	l.found = append(l.found, Setting{Pointer: pointer, Value: text, Default: same, InFile: file.there, Description: description})
}

// describe returns the first description of the schemas, or of what they refer to.
func describe(list ...map[string]any) string {
	for _, s := range list {
		if text, ok := s["description"].(string); ok {
			return text
		}
	}
	return ""
}

// resolve follows a reference; what stands beside it goes before.
func (l *lister) resolve(schema map[string]any) map[string]any {
	ref, ok := schema["$ref"].(string)
	if !ok {
		return schema
	}
	target := submember(l.root, "$defs", strings.TrimPrefix(ref, "#/$defs/"))
	merged := map[string]any{}
	for k, v := range target {
		merged[k] = v
	}
	for k, v := range schema {
		merged[k] = v
	}
	return merged
}

func submember(m map[string]any, outer, inner string) map[string]any {
	o, _ := m[outer].(map[string]any)
	i, _ := o[inner].(map[string]any)
	return i
}

// sections is the order in which the design lists the members of the config; JSON objects have none.
var sections = []string{"sources", "limits", "gates", "host", "sandbox", "retention", "relay", "audit", "operators", "kinds", "roots", "exec", "env", "levels", "markers"}

// order sorts the members of an object of the config.
func order(v map[string]any) []string {
	names := make([]string, 0, len(v))
	for name := range v {
		names = append(names, name)
	}
	rank := func(name string) int {
		if i := slices.Index(sections, name); i >= 0 {
			return i
		}
		return len(sections)
	}
	slices.SortFunc(names, func(a, b string) int {
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	return names
}

func isObject(v any) bool {
	_, ok := v.(map[string]any)
	return ok
}
