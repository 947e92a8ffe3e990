package schemas

import (
	"encoding/json"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v5"
)

// acceptor is the short way for documents that fit their schema, which nearly all do: it says yes to them at a tenth of
// the price of a full validation, and leaves everything else to that. It is made from the compiled schema, and only
// where it knows each keyword in it. A wrong yes would be a hole in the gates, so it says yes only to what it
// understands exactly, and a test compares it with the library.
type acceptor struct {
	types      []string
	constant   any
	enum       []any
	ref        *acceptor
	all        []*acceptor
	any        []*acceptor
	notPattern *regexp.Regexp

	required    []string
	properties  map[string]*acceptor
	closed      bool // no other properties
	others      *acceptor
	names       *acceptor
	minMembers  int
	maxMembers  int
	prefix      []*acceptor
	items       *acceptor
	minItems    int
	maxItems    int
	unique      bool
	minLength   int
	maxLength   int
	pattern     *regexp.Regexp
	min, max    int64
	bounded     bool // by min and max
	hasConstant bool
}

// limits of what a bound may be to be compared as an integer.
const unbounded = 1 << 53

// newAcceptor returns nil where the schema says something that acceptors do not know. made holds those that are there
// already or being made, because schemas may refer to themselves.
func newAcceptor(s *jsonschema.Schema, made map[*jsonschema.Schema]*acceptor) *acceptor {
	if a, ok := made[s]; ok {
		return a
	}
	if !simple(s) {
		return nil
	}
	a := &acceptor{
		types: s.Types, enum: s.Enum,
		required: s.Required, minMembers: s.MinProperties, maxMembers: s.MaxProperties,
		minItems: s.MinItems, maxItems: s.MaxItems, unique: s.UniqueItems,
		minLength: s.MinLength, maxLength: s.MaxLength, pattern: s.Pattern,
		min: -unbounded, max: unbounded,
	}
	made[s] = a
	if len(s.Constant) > 0 {
		a.constant, a.hasConstant = s.Constant[0], true
	}
	ok := integer(s.Minimum, &a.min) && integer(s.Maximum, &a.max)
	a.bounded = s.Minimum != nil || s.Maximum != nil
	sub := func(s *jsonschema.Schema) *acceptor {
		if s == nil {
			return nil
		}
		made := newAcceptor(s, made)
		ok = ok && made != nil
		return made
	}
	a.ref, a.names, a.items = sub(s.Ref), sub(s.PropertyNames), sub(s.Items2020)
	for _, s := range s.AllOf {
		a.all = append(a.all, sub(s))
	}
	for _, s := range s.AnyOf {
		a.any = append(a.any, sub(s))
	}
	for _, s := range s.PrefixItems {
		a.prefix = append(a.prefix, sub(s))
	}
	if len(s.Properties) > 0 {
		a.properties = make(map[string]*acceptor, len(s.Properties))
		for name, s := range s.Properties {
			a.properties[name] = sub(s)
		}
	}
	switch others := s.AdditionalProperties.(type) {
	case bool:
		a.closed = !others
	case *jsonschema.Schema:
		a.others = sub(others)
	}
	if s.Not != nil {
		a.notPattern = s.Not.Pattern
		ok = ok && onlyPattern(s.Not)
	}
	if !ok {
		return nil
	}
	return a
}

// simple reports whether a schema has no keyword that acceptors do not know.
func simple(s *jsonschema.Schema) bool {
	return s.Always == nil && s.RecursiveRef == nil && s.DynamicRef == nil && len(s.OneOf) == 0 &&
		s.If == nil && len(s.PatternProperties) == 0 && len(s.Dependencies) == 0 && len(s.DependentRequired) == 0 &&
		len(s.DependentSchemas) == 0 && s.UnevaluatedProperties == nil && s.Items == nil && s.AdditionalItems == nil &&
		s.Contains == nil && s.UnevaluatedItems == nil && s.ExclusiveMinimum == nil && s.ExclusiveMaximum == nil &&
		s.MultipleOf == nil && s.Format == "" && s.ContentEncoding == "" && s.ContentMediaType == "" && len(s.Extensions) == 0
}

// onlyPattern reports whether a schema asks for a pattern of strings and nothing else, so that what is not a string fits.
func onlyPattern(s *jsonschema.Schema) bool {
	return simple(s) && s.Pattern != nil && s.Ref == nil && s.Not == nil && len(s.Types) == 0 && len(s.Constant) == 0 &&
		len(s.Enum) == 0 && len(s.AllOf) == 0 && len(s.AnyOf) == 0 && s.MinLength < 0 && s.MaxLength < 0 && s.Minimum == nil && s.Maximum == nil &&
		len(s.Required) == 0 && len(s.Properties) == 0 && s.AdditionalProperties == nil && s.PropertyNames == nil &&
		s.MinProperties < 0 && s.MaxProperties < 0 && len(s.PrefixItems) == 0 && s.Items2020 == nil && s.MinItems < 0 &&
		s.MaxItems < 0 && !s.UniqueItems
}

// integer stores a bound, and reports whether it is an integer that fits.
func integer(bound *big.Rat, n *int64) bool {
	if bound == nil {
		return true
	}
	if !bound.IsInt() || !bound.Num().IsInt64() {
		return false
	}
	*n = bound.Num().Int64()
	return -unbounded <= *n && *n <= unbounded
}

// accepts reports whether v fits for certain.
func (a *acceptor) accepts(v any) bool {
	if a.ref != nil && !a.ref.accepts(v) {
		return false
	}
	for _, sub := range a.all {
		if !sub.accepts(v) {
			return false
		}
	}
	if len(a.any) > 0 && !slices.ContainsFunc(a.any, func(sub *acceptor) bool { return sub.accepts(v) }) {
		return false
	}
	if a.hasConstant && !same(v, a.constant) {
		return false
	}
	if len(a.enum) > 0 && !slices.ContainsFunc(a.enum, func(e any) bool { return same(v, e) }) {
		return false
	}
	if _, ok := v.(string); !ok && a.notPattern != nil {
		return false // what is not a string fits each pattern
	}
	switch v := v.(type) {
	case string:
		return a.is("string") && a.acceptsString(v)
	case map[string]any:
		return a.is("object") && a.acceptsObject(v)
	case []any:
		return a.is("array") && a.acceptsArray(v)
	case json.Number:
		return a.acceptsNumber(string(v))
	case bool:
		return a.is("boolean")
	case nil:
		return a.is("null")
	default:
		return false
	}
}

func (a *acceptor) is(name string) bool { return len(a.types) == 0 || slices.Contains(a.types, name) }

// same is sure of strings, booleans, null, and numbers that are spelled alike.
func same(a, b any) bool {
	switch a.(type) {
	case string, bool, nil, json.Number:
		return a == b
	default:
		return false
	}
}

func (a *acceptor) acceptsString(s string) bool {
	if a.maxLength >= 0 && len(s) > a.maxLength && utf8.RuneCountInString(s) > a.maxLength {
		return false
	}
	if a.minLength > 0 && utf8.RuneCountInString(s) < a.minLength {
		return false
	}
	return (a.pattern == nil || a.pattern.MatchString(s)) && (a.notPattern == nil || !a.notPattern.MatchString(s))
}

// acceptsNumber is sure of integers; other numbers take the long way.
func (a *acceptor) acceptsNumber(literal string) bool {
	if !exactInteger(literal) || !a.is("integer") && !a.is("number") {
		return false
	}
	if !a.bounded {
		return true
	}
	n, err := strconv.ParseInt(literal, 10, 64)
	return err == nil && a.min <= n && n <= a.max
}

func (a *acceptor) acceptsObject(o map[string]any) bool {
	if a.minMembers >= 0 && len(o) < a.minMembers || a.maxMembers >= 0 && len(o) > a.maxMembers {
		return false
	}
	for _, name := range a.required {
		if _, ok := o[name]; !ok {
			return false
		}
	}
	for name, v := range o {
		if a.names != nil && !a.names.accepts(name) {
			return false
		}
		if p, ok := a.properties[name]; ok {
			if !p.accepts(v) {
				return false
			}
			continue
		}
		if a.closed || a.others != nil && !a.others.accepts(v) {
			return false
		}
	}
	return true
}

func (a *acceptor) acceptsArray(list []any) bool {
	if a.minItems >= 0 && len(list) < a.minItems || a.maxItems >= 0 && len(list) > a.maxItems {
		return false
	}
	for i, v := range list {
		switch {
		case i < len(a.prefix):
			if !a.prefix[i].accepts(v) {
				return false
			}
		case a.items != nil && !a.items.accepts(v):
			return false
		}
	}
	return !a.unique || distinctStrings(list)
}

// distinctStrings reports whether a list has nothing but strings, each once.
func distinctStrings(list []any) bool {
	if len(list) < 2 {
		return true
	}
	seen := make(map[string]struct{}, len(list))
	for _, v := range list {
		s, ok := v.(string)
		if !ok {
			return false
		}
		seen[s] = struct{}{}
	}
	return len(seen) == len(list)
}

// trim returns v with its arrays cut to one element more than the schema allows. They are as wrong as before, but the
// library does not describe half a million elements of a list that may have a thousand. v itself stays as it is.
func (a *acceptor) trim(v any) any {
	if a.ref != nil {
		v = a.ref.trim(v)
	}
	switch v := v.(type) {
	case []any:
		if a.maxItems >= 0 && len(v) > a.maxItems+1 {
			return v[:a.maxItems+1]
		}
	case map[string]any:
		trimmed := make(map[string]any, len(v))
		for name, member := range v {
			if sub, ok := a.properties[name]; ok {
				member = sub.trim(member)
			}
			trimmed[name] = member
		}
		return trimmed
	}
	return v
}
