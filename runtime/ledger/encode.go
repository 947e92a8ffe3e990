package ledger

import (
	"bytes"
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

// locate reads the members of a meta object that say where a document lies. All but strange ones are read by hand: Verify does it
// for each event.
func locate(meta json.RawMessage) (Located, error) {
	if at, ok := locatePlain(meta); ok {
		return at, nil
	}
	var at Located
	if err := jsonv2.Unmarshal(meta, &at); err != nil {
		return Located{}, err
	}
	return at, nil
}

// locatePlain reads an object in RFC 8785 form in which both members are plain numbers, where they are there at all.
func locatePlain(meta json.RawMessage) (at Located, ok bool) {
	if len(meta) < 2 || meta[0] != '{' {
		return at, false
	}
	last := []byte(nil)
	for rest := meta[1:]; rest[0] == '"'; {
		n := 1 + schemas.PlainBytes(rest[1:])
		if n+1 >= len(rest) || rest[n] != '"' || rest[n+1] != ':' {
			return at, false
		}
		name := rest[1:n]
		if last != nil && bytes.Compare(last, name) >= 0 {
			return at, false
		}
		last = name
		rest = rest[n+2:]
		end, ok := schemas.CanonicalEnd(rest, maxDepth)
		if !ok || end >= len(rest) || rest[end] != ',' && rest[end] != '}' {
			return at, false
		}
		place := (*int64)(nil)
		switch string(name) {
		case "bytes":
			place = &at.Bytes
		case "offset":
			place = &at.Offset
		}
		if place != nil {
			if *place, ok = plainNumber(rest[:end]); !ok {
				return at, false
			}
		}
		more := rest[end] == ','
		if rest = rest[end+1:]; !more {
			return at, len(rest) == 0
		}
		if len(rest) == 0 {
			return at, false
		}
	}
	return at, len(meta) == 2 && meta[1] == '}'
}

// plainNumber reads a number that is written with up to fifteen digits and nothing else.
func plainNumber(b []byte) (n int64, ok bool) {
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int64(c-'0')
	}
	return n, len(b) > 0 && len(b) <= 15
}
