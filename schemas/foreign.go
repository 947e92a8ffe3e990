package schemas

import (
	"errors"
	"fmt"
	"regexp/syntax"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v5"
)

// Bounds of a schema that somebody else has written. A schema is a program: a pattern can be made to fill the memory when
// it is compiled, and references double the work with each level when a value is checked.
const (
	ForeignBytes      = 64 << 10 // of the schema
	ForeignDepth      = 32       // of its values, one inside another
	ForeignSchemas    = 1_000    // subschemas; the library takes 0.1 ms for each
	ForeignExpansions = 10_000   // schemas that one value is compared with, once references and alternatives are written out
	ForeignPattern    = 1_024    // bytes of one pattern
	ForeignPatterns   = 20_000   // instructions of all patterns, once their repetitions are written out
	ForeignSteps      = 100_000  // of one comparison; 5 to 50 µs each
)

// CompileForeign is Compile for a schema that a proposal brings. One over the bounds is refused before anything is made of
// it, and Validate of one that is not gives up after ForeignSteps: then the value does not fit. The time of a step grows
// with the value, so whoever checks a value against it should be able to end the process that does.
func CompileForeign(name string, schema []byte) (*Schema, error) {
	if len(schema) > ForeignBytes {
		return nil, fmt.Errorf("%s: the schema has %d bytes, at most %d are allowed", name, len(schema), ForeignBytes)
	}
	doc, err := Parse(schema, Limits{Depth: ForeignDepth})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if err := measureForeign(doc); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	budget := new(stepBudget)
	s, err := compile(name, schema, doc, budget)
	if err != nil {
		return nil, err
	}
	s.fast, s.budget = nil, budget // the short way counts no steps
	return s, nil
}

// stepBudget counts the steps of one validation. The library has no bound of its own, but calls an extension for each
// schema that it compares a value with.
type stepBudget struct {
	mu    sync.Mutex // one validation at a time
	spent int
}

// errSteps ends a validation from within: the library passes panics on.
var errSteps = errors.New("the comparison takes more steps than a schema of a proposal is given")

func (b *stepBudget) Compile(jsonschema.CompilerContext, map[string]any) (jsonschema.ExtSchema, error) {
	return b, nil
}

// Validate counts one schema and the members of the value, which the library goes over even where no keyword asks.
func (b *stepBudget) Validate(_ jsonschema.ValidationContext, v any) error {
	b.spent++
	switch v := v.(type) {
	case map[string]any:
		b.spent += len(v)
	case []any:
		b.spent += len(v)
	case string:
		b.spent += len(v) >> 10
	}
	if b.spent > ForeignSteps {
		panic(errSteps)
	}
	return nil
}

// The keywords that hold schemas. Those of sameValue are compared with the value that the schema around them is compared
// with, so that they multiply; the others with a part of it.
var (
	sameValueOne  = []string{"not", "if", "then", "else"}
	sameValueList = []string{"allOf", "anyOf", "oneOf"}
	sameValueMap  = []string{"dependentSchemas"}
	partOne       = []string{"additionalProperties", "propertyNames", "items", "contains", "unevaluatedProperties", "unevaluatedItems", "contentSchema"}
	partList      = []string{"prefixItems"}
	partMap       = []string{"properties", "patternProperties", "$defs", "definitions"}
)

// measure adds up what a schema would cost.
type measure struct {
	root     any
	schemas  int
	patterns int
	costs    map[string]int // of the schemas that are known, by pointer; 0 is being counted
	later    []place        // schemas for parts of a value: a schema may refer to itself for them
}

// place is a schema, and the pointer that leads to it.
type place struct {
	at string
	v  any
}

func measureForeign(doc any) error {
	m := &measure{root: doc, costs: map[string]int{}, later: []place{{"", doc}}}
	for len(m.later) > 0 {
		next := m.later[len(m.later)-1]
		m.later = m.later[:len(m.later)-1]
		if _, err := m.schema(next.at, next.v); err != nil {
			return err
		}
	}
	return nil
}

// schema returns how many schemas a value is compared with where it is compared with this one.
func (m *measure) schema(at string, v any) (int, error) {
	if cost, known := m.costs[at]; known {
		if cost == 0 {
			return 0, fmt.Errorf("%s: the schema refers to itself for the same value", at)
		}
		return cost, nil
	}
	if m.schemas++; m.schemas > ForeignSchemas {
		return 0, fmt.Errorf("the schema has more than %d schemas in it", ForeignSchemas)
	}
	object, ok := v.(map[string]any)
	if !ok {
		m.costs[at] = 1 // true, false, or what the compiler refuses
		return 1, nil
	}
	m.costs[at] = 0
	cost := 1
	add := func(at string, v any) error {
		n, err := m.schema(at, v)
		if cost += n; err == nil && cost > ForeignExpansions {
			err = fmt.Errorf("%s: written out, the schema compares a value with more than %d schemas", at, ForeignExpansions)
		}
		return err
	}
	if err := m.each(object, at, sameValueOne, sameValueList, sameValueMap, add); err != nil {
		return 0, err
	}
	if err := m.reference(object, at, add); err != nil {
		return 0, err
	}
	m.costs[at] = cost
	if err := m.allPatterns(object, at); err != nil {
		return 0, err
	}
	err := m.each(object, at, partOne, partList, partMap, func(at string, v any) error {
		m.later = append(m.later, place{at, v})
		return nil
	})
	return cost, err
}

// each calls add for the schemas under some keywords.
func (m *measure) each(object map[string]any, at string, one, list, members []string, add func(string, any) error) error {
	for _, name := range one {
		if v, ok := object[name]; ok {
			if err := add(at+"/"+name, v); err != nil {
				return err
			}
		}
	}
	for _, name := range list {
		items, _ := object[name].([]any)
		for i, v := range items {
			if err := add(fmt.Sprintf("%s/%s/%d", at, name, i), v); err != nil {
				return err
			}
		}
	}
	for _, name := range members {
		object, _ := object[name].(map[string]any)
		for member, v := range object {
			if err := add(at+"/"+name+"/"+EscapeToken(member), v); err != nil {
				return err
			}
		}
	}
	return nil
}

// reference follows $ref. What leads to a place that only a compiler knows cannot be measured, and is refused.
func (m *measure) reference(object map[string]any, at string, add func(string, any) error) error {
	for _, name := range []string{"$dynamicRef", "$recursiveRef", "$anchor", "$dynamicAnchor", "$recursiveAnchor"} {
		if _, ok := object[name]; ok {
			return fmt.Errorf("%s/%s: a schema of a proposal refers to its parts by $ref with a JSON Pointer, as in #/$defs/NAME", at, name)
		}
	}
	if _, ok := object["$id"]; ok && at != "" {
		return fmt.Errorf("%s/$id: only the schema as a whole may have one", at)
	}
	ref, ok := object["$ref"]
	if !ok {
		return nil
	}
	text, _ := ref.(string)
	pointer, ok := strings.CutPrefix(text, "#")
	if !ok || pointer != "" && pointer[0] != '/' || strings.Contains(pointer, "%") {
		return fmt.Errorf("%s/$ref: %q is no JSON Pointer into the schema itself, as in #/$defs/NAME", at, clipped(text))
	}
	target, ok := resolve(m.root, pointer)
	if !ok {
		return fmt.Errorf("%s/$ref: the schema has nothing at %q", at, clipped(text))
	}
	return add(pointer, target)
}

// resolve returns the value that a pointer leads to.
func resolve(v any, pointer string) (any, bool) {
	if pointer == "" {
		return v, true
	}
	for token := range strings.SplitSeq(pointer[1:], "/") {
		switch x := v.(type) {
		case map[string]any:
			next, ok := x[UnescapeToken(token)]
			if !ok {
				return nil, false
			}
			v = next
		case []any:
			i, ok := arrayIndex(token)
			if !ok || i >= len(x) {
				return nil, false
			}
			v = x[i]
		default:
			return nil, false
		}
	}
	return v, true
}

// arrayIndex reads a token as the index of an array, which has no leading zeros.
func arrayIndex(token string) (int, bool) {
	if token == "" || len(token) > 6 || token[0] == '0' && token != "0" {
		return 0, false
	}
	n := 0
	for _, c := range []byte(token) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int(c-'0')
	}
	return n, true
}

// allPatterns adds the patterns of one schema.
func (m *measure) allPatterns(object map[string]any, at string) error {
	if s, ok := object["pattern"].(string); ok {
		if err := m.pattern(s, at+"/pattern"); err != nil {
			return err
		}
	}
	named, _ := object["patternProperties"].(map[string]any)
	for s := range named {
		if err := m.pattern(s, at+"/patternProperties"); err != nil {
			return err
		}
	}
	if object["format"] == "regex" {
		return fmt.Errorf("%s/format: a schema of a proposal may not ask for regular expressions: each answer would be compiled", at)
	}
	return nil
}

func (m *measure) pattern(s, at string) error {
	if len(s) > ForeignPattern {
		return fmt.Errorf("%s: a pattern has %d bytes, at most %d are allowed", at, len(s), ForeignPattern)
	}
	re, err := syntax.Parse(s, syntax.Perl)
	if err != nil {
		return nil // the compiler says so, in its words
	}
	if m.patterns += instructions(re); m.patterns > ForeignPatterns {
		return fmt.Errorf("%s: written out, the patterns have more than %d instructions", at, ForeignPatterns)
	}
	return nil
}

// instructions is about how many instructions a pattern comes to, counted only as far as it matters.
func instructions(re *syntax.Regexp) int {
	n := 1 + len(re.Rune)/2
	if re.Op == syntax.OpLiteral {
		n = 1 + len(re.Rune)
	}
	for _, sub := range re.Sub {
		n = min(n+instructions(sub), ForeignPatterns+1)
	}
	if re.Op == syntax.OpRepeat {
		n = min((n+1)*max(re.Min, re.Max, 1), ForeignPatterns+1)
	}
	return n
}

func clipped(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
