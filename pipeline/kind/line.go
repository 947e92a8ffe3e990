package kind

import (
	"encoding/json"
	"slices"
	"strings"
)

// ParamsLine describes the params of a kind of the operator's own in one line, as in
//
//	{"pattern": TEXT, "paths"?: [PATH…], "max_count"?: NUMBER}
//
// Those that are required come first; ? stands behind those that may be left out.
func (k Kind) ParamsLine() string {
	if k.template == nil {
		return ""
	}
	required := map[string]bool{}
	var schema struct {
		Required []string `json:"required"`
	}
	if json.Unmarshal(k.Schema, &schema) == nil {
		for _, name := range schema.Required {
			required[name] = true
		}
	}
	names := make([]string, 0, len(k.template.params))
	for name := range k.template.params {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if required[a] != required[b] {
			if required[a] {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	var b strings.Builder
	for i, name := range names {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(`"` + name + `"`)
		if !required[name] {
			b.WriteByte('?')
		}
		b.WriteString(": " + k.template.params[name].word())
	}
	return "{" + b.String() + "}"
}

// word is the type of a parameter, for people.
func (p *param) word() string {
	switch p.Type {
	case typeArray:
		item := *p.Items
		item.path = p.path
		return "[" + item.word() + "…]"
	case typeInteger:
		return "NUMBER"
	case typeBoolean:
		return "true or false"
	}
	switch {
	case len(p.Enum) > 0:
		quoted := make([]string, len(p.Enum))
		for i, s := range p.Enum {
			quoted[i] = `"` + s + `"`
		}
		return strings.Join(quoted, " or ")
	case p.path:
		return "PATH"
	}
	return "TEXT"
}
