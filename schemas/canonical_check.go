package schemas

import (
	"bytes"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// IsCanonical reports whether b is one JSON value that Parse accepts (but for its limits), in RFC 8785 form. It is many
// times faster than making the canonical form and comparing.
func IsCanonical(b []byte) bool {
	s := scanner{b: b}
	return s.value(0) && s.at == len(b)
}

// scanner walks through a text that should be in canonical form. Its methods report whether what they are named after
// begins at the present offset, and move the offset behind it.
type scanner struct {
	b  []byte
	at int
}

func (s *scanner) value(depth int) bool {
	if s.at >= len(s.b) || depth > deepest {
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
	escaped, ascii := false, true
	for i := start + 1; i < len(s.b); i++ {
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
