package ledger

import (
	"bytes"
	"errors"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// maxDepth bounds the nesting of a meta object; the deepest that is written has two levels.
const maxDepth = 16

var errNotCanonical = errors.New("not in RFC 8785 form")

// scanCanonical checks that one JSON value in RFC 8785 form begins at b[i] and returns the index of its end. It is a
// scanner of its own because it runs for each line written or read: asking a JSON library to canonicalize the value and
// comparing costs ten times as much, and that is what the tests do.
func scanCanonical(b []byte, i, depth int) (int, error) {
	if depth > maxDepth {
		return 0, errors.New("nested too deeply")
	}
	if i >= len(b) {
		return 0, errNotCanonical
	}
	switch c := b[i]; {
	case c == '{':
		return scanObject(b, i+1, depth)
	case c == '[':
		return scanArray(b, i+1, depth)
	case c == '"':
		return scanString(b, i)
	case c == '-' || c >= '0' && c <= '9':
		return scanNumber(b, i)
	default:
		for _, word := range [...]string{"true", "false", "null"} {
			if len(b)-i >= len(word) && string(b[i:i+len(word)]) == word {
				return i + len(word), nil
			}
		}
		return 0, errNotCanonical
	}
}

func scanObject(b []byte, i, depth int) (int, error) {
	if i < len(b) && b[i] == '}' {
		return i + 1, nil
	}
	var last []byte
	for first := true; ; first = false {
		if i >= len(b) || b[i] != '"' {
			return 0, errNotCanonical
		}
		end, err := scanString(b, i)
		if err != nil {
			return 0, err
		}
		name := b[i:end]
		if !first && !nameLess(last, name) {
			return 0, errors.New("members not in order, or one twice")
		}
		last = name
		if end >= len(b) || b[end] != ':' {
			return 0, errNotCanonical
		}
		if i, err = scanCanonical(b, end+1, depth+1); err != nil {
			return 0, err
		}
		if i >= len(b) {
			return 0, errNotCanonical
		}
		switch b[i] {
		case ',':
			i++
		case '}':
			return i + 1, nil
		default:
			return 0, errNotCanonical
		}
	}
}

func scanArray(b []byte, i, depth int) (int, error) {
	if i < len(b) && b[i] == ']' {
		return i + 1, nil
	}
	for {
		var err error
		if i, err = scanCanonical(b, i, depth+1); err != nil {
			return 0, err
		}
		if i >= len(b) {
			return 0, errNotCanonical
		}
		switch b[i] {
		case ',':
			i++
		case ']':
			return i + 1, nil
		default:
			return 0, errNotCanonical
		}
	}
}

// scanString takes plain ASCII by itself and leaves the rest to jsontext: it unquotes, and quotes again.
func scanString(b []byte, i int) (int, error) {
	plain := true
	for j := i + 1; j < len(b); j++ {
		switch c := b[j]; {
		case c == '"':
			quoted := b[i : j+1]
			if plain {
				return j + 1, nil
			}
			text, err := jsontext.AppendUnquote(nil, quoted)
			if err != nil {
				return 0, errNotCanonical
			}
			if again, err := jsontext.AppendQuote(nil, text); err != nil || !bytes.Equal(again, quoted) {
				return 0, errNotCanonical
			}
			return j + 1, nil
		case c == '\\':
			plain = false
			j++
		case c >= utf8.RuneSelf:
			plain = false
		case c < 0x20:
			return 0, errNotCanonical
		}
	}
	return 0, errNotCanonical
}

// scanNumber takes integers of up to 15 digits by itself, which doubles hold exactly, and leaves the rest to jsontext.
func scanNumber(b []byte, i int) (int, error) {
	j, plain := i, true
	for ; j < len(b); j++ {
		if c := b[j]; c < '0' || c > '9' {
			if c != '-' && c != '+' && c != '.' && c != 'e' && c != 'E' {
				break
			}
			plain = plain && c == '-' && j == i
		}
	}
	number := b[i:j]
	digits := bytes.TrimPrefix(number, []byte("-"))
	if plain && len(digits) > 0 && len(digits) <= 15 && (digits[0] != '0' || len(number) == 1) {
		return j, nil
	}
	again := jsontext.Value(bytes.Clone(number))
	if err := again.Canonicalize(); err != nil || !bytes.Equal(again, number) {
		return 0, errNotCanonical
	}
	return j, nil
}

// nameLess reports whether quoted name a sorts before b: by UTF-16 code units, as RFC 8785 section 3.2.3 wants it.
func nameLess(a, b []byte) bool {
	if isPlain(a) && isPlain(b) {
		return bytes.Compare(a[1:len(a)-1], b[1:len(b)-1]) < 0
	}
	ua, ub := nameUnits(a), nameUnits(b)
	for i := range min(len(ua), len(ub)) {
		if ua[i] != ub[i] {
			return ua[i] < ub[i]
		}
	}
	return len(ua) < len(ub)
}

func isPlain(quoted []byte) bool {
	for _, c := range quoted {
		if c == '\\' || c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func nameUnits(quoted []byte) []uint16 {
	text, _ := jsontext.AppendUnquote(nil, quoted) // scanString has taken it
	return utf16.Encode([]rune(string(text)))
}
