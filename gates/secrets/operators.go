package secrets

import (
	"bytes"
)

// The functions below find where the value of a name stands, in the files and languages that give names values.

// assigned finds the value of the name text[name:i]: NAME=value, NAME: "value", name := value, ?=, ::=, .=, =>, <name>value</name>,
// set("name", "value"), name="NAME" value="value", - name: NAME and value: value in the next line, a YAML block, --name value.
func assigned(text []byte, name, i int) (start, end int, ok bool) {
	bare := i
	i, escaped := quote(text, i)
	quoted := i > bare
	for range 2 { // some["secret"] = and secret[] =
		if i < len(text) && (text[i] == '[' || text[i] == ']') {
			i++
		}
	}
	if at, found := pair(text, i); found {
		return value(text, at, escaped, verbatim)
	}
	i = blanks(text, i)
	if i == len(text) {
		return 0, 0, false
	}
	if at, found := declared(text, i); found {
		return value(text, at, false, quotedOnly)
	}
	if name > 1 && text[name-1] == '{' && text[name-2] == '$' {
		return fallback(text, i)
	}
	switch at, sign := operator(text, i); {
	case sign == ':' || sign == '=':
		as := anything
		switch {
		case declares(text, name) || at-i == 2 && text[i] == ':':
			as = quotedOnly
		case text[i] == '?' || at-i > 2: // of a Makefile
			as = verbatim
		}
		return value(text, block(text, blanks(text, at)), escaped, as)
	case text[i] == '>' && (quoted || name > 0 && text[name-1] == '<'):
		return value(text, spaces(text, i+1), escaped, verbatim)
	case text[i] == ',' && quoted || text[i] == '(' && !quoted: // set("name", "value") and setName("value")
		at := blanks(text, i+1)
		start, end, ok = value(text, at, escaped, quotedOnly)
		return start, end, ok && strong(text[start:end])
	case i > bare && text[i-1] == ' ' && spaced(text, name, i):
		return value(text, i, escaped, anything)
	case !quoted && (text[i] == '"' || text[i] == '\''): // private_key "value"; and PASSWORD 'value'
		start, end, ok = value(text, i, false, quotedOnly)
		return start, end, ok && (text[i] == '\'' || end+1 < len(text) && text[end+1] == ';')
	}
	return 0, 0, false
}

// fallback is the value of ${NAME:-value}, for a variable that has none.
func fallback(text []byte, i int) (start, end int, ok bool) {
	if i+1 < len(text) && text[i] == ':' && text[i+1] != '?' && text[i+1] != '+' {
		start, end, ok = value(text, i+2, false, anything)
	}
	return start, end, ok && strong(text[start:end]) && bytes.ContainsAny(text[start:end], upper)
}

// operator returns the place behind a sign of assignment, and whether it is more of a colon or of an equals sign.
func operator(text []byte, i int) (next int, sign byte) {
	for n := range 4 {
		at := i + n
		if at == len(text) {
			break
		}
		switch c := text[at]; {
		case c == '=':
			if at++; at < len(text) && (text[at] == '=' || text[at] == '>') {
				at++
			}
			return at, '='
		case c == '-' && n == 0 && at+1 < len(text) && text[at+1] == '>':
			return at + 2, '='
		case c == ':' || c == '?' || c == '.' || c == '+' || c == '|':
			continue
		}
		break
	}
	if i < len(text) && text[i] == ':' && (i+1 == len(text) || text[i+1] != ':') {
		return i + 1, ':'
	}
	return 0, 0
}

// declared goes over the type of a declaration: password: string = "value", var password string = "value".
func declared(text []byte, i int) (next int, ok bool) {
	colon := text[i] == ':'
	if colon {
		i = blanks(text, i+1)
	}
	word := run(text, i, typeChars, 32)
	at := blanks(text, word)
	if word == i || at == len(text) || text[at] != '=' || word-i > 32 {
		return 0, false
	}
	if at = blanks(text, at+1); at == len(text) || text[at] != '"' && text[at] != '\'' && text[at] != '`' {
		return 0, false
	}
	return at, true
}

var typeChars = letters(lower + upper + digits + "_*.?")

// declares reports whether a name is declared as in a program. There only what stands in quotation marks is a value.
func declares(text []byte, name int) bool {
	before := bytes.TrimRight(text[max(name-16, 0):name], " ")
	if len(before) == min(16, name) {
		return false
	}
	for _, word := range []string{"var", "let", "const", "val", "auto", "final", "static"} {
		if bytes.HasSuffix(before, []byte(word)) {
			return true
		}
	}
	return false
}

// pair finds the value of name="NAME" value="value", and of the same in YAML and JSON, where it may stand in the next line.
func pair(text []byte, i int) (next int, ok bool) {
	at := spaces(text, i)
	if at < len(text) && text[at] == ',' {
		at = spaces(text, at+1)
	}
	at, _ = quote(text, at)
	if len(text)-at < len("value") || !bytes.EqualFold(text[at:at+len("value")], []byte("value")) || at == i {
		return 0, false
	}
	at, _ = quote(text, at+len("value"))
	at = blanks(text, at)
	if at == len(text) || text[at] != ':' && text[at] != '=' {
		return 0, false
	}
	return block(text, blanks(text, at+1)), true
}

// block goes past the sign of a YAML block, to its first line.
func block(text []byte, i int) int {
	if i == len(text) || text[i] != '|' && text[i] != '>' {
		return i
	}
	end := run(text, i+1, blockSigns, 2)
	if end < len(text) && (text[end] == '\n' || text[end] == '\r') {
		return spaces(text, end)
	}
	return i
}

var blockSigns = letters("+-" + digits)

// quote goes past a quotation mark, which may be escaped as in JSON inside of a string.
func quote(text []byte, i int) (next int, escaped bool) {
	if i+1 < len(text) && text[i] == '\\' && text[i+1] == '"' {
		return i + 2, true
	}
	if i < len(text) && (text[i] == '"' || text[i] == '\'') {
		i++
	}
	return i, false
}

// reading is how a value may be written.
type reading int

const (
	anything   reading = iota // with quotation marks or without; without them it may also be an expression of a program, which is none
	quotedOnly                // in code: only what has them is a value
	verbatim                  // what stands there is the value
)

// value returns where a value lies that begins at i, with its quotation marks or without.
func value(text []byte, i int, escaped bool, as reading) (start, end int, ok bool) {
	if i+1 < len(text) && (text[i] == '@' || text[i] == 'b' || text[i] == 'r') && (text[i+1] == '"' || text[i+1] == '\'') {
		i++ // a string of Objective-C, or of bytes
	}
	mark := byte(0)
	switch {
	case escaped && i+1 < len(text) && text[i] == '\\' && text[i+1] == '"':
		i, mark = i+2, '\\'
	case i < len(text) && (text[i] == '"' || text[i] == '\'' || text[i] == '`'):
		mark = text[i]
		i++
	case as == quotedOnly:
		return 0, 0, false
	}
	start = i
	for end = start; end < len(text) && end-start < valueBytes && valueChar(text[end], mark); end++ {
		if mark == 0 && text[end] == '&' {
			if name := run(text, end+1, wordChars, 64); name > end+1 && name < len(text) && text[name] == '=' {
				break // the next parameter of a URL
			}
		}
		if mark == 0 && text[end] == '\\' && end+1 < len(text) && (text[end+1] == 'n' || text[end+1] == 'r' || text[end+1] == 't') {
			break // the end of a line, inside of a string
		}
	}
	switch {
	case mark != 0 && (end == len(text) || text[end] != mark):
		return 0, 0, false
	case mark == 0 && end < len(text) && (text[end] == '(' || text[end] == '[' || text[end] == '{'):
		return 0, 0, false // a call, an index: code, not a value
	case mark == 0 && as == anything && expression(text[start:end]):
		return 0, 0, false
	}
	return start, end, end > start
}

// valueBytes bounds how much of a value is looked at.
const valueBytes = 512

// spaced reports whether a name, which lies before end with the blanks behind it, is one that its value follows without a sign:
// an option, ENV NAME of a Dockerfile, config set NAME, or login USER password of a .netrc.
func spaced(text []byte, name, end int) bool {
	if bytes.HasPrefix(text[name:], []byte("-")) || bytes.HasSuffix(text[:name], []byte("ENV ")) {
		return true
	}
	full := back(text, name, bareChars, 128) // //registry.example.org/:_authToken
	if before := text[:full]; bytes.HasSuffix(before, []byte("configure set ")) || bytes.HasSuffix(before, []byte("config set ")) || bytes.HasSuffix(before, []byte("git config ")) {
		return true
	}
	words := bytes.Fields(text[max(name-160, 0):name])
	return len(words) > 1 && string(words[len(words)-2]) == "login" && string(bytes.TrimSpace(text[name:end])) == "password"
}

// blanks goes past a few blanks.
func blanks(text []byte, i int) int {
	for n := 0; n < 8 && i < len(text) && (text[i] == ' ' || text[i] == '\t'); n++ {
		i++
	}
	return i
}

// spaces goes past white space of all kinds, as there is before a value that stands in the next line.
func spaces(text []byte, i int) int {
	for n := 0; n < 64 && i < len(text) && (text[i] == ' ' || text[i] == '\t' || text[i] == '\n' || text[i] == '\r'); n++ {
		i++
	}
	return i
}
