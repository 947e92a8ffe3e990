package schemas

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// Limits bounds what Parse accepts. A field that is zero takes its value from DefaultLimits.
type Limits struct {
	Bytes int // of the text
	Depth int // of objects and arrays in each other
}

// DefaultLimits are enough for every document of this program.
var DefaultLimits = Limits{Bytes: 1 << 20, Depth: 64}

// deepest bounds Limits.Depth, because Parse recurses; jsontext itself gives up at 10,000.
const deepest = 5000

func (l Limits) orDefault() Limits {
	if l.Bytes <= 0 {
		l.Bytes = DefaultLimits.Bytes
	}
	if l.Depth <= 0 {
		l.Depth = DefaultLimits.Depth
	}
	l.Depth = min(l.Depth, deepest)
	return l
}

// Parse reads exactly one JSON value: UTF-8 without a byte order mark, no duplicate keys, no lone surrogates, nothing
// after the value. It returns nil, bool, string, json.Number, []any or map[string]any. A number has its RFC 8785 form
// ("1.0" and "1E0" become "1"), so that it prints, compares and converts in one way only; a number whose value that form
// cannot hold is refused. An error is a *ParseError.
func Parse(b []byte, lim Limits) (any, error) {
	lim = lim.orDefault()
	if len(b) > lim.Bytes {
		return nil, newParseError(b, CodeTooLarge, lim.Bytes, "", "the document has %d bytes, at most %d are allowed", len(b), lim.Bytes)
	}
	if err := checkEncoding(b); err != nil {
		return nil, err
	}
	p := parser{src: b, lim: lim, dec: jsontext.NewDecoder(bytes.NewBuffer(b))}
	v, err := p.document()
	if err != nil {
		return nil, err
	}
	return v, nil
}

// ParseCanonical is Parse and the RFC 8785 form of what it read, for the price of little more than Parse.
func ParseCanonical(b []byte, lim Limits) (value any, canonical []byte, err error) {
	value, err = Parse(b, lim)
	if err != nil {
		return nil, nil, err
	}
	canonical, err = appendAny(make([]byte, 0, len(b)), value)
	return value, canonical, err
}

// checkEncoding says in plain words what is wrong with a text that no JSON parser would describe well.
func checkEncoding(b []byte) *ParseError {
	switch {
	case bytes.HasPrefix(b, []byte("\xef\xbb\xbf")):
		return newParseError(b, CodeSyntax, 0, "", "begins with a byte order mark (BOM), save it as UTF-8 without BOM")
	case bytes.HasPrefix(b, []byte("\xff\xfe")), bytes.HasPrefix(b, []byte("\xfe\xff")):
		return newParseError(b, CodeNotUTF8, 0, "", "looks like UTF-16, save it as UTF-8")
	case len(bytes.Trim(b, " \t\r\n")) == 0:
		return newParseError(b, CodeEmpty, 0, "", "is empty, a JSON value is expected")
	case !utf8.Valid(b):
		i := invalidUTF8(b)
		return newParseError(b, CodeNotUTF8, i, "", "byte 0x%02x is not UTF-8", b[i])
	}
	return nil
}

// invalidUTF8 returns the offset of the first byte that is not part of a UTF-8 sequence; there is one.
func invalidUTF8(b []byte) int {
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n <= 1 {
			return i
		}
		i += n
	}
	return len(b) - 1
}

// parser builds the tree while jsontext checks the grammar, the names and the strings.
type parser struct {
	src []byte
	lim Limits
	dec *jsontext.Decoder
}

func (p *parser) document() (any, *ParseError) {
	tok, err := p.dec.ReadToken()
	if err != nil {
		return nil, p.wrap(err)
	}
	v, perr := p.value(tok)
	if perr != nil {
		return nil, perr
	}
	end := int(p.dec.InputOffset())
	rest := bytes.TrimLeft(p.src[end:], " \t\r\n")
	if len(rest) > 0 {
		return nil, newParseError(p.src, CodeTrailingData, len(p.src)-len(rest), "", "more data after the end of the JSON value")
	}
	return v, nil
}

// value returns what begins with tok. It recurses no deeper than lim.Depth.
func (p *parser) value(tok jsontext.Token) (any, *ParseError) {
	switch tok.Kind() {
	case 'n':
		return nil, nil
	case 't':
		return true, nil
	case 'f':
		return false, nil
	case '"':
		return tok.String(), nil
	case '0':
		return p.number(tok.String())
	case '{':
		return p.object()
	default:
		return p.array()
	}
}

func (p *parser) object() (any, *ParseError) {
	if perr := p.checkDepth(); perr != nil {
		return nil, perr
	}
	m := make(map[string]any)
	for {
		tok, err := p.dec.ReadToken()
		if err != nil {
			return nil, p.wrap(err)
		}
		if tok.Kind() == '}' {
			return m, nil
		}
		name := tok.String()
		if tok, err = p.dec.ReadToken(); err != nil {
			return nil, p.wrap(err)
		}
		v, perr := p.value(tok)
		if perr != nil {
			return nil, perr
		}
		m[name] = v
	}
}

func (p *parser) array() (any, *ParseError) {
	if perr := p.checkDepth(); perr != nil {
		return nil, perr
	}
	a := []any{}
	for {
		tok, err := p.dec.ReadToken()
		if err != nil {
			return nil, p.wrap(err)
		}
		if tok.Kind() == ']' {
			return a, nil
		}
		v, perr := p.value(tok)
		if perr != nil {
			return nil, perr
		}
		a = append(a, v)
	}
}

func (p *parser) checkDepth() *ParseError {
	if p.dec.StackDepth() <= p.lim.Depth {
		return nil
	}
	return newParseError(p.src, CodeTooDeep, int(p.dec.InputOffset())-1, pointer(p.dec.StackPointer()),
		"objects and arrays are nested more than %d deep", p.lim.Depth)
}

func (p *parser) number(literal string) (any, *ParseError) {
	form, ok := canonicalNumber(literal)
	if !ok {
		return nil, newParseError(p.src, CodeNumberChanged, int(p.dec.InputOffset())-len(literal),
			pointer(p.dec.StackPointer()), "number %s does not fit a 64-bit floating-point number, write it as a string",
			clip(literal))
	}
	return json.Number(form), nil
}

// wrap turns an error of the decoder into ours.
func (p *parser) wrap(err error) *ParseError {
	var s *jsontext.SyntacticError
	if !errors.As(err, &s) {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return newParseError(p.src, CodeSyntax, len(p.src), "", "%v", err)
	}
	offset := min(int(s.ByteOffset), len(p.src))
	where := pointer(s.JSONPointer)
	switch {
	case errors.Is(s.Err, jsontext.ErrDuplicateName):
		// The offset is that of the end of the value before; the key is what people look for.
		offset += len(p.src[offset:]) - len(bytes.TrimLeft(p.src[offset:], ", \t\r\n"))
		return newParseError(p.src, CodeDuplicateKey, offset, where, "duplicate key %q", clip(s.JSONPointer.LastToken()))
	case errors.Is(s.Err, io.ErrUnexpectedEOF):
		return newParseError(p.src, CodeSyntax, len(p.src), where, "ends too early, is the document complete?")
	default:
		return newParseError(p.src, CodeSyntax, offset, where, "%v%s", s.Err, hint(p.src[offset:]))
	}
}

// hint names the usual reasons why what people and language models write is not JSON.
func hint(rest []byte) string {
	next, isComma := bytes.CutPrefix(rest, []byte(","))
	next = bytes.TrimLeft(next, " \t\r\n")
	switch {
	case bytes.HasPrefix(next, []byte("//")), bytes.HasPrefix(next, []byte("/*")), bytes.HasPrefix(next, []byte("#")):
		return ": JSON has no comments"
	case isComma && len(next) > 0 && (next[0] == ']' || next[0] == '}'):
		return ": comma before the closing bracket, leave it out"
	case bytes.HasPrefix(next, []byte("'")):
		return ": in JSON names and strings have double quotes"
	default:
		return ""
	}
}
