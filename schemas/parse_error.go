package schemas

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// ParseCode says in one word what is wrong with a text that should be JSON. It becomes the code of a gate's reason.
type ParseCode string

// The codes of a ParseError.
const (
	CodeNotUTF8       ParseCode = "NOT_UTF8"
	CodeSyntax        ParseCode = "SYNTAX"
	CodeDuplicateKey  ParseCode = "DUPLICATE_KEY"
	CodeTrailingData  ParseCode = "TRAILING_DATA"
	CodeTooDeep       ParseCode = "TOO_DEEP"
	CodeTooLarge      ParseCode = "TOO_LARGE"
	CodeNumberChanged ParseCode = "NUMBER_CHANGED"
	CodeEmpty         ParseCode = "EMPTY"
)

// ParseError says what is wrong with a text that should be JSON, and where.
type ParseError struct {
	Code    ParseCode
	Offset  int    // in bytes from 0
	Line    int    // from 1
	Column  int    // in characters from 1
	Pointer string // RFC 6901, of the value in which it was found; "" is the document
	Message string // for people, one line, with the place
}

// Error returns the message.
func (e *ParseError) Error() string { return e.Message }

func newParseError(src []byte, code ParseCode, offset int, pointer, format string, args ...any) *ParseError {
	line, column := position(src, offset)
	return &ParseError{
		Code:    code,
		Offset:  offset,
		Line:    line,
		Column:  column,
		Pointer: pointer,
		Message: fmt.Sprintf(format, args...) + fmt.Sprintf(" at line %d column %d", line, column),
	}
}

// position converts an offset to a line and a column, as editors count them.
func position(src []byte, offset int) (line, column int) {
	before := src[:min(offset, len(src))]
	line = bytes.Count(before, []byte("\n")) + 1
	column = utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
	return line, column
}

func pointer(p jsontext.Pointer) string { return string(p) }

// clip shortens text that came from outside, so that a message stays one line.
func clip(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	n := most
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
