package schemas

import (
	"fmt"
	"strings"
	"testing"
)

// doubling is a schema that compares a value with 2^levels schemas.
func doubling(levels int) string {
	var b strings.Builder
	b.WriteString(`{"$defs": {"a0": {"type": "string"}`)
	for i := range levels {
		fmt.Fprintf(&b, `, "a%d": {"anyOf": [{"$ref": "#/$defs/a%d"}, {"$ref": "#/$defs/a%d"}]}`, i+1, i, i)
	}
	fmt.Fprintf(&b, `}, "$ref": "#/$defs/a%d"}`, levels)
	return b.String()
}

// A schema of somebody else is refused where it is over a bound, by the bound's own words, and taken where it is not.
func TestForeignBounds(t *testing.T) {
	nested := func(n int) string { return strings.Repeat(`{"items": `, n) + "{}" + strings.Repeat("}", n) }
	for name, tc := range map[string]struct{ schema, want string }{
		"an object":              {`{"type": "object", "required": ["n"], "properties": {"n": {"type": "integer", "pattern": "^a{1,64}$"}}}`, ""},
		"a tree":                 {`{"properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}}}`, ""},
		"a tree in alternatives": {`{"anyOf": [{"type": "null"}, {"properties": {"next": {"$ref": "#"}}}]}`, ""},
		"a name as a keyword":    {`{"properties": {"$anchor": {"type": "string"}, "$id": {}, "pattern": {"type": "string"}}}`, ""},
		"few doublings":          {doubling(10), ""},
		"many doublings":         {doubling(17), "more than 10000 schemas"},
		"a loop":                 {`{"$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"}`, "refers to itself"},
		"depth":                  {nested(ForeignDepth + 1), "deep"},
		"bytes":                  {`{"description": "` + strings.Repeat("x", ForeignBytes) + `"}`, "at most 65536 are allowed"},
		"schemas":                {`{"prefixItems": [` + strings.Repeat("{},", ForeignSchemas) + `{}]}`, "more than 1000 schemas"},
		"a long pattern":         {`{"pattern": "` + strings.Repeat("a", ForeignPattern+1) + `"}`, "1025 bytes"},
		"a pattern that grows":   {`{"pattern": "(aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa){999}"}`, "instructions"},
		"a class that grows":     {`{"pattern": "(\\pL{9}){99}"}`, "instructions"},
		"patterns of names":      {`{"patternProperties": {"(aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa){999}": {}}}`, "instructions"},
		"many patterns":          {`{"prefixItems": [` + strings.Repeat(`{"pattern": "a{999}"},`, 30) + `{}]}`, "instructions"},
		"an anchor":              {`{"$anchor": "x"}`, "$ref with a JSON Pointer"},
		"a dynamic reference":    {`{"properties": {"a": {"$dynamicRef": "#x"}}}`, "$ref with a JSON Pointer"},
		"an inner id":            {`{"properties": {"a": {"$id": "x"}}}`, "only the schema as a whole"},
		"elsewhere":              {`{"$ref": "https://example.org/x"}`, "no JSON Pointer"},
		"nowhere":                {`{"$ref": "#/$defs/none"}`, "has nothing at"},
		"the format of patterns": {`{"format": "regex"}`, "regular expressions"},
		"no schema":              {`{"type": "nothing"}`, "not a JSON Schema"},
	} {
		_, err := CompileForeign("answer", []byte(tc.schema))
		switch {
		case tc.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
}

// What cannot be seen in a schema is seen in the steps: a tree whose branches are compared twice at each level.
func TestForeignSteps(t *testing.T) {
	src := []byte(`{"anyOf": [{"required": ["x"], "properties": {"a": {"$ref": "#"}}}, {"properties": {"a": {"$ref": "#"}, "x": false}}]}`)
	s, err := CompileForeign("answer", src)
	if err != nil {
		t.Fatal(err)
	}
	deep := func(n int) any {
		v := any(map[string]any{})
		for range n {
			v = map[string]any{"a": v}
		}
		return v
	}
	if list := s.Validate(deep(5)); len(list) > 0 {
		t.Errorf("five levels: %v", list)
	}
	list := s.Validate(deep(18))
	if len(list) != 1 || !strings.Contains(list[0].Message, "more steps") {
		t.Errorf("eighteen levels: %v", list)
	}
	if s.budget.spent > ForeignSteps+100 {
		t.Errorf("%d steps", s.budget.spent)
	}
	// The count begins anew.
	if list := s.Validate(deep(5)); len(list) > 0 {
		t.Errorf("five levels, afterwards: %v", list)
	}
}

// A list without values would let everything through.
func TestEmptyEnum(t *testing.T) {
	for _, src := range []string{`{"enum": []}`, `{"properties": {"a": {"enum": []}}, "required": ["a"]}`} {
		for name, compile := range map[string]func(string, []byte) (*Schema, error){"ours": Compile, "foreign": CompileForeign} {
			if _, err := compile("answer", []byte(src)); err == nil || !strings.Contains(err.Error(), "enum has no values") {
				t.Errorf("%s, %s: %v", name, src, err)
			}
		}
	}
}
