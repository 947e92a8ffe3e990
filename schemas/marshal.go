package schemas

import (
	"fmt"

	jsonv2 "github.com/go-json-experiment/json"
)

// Marshal returns the canonical form of what encoding/json would print of v: the same names, options and methods, the
// members of structs in canonical order too. Bytes in strings that are not UTF-8 become U+FFFD. A number that RFC 8785
// would change is an error.
func Marshal(v any) ([]byte, error) {
	b, err := appendAny(make([]byte, 0, 512), v)
	if err != nil {
		return nil, fmt.Errorf("%T: %w", v, err)
	}
	return b, nil
}

// AppendCanonical appends what Marshal returns to dst.
func AppendCanonical(dst []byte, v any) ([]byte, error) {
	b, err := appendAny(dst, v)
	if err != nil {
		return dst, fmt.Errorf("%T: %w", v, err)
	}
	return b, nil
}

// Unmarshal reads one JSON document into the Go value that v points to. Unknown members, members whose name differs in
// case, duplicate names, text that is not UTF-8 and trailing data are errors.
func Unmarshal(b []byte, v any) error {
	return jsonv2.Unmarshal(b, v, jsonv2.RejectUnknownMembers(true))
}

// UnmarshalStored is Unmarshal for a document that Marshal has made, by this version or by another one: unknown members are left out.
func UnmarshalStored(b []byte, v any) error { return jsonv2.Unmarshal(b, v) }
