package secrets

import (
	"bytes"
	"encoding/base64"
	"unicode/utf8"
)

// viewDepth is how many encodings inside one another are taken off: a percent-encoded base64 of UTF-16, and no more.
const viewDepth = 3

// FindEncoded looks for credentials in bytes that nobody could parse: as they are, and in what they look like when UTF-16 or
// UTF-32, escapes of JSON, percent-encoding and base64 are taken off, up to viewDepth of them one inside another. Places are
// those in the view. The views of a text are at most three times as long as it, so that the cost is bounded by its length;
// a text without anything encoded is looked at once.
func FindEncoded(raw []byte) []Finding {
	return findEncoded(raw, viewDepth)
}

func findEncoded(text []byte, depth int) []Finding {
	found := Find(text)
	if depth == 0 || len(found) > 0 {
		return found // one is enough to keep the bytes out of the documents, whatever else is in them
	}
	look := func(view []byte) bool {
		found = findEncoded(view, depth-1)
		return len(found) > 0
	}
	if bytes.IndexByte(text, 0) >= 0 && (look(narrow(text)) || look(narrow(text[1:]))) {
		return found
	}
	if bytes.ContainsAny(text, `\%`) {
		if plain, changed := unescape(text); changed && look(plain) {
			return found
		}
	}
	eachBase64(text, func(run []byte) bool { return !look(run) })
	return found
}

// unknown stands for a character that cannot be part of a credential, and ends whatever stands before it.
const unknown = 1

// lineSigns are what the escapes of line breaks stand for: some secrets are told by the line before them.
var lineSigns = map[byte]byte{'n': '\n', 'r': '\r', 't': '\t'}

// narrow takes pairs of bytes for characters of UTF-16, in either order, and keeps those of ASCII. Pairs of zeros are left out,
// which makes it good for UTF-32 as well.
func narrow(text []byte) []byte {
	out := make([]byte, 0, len(text)/2)
	for i := 0; i+1 < len(text); i += 2 {
		switch a, b := text[i], text[i+1]; {
		case a == 0 && b == 0:
		case a == 0:
			out = append(out, b)
		case b == 0:
			out = append(out, a)
		case !unseen16(a, b):
			out = append(out, unknown)
		}
	}
	return out
}

// unseen16 reports whether a pair of bytes is a character of UTF-16, in either order, that nobody sees.
func unseen16(a, b byte) bool {
	return unseen(rune(a)<<8|rune(b)) || unseen(rune(b)<<8|rune(a))
}

// unescape takes off \uXXXX, \xXX and the short escapes of JSON, and %XX. It reports whether there were any.
func unescape(text []byte) (out []byte, changed bool) {
	out = make([]byte, 0, len(text))
	for i := 0; i < len(text); {
		r, n := rune(text[i]), 1
		octet := true
		switch {
		case r == '%':
			r, n = hexEscape(text, i, 1, 2)
		case r == '\\' && i+1 < len(text):
			switch text[i+1] {
			case 'u', 'U':
				r, n = hexEscape(text, i, 2, 4)
				octet = n == 1
			case 'x', 'X':
				r, n = hexEscape(text, i, 2, 2)
			case 'n', 'r', 't':
				r, n = rune(lineSigns[text[i+1]]), 2
			case 'b', 'f':
				r, n = ' ', 2
			case '/', '"', '\'', '\\':
				r, n = rune(text[i+1]), 2
			}
		}
		changed = changed || n > 1
		out = appendEscaped(out, r, octet)
		i += n
	}
	return out, changed
}

// appendEscaped appends what an escape stands for: a byte, or a character in UTF-8. It leaves out a character that nobody sees; one that is
// written as several bytes is left out when these are looked at.
func appendEscaped(out []byte, r rune, octet bool) []byte {
	switch {
	case octet:
		return append(out, byte(r))
	case unseen(r):
		return out
	}
	return utf8.AppendRune(out, r)
}

// hexEscape reads an escape at i: a head of so many bytes, and as many hexadecimal digits. Where it is none, it is the byte at i.
func hexEscape(text []byte, i, head, digits int) (r rune, n int) {
	if i+head+digits > len(text) {
		return rune(text[i]), 1
	}
	value := rune(0)
	for _, d := range text[i+head : i+head+digits] {
		switch {
		case numerals[d]:
			value = value<<4 | rune(d-'0')
		case hexDigits[d]:
			value = value<<4 | rune(d|0x20-'a'+10)
		default:
			return rune(text[i]), 1
		}
	}
	return value, head + digits
}

// leastBase64 is the length from which on a run of letters and digits is taken for base64. The shortest credentials have
// sixteen characters.
const leastBase64 = 20

// encoding64 maps both alphabets of base64 to that of the standard encoding.
var encoding64 = func() (a [256]byte) {
	for c := range a {
		if base64Std[c] {
			a[c] = byte(c)
		}
	}
	a['-'], a['_'] = '+', '/'
	return a
}()

// eachBase64 calls visit with what the runs of base64 in a text stand for, until it returns false. Where in a run the first
// group begins nobody knows, for letters may stand before it; so there are four readings of each. Line breaks are part
// of a run.
func eachBase64(text []byte, visit func([]byte) bool) {
	run := make([]byte, 0, 64)
	for i := 0; i <= len(text); i++ {
		if i < len(text) {
			if c := encoding64[text[i]]; c != 0 {
				run = append(run, c)
				continue
			}
			if text[i] == '\n' || text[i] == '\r' {
				continue
			}
		}
		if len(run) >= leastBase64 {
			for at := range 4 {
				group := run[at:]
				group = group[:len(group)-tail(len(group))]
				plain := make([]byte, base64.RawStdEncoding.DecodedLen(len(group)))
				n, err := base64.RawStdEncoding.Decode(plain, group)
				if err == nil && !visit(plain[:n]) {
					return
				}
			}
		}
		run = run[:0]
	}
}

// tail is how many characters at the end of so many of base64 stand for no whole byte.
func tail(n int) int {
	if n%4 == 1 {
		return 1
	}
	return 0
}
