package schemas

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// IsCanonical reports whether b is one JSON value that Parse accepts (but for its limits), in RFC 8785 form. It is many
// times faster than making the canonical form and comparing.
func IsCanonical(b []byte) bool {
	end, ok := CanonicalEnd(b, deepest)
	return ok && end == len(b)
}

// CanonicalEnd returns where the JSON value ends with which b begins. ok is false where there is none in RFC 8785 form that is
// nested at most that deep.
func CanonicalEnd(b []byte, depth int) (end int, ok bool) {
	s := scanner{b: b, deepest: depth}
	ok = s.value(0)
	return s.at, ok
}

// PlainBytes returns how many bytes b begins with that stand for themselves in a JSON string and are ASCII.
func PlainBytes(b []byte) int {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	n := 0
	for ; len(b)-n >= 8; n += 8 {
		// Eight at a time: the high bit of each byte that is not plain. A borrow can set more, but only above the lowest one.
		x := binary.LittleEndian.Uint64(b[n:])
		quote, backslash := x^'"'*ones, x^'\\'*ones
		if special := (x | ^x&(x-' '*ones) | ^quote&(quote-ones) | ^backslash&(backslash-ones)) & high; special != 0 {
			return n + bits.TrailingZeros64(special)/8
		}
	}
	for n < len(b) && b[n] >= ' ' && b[n] != '"' && b[n] != '\\' && b[n] < utf8.RuneSelf {
		n++
	}
	return n
}

// scanner walks through a text that should be in canonical form. Its methods report whether what they are named after
// begins at the present offset, and move the offset behind it.
type scanner struct {
	b       []byte
	at      int
	deepest int
}

func (s *scanner) value(depth int) bool {
	if s.at >= len(s.b) || depth > s.deepest {
		return false
	}
	switch s.b[s.at] {
	case '{':
		return s.object(depth)
	case '[':
		return s.array(depth)
	case '"':
		_, ok := s.text()
		return ok
	case 't':
		return s.literal("true")
	case 'f':
		return s.literal("false")
	case 'n':
		return s.literal("null")
	default:
		return s.number()
	}
}

func (s *scanner) literal(l string) bool {
	end := s.at + len(l)
	if end > len(s.b) || string(s.b[s.at:end]) != l {
		return false
	}
	s.at = end
	return true
}

func (s *scanner) array(depth int) bool {
	s.at++
	if s.literal("]") {
		return true
	}
	for s.value(depth + 1) {
		if s.literal("]") {
			return true
		}
		if !s.literal(",") {
			return false
		}
	}
	return false
}

func (s *scanner) object(depth int) bool {
	s.at++
	if s.literal("}") {
		return true
	}
	var last name
	for first := true; ; first = false {
		next, ok := s.text()
		if !ok || !first && !last.before(next) {
			return false
		}
		last = next
		if !s.literal(":") || !s.value(depth+1) {
			return false
		}
		if s.literal("}") {
			return true
		}
		if !s.literal(",") {
			return false
		}
	}
}

// name is the meaning of a string. Most have nothing but ASCII characters and are compared as they are.
type name struct {
	text  []byte
	ascii bool
}

func (n name) before(m name) bool {
	if n.ascii && m.ascii {
		return bytes.Compare(n.text, m.text) < 0
	}
	return compareUTF16(string(n.text), string(m.text)) < 0
}

func (s *scanner) text() (name, bool) {
	start := s.at
	if start >= len(s.b) || s.b[start] != '"' {
		return name{}, false
	}
	i := start + 1
	i += PlainBytes(s.b[i:])
	if i < len(s.b) && s.b[i] == '"' {
		s.at = i + 1
		return name{s.b[start+1 : i], true}, true
	}
	escaped, ascii := false, true
	for ; i < len(s.b); i++ {
		switch c := s.b[i]; {
		case c == '"':
			s.at = i + 1
			return meaning(s.b[start:s.at], escaped, ascii)
		case c == '\\':
			escaped = true
			i++
		case c < ' ':
			return name{}, false
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	return name{}, false
}

func meaning(quoted []byte, escaped, ascii bool) (name, bool) {
	if !ascii && !utf8.Valid(quoted) {
		return name{}, false
	}
	if !escaped {
		return name{quoted[1 : len(quoted)-1], ascii}, true
	}
	plain, err := jsontext.AppendUnquote(nil, quoted)
	if err != nil {
		return name{}, false
	}
	again, err := jsontext.AppendQuote(nil, plain)
	return name{plain, ascii}, err == nil && bytes.Equal(again, quoted)
}

func (s *scanner) number() bool {
	start := s.at
	for s.at < len(s.b) && inNumber(s.b[s.at]) {
		s.at++
	}
	literal := s.b[start:s.at]
	if exactInteger(literal) {
		return true
	}
	form, ok := canonicalNumber(string(literal))
	return ok && form == string(literal)
}

func inNumber(c byte) bool {
	return '0' <= c && c <= '9' || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E'
}
