package schemas

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

func newListEncoder(t reflect.Type) encoder {
	elem := encoderOf(t.Elem())
	return func(dst []byte, v reflect.Value) (_ []byte, err error) {
		if v.Kind() == reflect.Slice && v.IsNil() {
			return append(dst, "null"...), nil
		}
		dst = append(dst, '[')
		for i := range v.Len() {
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst, err = elem(dst, v.Index(i)); err != nil {
				return dst, within(strconv.Itoa(i), err)
			}
		}
		return append(dst, ']'), nil
	}
}

func newMapEncoder(t reflect.Type) encoder {
	elem := encoderOf(t.Elem())
	if t.Key().Kind() != reflect.String || t.Key().Implements(typeText) {
		return func(dst []byte, _ reflect.Value) ([]byte, error) {
			return dst, fmt.Errorf("%s: only strings can be names", t)
		}
	}
	return func(dst []byte, v reflect.Value) (_ []byte, err error) {
		if v.IsNil() {
			return append(dst, "null"...), nil
		}
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return compareUTF16(a.String(), b.String()) })
		dst = append(dst, '{')
		for i, key := range keys {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendString(dst, key.String()), ':')
			if dst, err = elem(dst, v.MapIndex(key)); err != nil {
				return dst, within(key.String(), err)
			}
		}
		return append(dst, '}'), nil
	}
}

// field is one member of a struct.
type field struct {
	name   string
	key    []byte // the name as it is printed, with its colon
	index  []int
	omit   func(reflect.Value) bool // nil where the member is always printed
	encode encoder
}

func newStructEncoder(t reflect.Type) encoder {
	fields, err := structFields(t)
	if err != nil {
		return func(dst []byte, _ reflect.Value) ([]byte, error) { return dst, err }
	}
	return func(dst []byte, v reflect.Value) (_ []byte, err error) {
		dst = append(dst, '{')
		first := true
		for i := range fields {
			f := &fields[i]
			fv := v.FieldByIndex(f.index)
			if f.omit != nil && f.omit(fv) {
				continue
			}
			if !first {
				dst = append(dst, ',')
			}
			first = false
			dst = append(dst, f.key...)
			if dst, err = f.encode(dst, fv); err != nil {
				return dst, within(f.name, err)
			}
		}
		return append(dst, '}'), nil
	}
}

// structFields returns the members of a struct in canonical order. Embedded structs without a name of their own are part
// of it. What encoding/json would settle by its rules of precedence is an error here.
func structFields(t reflect.Type) ([]field, error) {
	var fields []field
	for _, sf := range reflect.VisibleFields(t) {
		tag := sf.Tag.Get("json")
		name, options, _ := strings.Cut(tag, ",")
		switch {
		case tag == "-", !sf.IsExported() && !sf.Anonymous:
			continue
		case sf.Anonymous && name == "" && sf.Type.Kind() == reflect.Struct:
			continue // its fields are visible themselves
		case sf.Anonymous && name == "" && sf.Type.Kind() == reflect.Pointer:
			return nil, fmt.Errorf("%s: embedded pointer %s cannot be printed", t, sf.Name)
		case !sf.IsExported():
			continue
		case len(sf.Index) > 1 && hasNamedParent(t, sf.Index):
			continue
		}
		if name == "" {
			name = sf.Name
		}
		if !validName(name) {
			return nil, fmt.Errorf("%s: %q cannot be the name of a member, encoding/json would use another", t, name)
		}
		f := field{name: name, key: append(appendString(nil, name), ':'), index: sf.Index, encode: encoderOf(sf.Type)}
		for option := range strings.SplitSeq(options, ",") {
			switch option {
			case "":
			case "omitempty":
				f.omit = isEmpty
			case "omitzero":
				f.omit = reflect.Value.IsZero
			default:
				return nil, fmt.Errorf("%s: option %q of member %s is not supported", t, option, name)
			}
		}
		fields = append(fields, f)
	}
	slices.SortFunc(fields, func(a, b field) int {
		return cmp.Or(compareUTF16(a.name, b.name), cmp.Compare(len(a.index), len(b.index)))
	})
	for i := 1; i < len(fields); i++ {
		if fields[i].name == fields[i-1].name {
			return nil, fmt.Errorf("%s: two members are called %s", t, fields[i].name)
		}
	}
	return fields, nil
}

// validName is what encoding/json accepts as a name in a tag.
func validName(name string) bool {
	return !strings.ContainsFunc(name, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", r)
	})
}

// hasNamedParent reports whether a promoted field belongs to an embedded struct that is a member of its own.
func hasNamedParent(t reflect.Type, index []int) bool {
	for i := 1; i < len(index); i++ {
		name, _, _ := strings.Cut(t.FieldByIndex(index[:i]).Tag.Get("json"), ",")
		if name != "" {
			return true
		}
	}
	return false
}

// isEmpty is what encoding/json takes for empty.
func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Array, reflect.Map, reflect.Slice, reflect.String:
		return v.Len() == 0
	case reflect.Struct:
		return false
	default:
		return v.IsZero()
	}
}
