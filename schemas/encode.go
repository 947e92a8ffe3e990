package schemas

import (
	"encoding"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// encoder appends the canonical form of a value of one type. Encoders are made once for a type: the members of a struct
// are put in order then, so that printing a document needs neither sorting nor a second pass.
type encoder func(dst []byte, v reflect.Value) ([]byte, error)

var encoders sync.Map // of reflect.Type to encoder

var (
	typeRaw     = reflect.TypeFor[json.RawMessage]()
	typeValue   = reflect.TypeFor[jsontext.Value]()
	typeNumber  = reflect.TypeFor[json.Number]()
	typeJSON    = reflect.TypeFor[json.Marshaler]()
	typeText    = reflect.TypeFor[encoding.TextMarshaler]()
	wholeLimits = Limits{Bytes: math.MaxInt, Depth: deepest}
)

// largestInteger is the largest number up to which all integers are doubles.
const largestInteger = 1 << 53

func encoderOf(t reflect.Type) encoder {
	if e, ok := encoders.Load(t); ok {
		return e.(encoder)
	}
	// A type that contains itself asks for its encoder while it is made: it gets one that waits.
	var (
		once sync.Once
		made encoder
	)
	wait := encoder(func(dst []byte, v reflect.Value) ([]byte, error) {
		once.Do(func() { made = newEncoder(t) })
		return made(dst, v)
	})
	if e, ok := encoders.LoadOrStore(t, wait); ok {
		return e.(encoder)
	}
	once.Do(func() { made = newEncoder(t) })
	encoders.Store(t, made)
	return made
}

func newEncoder(t reflect.Type) encoder {
	switch {
	case t == typeRaw, t == typeValue:
		return encodeRaw
	case t == typeNumber:
		return func(dst []byte, v reflect.Value) ([]byte, error) { return appendNumber(dst, v.String()) }
	case t.Implements(typeJSON) && t.Kind() != reflect.Interface:
		return encodeMarshaler
	case t.Implements(typeText) && t.Kind() != reflect.Interface:
		return encodeText
	case reflect.PointerTo(t).Implements(typeJSON), reflect.PointerTo(t).Implements(typeText):
		// encoding/json would use the method or not, depending on where the value lies.
		return func(dst []byte, _ reflect.Value) ([]byte, error) {
			return dst, fmt.Errorf("%s prints itself by a method of its pointer, which is not supported", t)
		}
	}
	switch t.Kind() {
	case reflect.Bool:
		return func(dst []byte, v reflect.Value) ([]byte, error) { return strconv.AppendBool(dst, v.Bool()), nil }
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return encodeInt
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return encodeUint
	case reflect.Float64:
		return encodeFloat
	case reflect.String:
		return func(dst []byte, v reflect.Value) ([]byte, error) { return appendString(dst, v.String()), nil }
	case reflect.Struct:
		return newStructEncoder(t)
	case reflect.Map:
		return newMapEncoder(t)
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return encodeBytes
		}
		return newListEncoder(t)
	case reflect.Array:
		return newListEncoder(t)
	case reflect.Pointer:
		elem := encoderOf(t.Elem())
		return func(dst []byte, v reflect.Value) ([]byte, error) {
			if v.IsNil() {
				return append(dst, "null"...), nil
			}
			return elem(dst, v.Elem())
		}
	case reflect.Interface:
		return encodeInterface
	default:
		return func(dst []byte, _ reflect.Value) ([]byte, error) {
			return dst, fmt.Errorf("%s cannot be printed as JSON", t)
		}
	}
}

// encodeInterface takes the short way through the values that Parse returns.
func encodeInterface(dst []byte, v reflect.Value) ([]byte, error) {
	if v.IsNil() {
		return append(dst, "null"...), nil
	}
	return appendAny(dst, v.Interface())
}

// appendAny appends the canonical form of v.
func appendAny(dst []byte, v any) (_ []byte, err error) {
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...), nil
	case bool:
		return strconv.AppendBool(dst, v), nil
	case string:
		return appendString(dst, v), nil
	case json.Number:
		return appendNumber(dst, string(v))
	case []any:
		if v == nil {
			return append(dst, "null"...), nil
		}
		dst = append(dst, '[')
		for i, e := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst, err = appendAny(dst, e); err != nil {
				return dst, within(strconv.Itoa(i), err)
			}
		}
		return append(dst, ']'), nil
	case map[string]any:
		if v == nil {
			return append(dst, "null"...), nil
		}
		var few [16]string
		names := few[:0]
		for name := range v {
			names = append(names, name)
		}
		slices.SortFunc(names, compareUTF16)
		dst = append(dst, '{')
		for i, name := range names {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendString(dst, name), ':')
			if dst, err = appendAny(dst, v[name]); err != nil {
				return dst, within(name, err)
			}
		}
		return append(dst, '}'), nil
	default:
		r := reflect.ValueOf(v)
		return encoderOf(r.Type())(dst, r)
	}
}

// encodeRaw takes JSON that is already there; mostly it is in canonical form, and then it is only looked through.
func encodeRaw(dst []byte, v reflect.Value) ([]byte, error) {
	b := v.Bytes()
	switch {
	case v.IsNil():
		return append(dst, "null"...), nil
	case IsCanonical(b):
		return append(dst, b...), nil
	}
	value, err := Parse(b, wholeLimits)
	if err != nil {
		return dst, err
	}
	return appendAny(dst, value)
}

func encodeMarshaler(dst []byte, v reflect.Value) ([]byte, error) {
	if v.Kind() == reflect.Pointer && v.IsNil() {
		return append(dst, "null"...), nil
	}
	b, err := v.Interface().(json.Marshaler).MarshalJSON()
	if err != nil {
		return dst, err
	}
	return encodeRaw(dst, reflect.ValueOf(json.RawMessage(b)))
}

func encodeText(dst []byte, v reflect.Value) ([]byte, error) {
	if v.Kind() == reflect.Pointer && v.IsNil() {
		return append(dst, "null"...), nil
	}
	b, err := v.Interface().(encoding.TextMarshaler).MarshalText()
	if err != nil {
		return dst, err
	}
	return appendString(dst, string(b)), nil
}

func encodeInt(dst []byte, v reflect.Value) ([]byte, error) {
	n := v.Int()
	if n > largestInteger || n < -largestInteger {
		return dst, fmt.Errorf("%d does not fit a JSON number", n)
	}
	return strconv.AppendInt(dst, n, 10), nil
}

func encodeUint(dst []byte, v reflect.Value) ([]byte, error) {
	n := v.Uint()
	if n > largestInteger {
		return dst, fmt.Errorf("%d does not fit a JSON number", n)
	}
	return strconv.AppendUint(dst, n, 10), nil
}

func encodeFloat(dst []byte, v reflect.Value) ([]byte, error) {
	f := v.Float()
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return dst, fmt.Errorf("%v is not a JSON number", f)
	}
	return appendFloat(dst, f), nil
}

func appendNumber(dst []byte, literal string) ([]byte, error) {
	if literal == "" {
		literal = "0" // as encoding/json does
	}
	form, ok := canonicalNumber(literal)
	if !ok || form != literal && !jsontext.Value(literal).IsValid() { // ParseFloat takes more than JSON does
		return dst, fmt.Errorf("%q does not fit a JSON number", clip(literal))
	}
	return append(dst, form...), nil
}

func encodeBytes(dst []byte, v reflect.Value) ([]byte, error) {
	if v.IsNil() {
		return append(dst, "null"...), nil
	}
	dst = append(dst, '"')
	dst = base64.StdEncoding.AppendEncode(dst, v.Bytes())
	return append(dst, '"'), nil
}

// memberError is an error with the place of the value that could not be printed.
type memberError struct {
	pointer string // RFC 6901
	err     error
}

func (e *memberError) Error() string { return e.pointer + ": " + e.err.Error() }

func (e *memberError) Unwrap() error { return e.err }

// within adds the name of the member or the number of the element to err.
func within(token string, err error) error {
	pointer := "/" + EscapeToken(token)
	if m, ok := err.(*memberError); ok {
		return &memberError{pointer + m.pointer, m.err}
	}
	return &memberError{pointer, err}
}
