package cli

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/sheratan/sheratan/pipeline/rules"
	"github.com/sheratan/sheratan/schemas"
)

// setting is one value of the configuration, with what its schema says of it.
type setting struct {
	Pointer string `json:"pointer"`
	Value   any    `json:"value"`
	Default bool   `json:"default"`
	Meaning string `json:"meaning"`
}

// explainConfig prints each setting with its meaning.
func explainConfig(a *app, cfg rules.Config) error {
	present, err := asTree(cfg)
	if err != nil {
		return err
	}
	defaults, err := asTree(rules.DefaultConfig())
	if err != nil {
		return err
	}
	source, ok := schemas.Source("config")
	if !ok {
		return fmt.Errorf("config: has no schema")
	}
	schema, err := parseTree(source)
	if err != nil {
		return err
	}
	w := settingWalk{root: schema}
	w.walk("", present, defaults, schema)
	for _, s := range w.list {
		if err := a.show(s, a.settingText(s)); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) settingText(s setting) string {
	value, err := marshal(s.Value)
	if err != nil {
		value = []byte(fmt.Sprint(s.Value))
	}
	note := ""
	if s.Default {
		note = a.out.style.dim("  (default)")
	}
	return fmt.Sprintf("%s %s%s\n    %s\n", a.out.style.bold(escape(s.Pointer)), escape(clip(string(value), 100)), note, escape(s.Meaning))
}

func asTree(v any) (any, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return parseTree(b)
}

func parseTree(b []byte) (any, error) {
	var v any
	err := json.Unmarshal(b, &v)
	return v, err
}

// settingWalk goes through the configuration and its schema side by side.
type settingWalk struct {
	root any
	list []setting
}

// walk adds the settings in value. An object whose members the schema names is gone into; anything else is one setting.
func (w *settingWalk) walk(pointer string, value, standard, schema any) {
	schema = w.resolve(schema)
	obj, isObject := value.(map[string]any)
	properties, _ := member(schema, "properties").(map[string]any)
	others := w.resolve(member(schema, "additionalProperties"))
	if !isObject || properties == nil && member(others, "properties") == nil || len(obj) == 0 {
		meaning, _ := member(schema, "description").(string)
		w.list = append(w.list, setting{pointer, value, equalJSON(value, standard), meaning})
		return
	}
	for _, name := range sortedKeys(obj) {
		if name == "$schema" {
			continue
		}
		sub := properties[name]
		if sub == nil {
			sub = others
		}
		w.walk(pointer+"/"+schemas.EscapeToken(name), obj[name], member(standard, name), sub)
	}
}

// resolve follows a reference within the schema. What stands beside the reference counts first, as its own description.
func (w *settingWalk) resolve(schema any) any {
	ref, ok := member(schema, "$ref").(string)
	if !ok || !strings.HasPrefix(ref, "#/") {
		return schema
	}
	target := w.root
	for _, step := range strings.Split(ref[2:], "/") {
		target = member(target, step)
	}
	merged := map[string]any{}
	for _, layer := range []any{target, schema} {
		if m, ok := layer.(map[string]any); ok {
			for k, v := range m {
				merged[k] = v
			}
		}
	}
	delete(merged, "$ref")
	return merged
}

// member returns a member of an object, nil where there is none.
func member(v any, name string) any {
	m, _ := v.(map[string]any)
	return m[name]
}

func equalJSON(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && slices.Equal(x, y)
}
