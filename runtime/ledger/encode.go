package ledger

import (
	"encoding/json"
	"fmt"

	jsonv2 "github.com/go-json-experiment/json"

	"github.com/sheratan/sheratan/schemas"
)

// NewMeta returns v, one of the meta structs of this package or a map, in RFC 8785 form; nil gives {}.
func NewMeta(v any) (json.RawMessage, error) {
	if v == nil {
		return json.RawMessage("{}"), nil
	}
	m, err := schemas.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("ledger meta %T: %w", v, err)
	}
	if len(m) == 0 || m[0] != '{' {
		return nil, fmt.Errorf("ledger meta %T: not an object", v)
	}
	return json.RawMessage(m), nil
}

// DecodeMeta reads the event's meta into v, a pointer to the struct that meta.go has for the event. Members that the
// struct does not know are an error: a newer version may have changed what the event means by them.
func (e *Event) DecodeMeta(v any) error {
	if err := jsonv2.Unmarshal(e.Meta, v, jsonv2.RejectUnknownMembers(true)); err != nil {
		return fmt.Errorf("ledger line %d, %s, meta: %w", e.Seq, e.Event, err)
	}
	return nil
}

// locate reads the members of a meta object that say where a document lies.
func locate(meta json.RawMessage) (Located, error) {
	var at Located
	if err := jsonv2.Unmarshal(meta, &at); err != nil {
		return Located{}, err
	}
	return at, nil
}
