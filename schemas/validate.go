package schemas

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v5"
)

// Violation is one way in which a document differs from its schema.
type Violation struct {
	Pointer string // RFC 6901, of the offending value; of the object where a member is missing
	Keyword string // of JSON Schema: type, required, additionalProperties, pattern, …
	Message string // for people, one line, without the pointer
}

// String returns the message with the pointer in front.
func (v Violation) String() string {
	if v.Pointer == "" {
		return v.Message
	}
	return v.Pointer + ": " + v.Message
}

// MaxViolations is how many violations Validate returns at most.
const MaxViolations = 100

// Schema is a compiled JSON Schema. It may be used by many goroutines.
type Schema struct {
	name string
	root *jsonschema.Schema
	fast *acceptor                     // nil where the schema is not simple enough
	at   map[string]*jsonschema.Schema // by location, for messages

	budget *stepBudget // of a schema that a proposal brought; nil is without bound
}

// draft is the only dialect that Compile accepts.
const draft = "https://json-schema.org/draft/2020-12/schema"

// scheme begins the URLs that the library wants schemas to have.
const scheme = "sheratan:///"

// Compile compiles a JSON Schema of draft 2020-12; name is what errors call it. References lead nowhere but into the
// schema itself: nothing is loaded from files or the network.
func Compile(name string, schema []byte) (*Schema, error) {
	doc, err := Parse(schema, Limits{})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return compile(name, schema, doc, nil)
}

// compile compiles what has been parsed.
func compile(name string, schema []byte, doc any, budget *stepBudget) (*Schema, error) {
	if m, ok := doc.(map[string]any); ok {
		if d, ok := m["$schema"]; ok && d != draft {
			return nil, fmt.Errorf("%s: $schema is %v, only %q is supported", name, d, draft)
		}
	}
	base := scheme + url.PathEscape(name)
	c := jsonschema.NewCompiler()
	c.Draft = jsonschema.Draft2020
	c.ExtractAnnotations = true
	c.AssertFormat = true // otherwise it would depend on whether the schema has a $schema
	c.LoadURL = func(ref string) (io.ReadCloser, error) {
		return nil, fmt.Errorf("reference to %s: only references into the schema itself (#/…) are followed", ref)
	}
	if budget != nil {
		c.RegisterExtension("steps", nil, budget)
	}
	if err := c.AddResource(base, bytes.NewReader(schema)); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	root, err := compileAt(c, base)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, plain(err))
	}
	s := &Schema{name: name, root: root, at: make(map[string]*jsonschema.Schema)}
	s.fast = newAcceptor(root, make(map[*jsonschema.Schema]*acceptor))
	s.index(root)
	for at, sch := range s.at {
		if sch.Enum != nil && len(sch.Enum) == 0 { // nothing would fit, and the library lets everything through
			return nil, fmt.Errorf("%s: not a JSON Schema: %s/enum has no values, so nothing would fit", name, strings.TrimPrefix(at, base))
		}
	}
	return s, nil
}

// compileAt is c.Compile, which panics on some schemas that its meta-schema lets through.
func compileAt(c *jsonschema.Compiler, base string) (s *jsonschema.Schema, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("not a JSON Schema: %v", r)
		}
	}()
	return c.Compile(base)
}

// plain takes the made-up URL out of a compile error.
func plain(err error) error {
	var se *jsonschema.SchemaError
	if !errors.As(err, &se) || se.Err == nil {
		return err
	}
	var ve *jsonschema.ValidationError
	if errors.As(se.Err, &ve) {
		for len(ve.Causes) > 0 {
			ve = ve.Causes[0]
		}
		return fmt.Errorf("not a JSON Schema: %s %s", unescape(ve.InstanceLocation), ve.Message)
	}
	return errors.New(strings.ReplaceAll(strings.TrimPrefix(se.Err.Error(), "jsonschema: "), scheme, ""))
}

// index remembers the schemas reachable from s by their location.
func (s *Schema) index(sch *jsonschema.Schema) {
	if sch == nil || s.at[sch.Location] != nil {
		return
	}
	s.at[sch.Location] = sch
	for _, list := range [][]*jsonschema.Schema{
		{sch.Ref, sch.Not, sch.If, sch.Then, sch.Else, sch.PropertyNames, sch.Items2020, sch.Contains, sch.UnevaluatedProperties, sch.UnevaluatedItems},
		sch.AllOf, sch.AnyOf, sch.OneOf, sch.PrefixItems,
	} {
		for _, sub := range list {
			s.index(sub)
		}
	}
	for _, sub := range sch.Properties {
		s.index(sub)
	}
	for _, sub := range sch.PatternProperties {
		s.index(sub)
	}
	for _, sub := range sch.DependentSchemas {
		s.index(sub)
	}
	if sub, ok := sch.AdditionalProperties.(*jsonschema.Schema); ok {
		s.index(sub)
	}
}

// Validate returns how v, a value as Parse returns it, differs from the schema: nothing where it does not, else at most
// MaxViolations in the order of their pointers. It never panics; what cannot be checked is a violation.
func (s *Schema) Validate(v any) (violations []Violation) {
	checked := v
	if s.fast != nil {
		if s.fast.accepts(v) {
			return nil
		}
		checked = s.fast.trim(v)
	}
	defer func() {
		if r := recover(); r != nil {
			violations = []Violation{{Keyword: "schema", Message: fmt.Sprintf("cannot be checked against %s: %v", s.name, r)}}
		}
	}()
	if s.budget != nil {
		s.budget.mu.Lock()
		defer s.budget.mu.Unlock()
		s.budget.spent = 0
	}
	err := s.root.Validate(checked)
	if err == nil {
		return nil
	}
	var ve *jsonschema.ValidationError
	if !errors.As(err, &ve) {
		return []Violation{{Keyword: "schema", Message: fmt.Sprintf("cannot be checked against %s: %v", s.name, err)}}
	}
	d := describer{schema: s, document: v}
	d.walk(ve)
	slices.SortFunc(d.found, compareViolations)
	d.found = slices.Compact(d.found)
	if n := len(d.found); n > MaxViolations {
		d.found = append(d.found[:MaxViolations-1], Violation{Keyword: "schema", Message: fmt.Sprintf("and %d more", n-MaxViolations+1)})
	}
	return d.found
}

func compareViolations(a, b Violation) int {
	if c := strings.Compare(a.Pointer, b.Pointer); c != 0 {
		return c
	}
	if c := strings.Compare(a.Keyword, b.Keyword); c != 0 {
		return c
	}
	return strings.Compare(a.Message, b.Message)
}

// compiled holds the embedded schemas; each is compiled when it is first used.
var compiled = func() map[string]func() (*Schema, error) {
	m := make(map[string]func() (*Schema, error))
	for _, name := range Names() {
		m[name] = sync.OnceValues(func() (*Schema, error) {
			src, _ := Source(name)
			return Compile(name, src)
		})
	}
	return m
}()

// Lookup returns the compiled embedded schema of that name, one of Names.
func Lookup(name string) (*Schema, error) {
	compile, ok := compiled[name]
	if !ok {
		return nil, fmt.Errorf("%s: no such schema, there are %s", name, strings.Join(Names(), ", "))
	}
	return compile()
}

// Validate compares v, a value as Parse returns it, with the embedded schema of that name, one of Names.
func Validate(name string, v any) []Violation {
	s, err := Lookup(name)
	if err != nil {
		return []Violation{{Keyword: "schema", Message: err.Error()}}
	}
	return s.Validate(v)
}
