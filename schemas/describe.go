package schemas

import (
	"encoding/json"
	"fmt"
	"math/big"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v5"
)

// describer turns the tree of a validation error into a flat list in plain words. It takes the words from the schema and
// the document, not from the messages of the library, which name neither.
type describer struct {
	schema   *Schema
	document any
	found    []Violation
}

// walk collects the leaves below ve. Where one of several forms would have done, the forms stay together: each alone
// would say something that need not be mended.
func (d *describer) walk(ve *jsonschema.ValidationError) {
	if len(ve.Causes) == 0 {
		d.leaf(ve)
		return
	}
	switch keyword := lastToken(ve.AbsoluteKeywordLocation); keyword {
	case "anyOf", "oneOf", "minContains":
		forms := make([]string, 0, len(ve.Causes))
		for _, c := range ve.Causes {
			form := describer{schema: d.schema, document: d.document}
			form.walk(c)
			slices.SortFunc(form.found, compareViolations)
			forms = append(forms, form.found[0].String())
		}
		slices.Sort(forms)
		d.add(ve, keyword, "has none of the allowed forms: "+strings.Join(slices.Compact(forms), "; or "))
	default:
		for _, c := range ve.Causes {
			d.walk(c)
		}
	}
}

func (d *describer) add(ve *jsonschema.ValidationError, keyword, message string) {
	d.found = append(d.found, Violation{unescape(ve.InstanceLocation), keyword, message})
}

// leaf describes one violation, or one for each member that is missing or unknown.
func (d *describer) leaf(ve *jsonschema.ValidationError) {
	location, keyword := ve.AbsoluteKeywordLocation, ""
	sch := d.schema.at[location]
	if sch == nil || sch.Always == nil { // of a schema that is false there is no keyword
		if i := strings.LastIndexByte(location, '/'); i >= 0 {
			location, keyword = location[:i], location[i+1:]
			sch = d.schema.at[location]
		}
	}
	where := unescape(ve.InstanceLocation)
	value, ok := lookup(d.document, where)
	if strings.HasSuffix(location, "/propertyNames") {
		value, ok = UnescapeToken(lastToken(where)), true
	}
	if sch == nil || !ok {
		d.add(ve, keyword, ve.Message)
		return
	}
	object, _ := value.(map[string]any)
	switch keyword {
	case "required":
		for _, name := range sch.Required {
			if _, ok := object[name]; !ok {
				d.add(ve, keyword, strconv.Quote(name)+" is missing"+about(sch.Properties[name]))
			}
		}
	case "additionalProperties":
		known := memberNames(sch)
		for name := range object {
			if !declared(sch, name) {
				d.found = append(d.found, Violation{where + "/" + EscapeToken(name), keyword, "is not a member of this object" + known})
			}
		}
	default:
		d.add(ve, keyword, describe(keyword, sch, value, ve.Message))
	}
}

// describe returns the message for a keyword that concerns one value.
func describe(keyword string, sch *jsonschema.Schema, value any, fallback string) string {
	switch keyword {
	case "type":
		return fmt.Sprintf("is %s, %s is expected%s", typeOf(value), typeNames(sch.Types), about(sch))
	case "enum":
		return fmt.Sprintf("is %s, one of %s is expected", show(value), showAll(sch.Enum))
	case "const":
		return fmt.Sprintf("is %s, %s is expected", show(value), show(sch.Constant[0]))
	case "pattern":
		if sch.Description == "" {
			return fmt.Sprintf("%s does not match %s", show(value), sch.Pattern)
		}
		return fmt.Sprintf("%s does not fit%s", show(value), about(sch))
	case "minLength", "maxLength":
		s, _ := value.(string)
		return bounds(keyword, utf8.RuneCountInString(s), "characters", sch.MinLength, sch.MaxLength)
	case "minItems", "maxItems":
		a, _ := value.([]any)
		return bounds(keyword, len(a), "items", sch.MinItems, sch.MaxItems)
	case "minProperties", "maxProperties":
		o, _ := value.(map[string]any)
		return bounds(keyword, len(o), "members", sch.MinProperties, sch.MaxProperties)
	case "minimum":
		return fmt.Sprintf("is %s, at least %s is expected", show(value), ratio(sch.Minimum))
	case "maximum":
		return fmt.Sprintf("is %s, at most %s is allowed", show(value), ratio(sch.Maximum))
	case "exclusiveMinimum":
		return fmt.Sprintf("is %s, more than %s is expected", show(value), ratio(sch.ExclusiveMinimum))
	case "exclusiveMaximum":
		return fmt.Sprintf("is %s, less than %s is expected", show(value), ratio(sch.ExclusiveMaximum))
	case "not", "":
		return "is not allowed here" + about(sch)
	default:
		return fallback
	}
}

func bounds(keyword string, n int, what string, least, most int) string {
	if strings.HasPrefix(keyword, "min") {
		return fmt.Sprintf("has %d %s, at least %d are expected", n, what, least)
	}
	return fmt.Sprintf("has %d %s, at most %d are allowed", n, what, most)
}

// about returns what the schema says of itself, for the end of a message.
func about(sch *jsonschema.Schema) string {
	for sch != nil && sch.Description == "" && sch.Ref != nil {
		sch = sch.Ref
	}
	if sch == nil || sch.Description == "" {
		return ""
	}
	return ": " + strings.TrimSuffix(sch.Description, ".")
}

func declared(sch *jsonschema.Schema, name string) bool {
	if _, ok := sch.Properties[name]; ok {
		return true
	}
	for pattern := range sch.PatternProperties {
		if pattern.MatchString(name) {
			return true
		}
	}
	return false
}

func memberNames(sch *jsonschema.Schema) string {
	if len(sch.Properties) == 0 {
		return ""
	}
	names := make([]string, 0, len(sch.Properties))
	for name := range sch.Properties {
		names = append(names, name)
	}
	slices.Sort(names)
	return ", which may have " + strings.Join(names, ", ")
}

func typeOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case json.Number:
		return "a number"
	case string:
		return "a string"
	case []any:
		return "an array"
	default:
		return "an object"
	}
}

func typeNames(types []string) string {
	names := make([]string, len(types))
	for i, t := range types {
		switch t {
		case "null":
			names[i] = t
		case "array", "integer", "object":
			names[i] = "an " + t
		default:
			names[i] = "a " + t
		}
	}
	return strings.Join(names, " or ")
}

// show prints a value for a message: short, on one line, and without characters that a terminal would obey.
func show(v any) string {
	switch v := v.(type) {
	case string:
		return strconv.Quote(clip(v))
	case json.Number:
		return clip(string(v))
	case bool, nil:
		return strings.ReplaceAll(fmt.Sprint(v), "<nil>", "null")
	default:
		return typeOf(v)
	}
}

func showAll(values []any) string {
	parts := make([]string, len(values))
	for i, v := range values {
		parts[i] = show(v)
	}
	return strings.Join(parts, ", ")
}

func ratio(r *big.Rat) string {
	if r.IsInt() {
		return r.Num().String()
	}
	f, _ := r.Float64()
	return strconv.FormatFloat(f, 'g', -1, 64)
}

// lookup returns the value at an RFC 6901 pointer.
func lookup(v any, pointer string) (any, bool) {
	if pointer == "" {
		return v, true
	}
	for _, token := range strings.Split(pointer[1:], "/") {
		switch parent := v.(type) {
		case map[string]any:
			child, ok := parent[UnescapeToken(token)]
			if !ok {
				return nil, false
			}
			v = child
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(parent) {
				return nil, false
			}
			v = parent[i]
		default:
			return nil, false
		}
	}
	return v, true
}

// unescape turns a location of the library, which is percent-encoded, into an RFC 6901 pointer.
func unescape(location string) string {
	if s, err := url.PathUnescape(location); err == nil {
		return s
	}
	return location
}

func lastToken(pointer string) string { return pointer[strings.LastIndexByte(pointer, '/')+1:] }
