package kind

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/sheratan/sheratan/schemas"
)

// The types of parameters.
const (
	typeString  = "string"
	typeInteger = "integer"
	typeBoolean = "boolean"
	typeArray   = "array"
)

// maxItems is how many items a list may have where the file does not say.
const maxItems = 64

// paramsSchema is the JSON Schema of the parameters, as far as a file can say it.
type paramsSchema struct {
	Required   []string          `json:"required"`
	Properties map[string]*param `json:"properties"`
}

// param is the schema of one parameter, or of the items of one.
type param struct {
	Description string          `json:"description,omitempty"`
	Type        string          `json:"type"`
	Default     json.RawMessage `json:"default,omitempty"`
	Items       *param          `json:"items,omitempty"`
	MinItems    int             `json:"minItems,omitempty"`
	MaxItems    int             `json:"maxItems,omitempty"`
	Enum        []string        `json:"enum,omitempty"`
	Pattern     string          `json:"pattern,omitempty"`
	Not         *notPattern     `json:"not,omitempty"`
	MinLength   int             `json:"minLength,omitempty"`
	MaxLength   int             `json:"maxLength,omitempty"`
	Minimum     *int64          `json:"minimum,omitempty"`
	Maximum     *int64          `json:"maximum,omitempty"`

	path     bool
	standard any // the default, as it would stand in a proposal
}

type notPattern struct {
	Pattern string `json:"pattern"`
}

// item is the schema of what becomes one argument: that of the items of a list, else p itself.
func (p *param) item() *param {
	if p.Type == typeArray {
		return p.Items
	}
	return p
}

// text is item where that is a string, else nil.
func (p *param) text() *param {
	if i := p.item(); i != nil && i.Type == typeString {
		return i
	}
	return nil
}

// mayBeNone reports whether the parameter, which is not in required, can make no argument at all.
func (p *param) mayBeNone() bool {
	switch {
	case p.Type == typeArray && p.MinItems == 0:
		return true
	case p.Type == typeBoolean:
		return false
	}
	return p.Default == nil
}

// document makes the schema of the parameters that gates and people see.
func (s paramsSchema) document(name, summary string) ([]byte, error) {
	properties := s.Properties
	if properties == nil {
		properties = map[string]*param{}
	}
	for _, p := range properties {
		if p.Type == typeArray && p.MaxItems == 0 {
			p.MaxItems = max(maxItems, p.MinItems)
		}
		if t := p.text(); p.path && t != nil {
			t.MinLength = max(t.MinLength, 1)
			if t.MaxLength == 0 {
				t.MaxLength = MaxPathBytes
			}
		}
	}
	return schemas.Marshal(map[string]any{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "sheratan.kind." + name + "/v1",
		"title": "Parameters of " + name, "description": summary, "type": "object", "additionalProperties": false,
		"required": append([]string{}, s.Required...), "properties": properties,
	})
}

// checkParams checks what a JSON Schema could say and this program would not understand.
func (c *compiler) checkParams() {
	for i, name := range c.Params.Required {
		if c.Params.Properties[name] == nil {
			c.fault(fmt.Sprintf("/params/required/%d", i), "there is no parameter %q; /params/properties lists them", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Params.Properties)) {
		p, at := c.Params.Properties[name], "/params/properties/"+name
		if (p.Type == typeArray) != (p.Items != nil) {
			c.fault(at, "items belong to the type array and to no other; write \"type\": \"array\" with \"items\"")
			continue
		}
		if p.Type != typeArray && (p.MinItems > 0 || p.MaxItems > 0) {
			c.fault(at, "minItems and maxItems are for arrays; take them out")
		}
		if p.Type != typeArray {
			c.checkScalar(at, p)
			continue
		}
		if p.MaxItems > 0 && p.MinItems > p.MaxItems {
			c.fault(at+"/minItems", "is more than maxItems")
		}
		for _, x := range []struct {
			name string
			set  bool
		}{{"enum", p.Enum != nil}, {"pattern", p.Pattern != ""}, {"not", p.Not != nil}, {"minLength", p.MinLength > 0},
			{"maxLength", p.MaxLength > 0}, {"minimum", p.Minimum != nil}, {"maximum", p.Maximum != nil}} {
			if x.set {
				c.fault(at+"/"+x.name, "is about the items of the array; move it to items")
			}
		}
		c.checkScalar(at+"/items", p.Items)
	}
}

func (c *compiler) checkScalar(at string, p *param) {
	if p.Type != typeString && (p.Enum != nil || p.Pattern != "" || p.Not != nil || p.MinLength > 0 || p.MaxLength > 0) {
		c.fault(at, "enum, pattern, not, minLength and maxLength are for the type string; take them out")
	}
	if p.Type != typeInteger && (p.Minimum != nil || p.Maximum != nil) {
		c.fault(at, "minimum and maximum are for the type integer; take them out")
	}
	if p.Pattern != "" {
		if err := anchored(p.Pattern); err != nil {
			c.fault(at+"/pattern", "%v", err)
		}
	}
	if p.Not != nil {
		if _, err := regexp.Compile(p.Not.Pattern); err != nil {
			c.fault(at+"/not/pattern", "%v", err)
		}
	}
}

// anchored checks that an expression describes all of a text. JSON Schema looks for a match anywhere in it, and "^a|b$"
// says less than it seems to.
func anchored(pattern string) error {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return err
	}
	if re.Op != syntax.OpConcat || re.Sub[0].Op != syntax.OpBeginText || re.Sub[len(re.Sub)-1].Op != syntax.OpEndText {
		return fmt.Errorf("%q may match a part of a text only; write ^(?:%s)$", pattern, strings.Trim(pattern, "^$"))
	}
	return nil
}

// beginsWithDash reports whether a value can begin with "-", "" where it cannot, else why it can.
func (p *param) beginsWithDash() string {
	switch p.Type {
	case typeBoolean:
		return ""
	case typeInteger:
		if p.Minimum != nil && *p.Minimum >= 0 {
			return ""
		}
		return "a negative number begins with -; set \"minimum\": 0"
	}
	if p.path {
		return "" // it gets ./ in front
	}
	for _, s := range p.Enum {
		if strings.HasPrefix(s, "-") {
			return fmt.Sprintf("%q would be taken for an option; take it out of the enum, and select it with {\"if\": …}", s)
		}
	}
	if p.Enum != nil || p.Not != nil && p.Not.Pattern == "^-" || p.Pattern != "" && !matchesDash(p.Pattern) {
		return ""
	}
	return "text that begins with - would be taken for an option; put it behind a text (\"--name={…}\") or behind \"--\", make it a path, give it an enum, or a pattern that excludes it (\"not\": {\"pattern\": \"^-\"})"
}

// matchesDash reports whether an anchored expression matches any text that begins with "-", or may: it looks at which
// character can come first.
func matchesDash(pattern string) bool {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return true
	}
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		return true
	}
	seen := make([]bool, len(prog.Inst))
	next := []uint32{uint32(prog.Start)}
	for len(next) > 0 {
		pc := next[len(next)-1]
		next = next[:len(next)-1]
		if seen[pc] {
			continue
		}
		seen[pc] = true
		switch i := &prog.Inst[pc]; i.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			next = append(next, i.Out, i.Arg)
		case syntax.InstCapture, syntax.InstNop, syntax.InstEmptyWidth:
			next = append(next, i.Out)
		case syntax.InstRune, syntax.InstRune1, syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
			if i.MatchRune('-') {
				return true
			}
		}
	}
	return false
}
