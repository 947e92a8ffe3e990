package secrets

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"
	"unicode/utf8"
)

// FormatNamed is the format of a value that the operator's config or environment names as secret.
const FormatNamed = "named-secret"

// FormatWaived is the format of a credential that an operator has allowed one job to have.
const FormatWaived = "waived"

// leastKnown is how long a value has to be to be looked for: a shorter one would be found everywhere.
const leastKnown = 8

// LeastWaived is leastKnown for values that an operator has waived: they are looked for in what one job leaves, and nowhere else.
const LeastWaived = 4

// Known are values that are known to be secret. It looks for them in every clothing: as they are, reversed, folded over lines, in UTF-16 and
// UTF-32, as escapes of JSON and of URLs, in hexadecimal digits and in base64 at any offset, up to viewDepth of these inside one another. nil
// knows none. It may be used by many goroutines.
type Known struct {
	values [][]byte // and each reversed, and without white space
	format string
	least  int
	spaced bool // there is a space in one
}

// NewKnown returns what looks for these values. Short ones are left out.
func NewKnown(values []string) *Known { return newKnown(FormatNamed, leastKnown, values) }

// NewWaived is NewKnown for values that an operator has waived. They are looked for without the characters that nobody sees as well.
func NewWaived(values []string) *Known {
	for _, v := range values {
		if seen, _ := visible([]byte(v)); seen != nil {
			values = append(slices.Clip(values), string(seen))
		}
	}
	return newKnown(FormatWaived, LeastWaived, values)
}

func newKnown(format string, shortest int, values []string) *Known {
	k := &Known{format: format}
	for _, v := range values {
		if len(v) < shortest {
			continue
		}
		k.spaced = k.spaced || strings.Contains(v, " ")
		for _, one := range []string{v, strings.Join(strings.Fields(v), "")} {
			back := []byte(one)
			slices.Reverse(back)
			for _, one := range [][]byte{[]byte(one), back} {
				if len(one) < shortest || slices.ContainsFunc(k.values, func(x []byte) bool { return bytes.Equal(x, one) }) {
					continue
				}
				k.values = append(k.values, one)
				if k.least == 0 || len(one) < k.least {
					k.least = len(one)
				}
			}
		}
	}
	return k
}

// Redact takes the values and all other credentials out of a text, and returns how many there were.
func (k *Known) Redact(s string) (string, int) {
	s, n := k.Mask(s)
	s, more := Redact(s)
	return s, n + more
}

// Mask takes the values out of a text and nothing else, and returns how many there were.
func (k *Known) Mask(s string) (clean string, n int) {
	if k != nil && len(k.values) > 0 && len(s) >= k.least {
		for range 4 { // what stood beside one may be read otherwise when that is gone
			found := merge(k.find(view{text: []byte(s)}, viewDepth, nil))
			if len(found) == 0 {
				break
			}
			n += len(found)
			s = replace(s, found)
		}
	}
	return s, n
}

// view is a text, and where each of its bytes comes from in the whole; as it is where from is nil.
type view struct {
	text     []byte
	from, to []int32
	mirrored bool // it is the view before it, reversed
}

func (v view) span(start, end int) (int, int) {
	if v.from == nil {
		return start, end
	}
	first, last := start, end-1
	if v.from[first] > v.from[last] { // it is a reversed one
		first, last = last, first
	}
	return int(v.from[first]), int(v.to[last])
}

// add appends a byte that stands for v.text[start:end].
func (v *view) add(c byte, of view, start, end int) {
	from, to := of.span(start, end)
	v.text, v.from, v.to = append(v.text, c), append(v.from, int32(from)), append(v.to, int32(to))
}

// find adds where a value lies in a view, or in what it looks like with one more encoding taken off.
func (k *Known) find(v view, depth int, found []Finding) []Finding {
	for _, value := range k.values {
		for at := 0; ; {
			i := bytes.Index(v.text[at:], value)
			if i < 0 {
				break
			}
			at += i + len(value)
			start, end := v.span(at-len(value), at)
			found = append(found, Finding{k.format, start, end})
		}
	}
	if depth == 0 {
		return found
	}
	for _, next := range k.undress(v, depth) {
		if len(next.text) >= k.least {
			found = k.find(next, depth-1, found)
		}
	}
	return found
}

// undress returns what a view looks like with one encoding taken off, by each that there is a sign of.
func (k *Known) undress(v view, depth int) []view {
	var list []view
	if depth > 1 && !v.mirrored {
		list = append(list, mirror(v)) // the values are looked for reversed anyway: this is for what is encoded and then reversed
	}
	if k.spaced && bytes.IndexByte(v.text, '+') >= 0 {
		list = append(list, unplus(v))
	}
	if bytes.ContainsAny(v.text, " \t\r\n\v\f") || slices.ContainsFunc(v.text, func(c byte) bool { return c >= 0x80 }) {
		if folded := unfold(v); len(folded.text) < len(v.text) {
			list = append(list, folded)
		}
	}
	if bytes.IndexByte(v.text, 0) >= 0 {
		for at := range 2 {
			list = append(list, narrowView(v, at))
		}
	}
	if bytes.ContainsAny(v.text, `\%&=`) {
		if plain := unescapeView(v); len(plain.text) < len(v.text) {
			list = append(list, plain)
		}
		if bytes.IndexByte(v.text, '%') >= 0 && bytes.IndexByte(v.text, '+') >= 0 {
			list = append(list, unescapeView(unplus(v))) // the query of a URL
		}
	}
	list = k.runs(list, v, func(c byte) bool { return hexDigits[c] }, 2*k.least, []int{0, 1}, unhex)
	return k.runs(list, v, func(c byte) bool { return encoding64[c] != 0 }, k.least*4/3, []int{0, 1, 2, 3}, unbase64)
}

// mirror reverses a view.
func mirror(v view) view {
	out := view{mirrored: true}
	for i := len(v.text) - 1; i >= 0; i-- {
		from, to := v.span(i, i+1)
		out.text, out.from, out.to = append(out.text, v.text[i]), append(out.from, int32(from)), append(out.to, int32(to))
	}
	return out
}

// unplus reads a plus as a space, as in the query of a URL.
func unplus(v view) view {
	var out view
	for i, c := range v.text {
		if c == '+' {
			c = ' '
		}
		out.add(c, v, i, i+1)
	}
	return out
}

// unfold leaves out white space and what nobody sees.
func unfold(v view) view {
	var out view
	for i := 0; i < len(v.text); {
		c := v.text[i]
		if c >= 0x80 {
			if _, n := invisibleAt(v.text[i:]); n > 0 {
				i += n
				continue
			}
		}
		if c > ' ' {
			out.add(c, v, i, i+1)
		}
		i++
	}
	return out
}

// narrowView takes pairs of bytes for characters of UTF-16, in either order, and leaves zeros out.
func narrowView(v view, at int) view {
	var out view
	for i := at; i+1 < len(v.text); i += 2 {
		switch a, b := v.text[i], v.text[i+1]; {
		case a == 0 && b == 0:
		case a == 0:
			out.add(b, v, i, i+2)
		case b == 0:
			out.add(a, v, i, i+2)
		case !unseen16(a, b):
			out.add(unknown, v, i, i+2)
		}
	}
	return out
}

// unescapeView takes off the escapes of JSON and programs (\u0041, \x41, \101, \n), of URLs (%41), of XML (&#65; and &#x41;), and of
// quoted-printable (=41).
func unescapeView(v view) view {
	var out view
	var plain [utf8.UTFMax]byte
	for i := 0; i < len(v.text); {
		r, n, octet := escapeAt(v.text, i)
		if n > 1 && r < 0 {
			i += n
			continue
		}
		for _, c := range appendEscaped(plain[:0], r, octet) {
			out.add(c, v, i, i+n)
		}
		i += n
	}
	return out
}

// escapeAt reads an escape at i, and says how many bytes it has and whether it stands for a byte or for a character; less than 0 stands for
// nothing. Where there is no escape it is the byte at i.
func escapeAt(text []byte, i int) (r rune, n int, octet bool) {
	r, n = rune(text[i]), 1
	switch {
	case r == '%' || r == '=':
		if n := lineEnd(text, i+1); r == '=' && n > 0 {
			return -1, 1 + n, true
		}
		r, n = hexEscape(text, i, 1, 2)
	case r == '&' && i+3 < len(text) && text[i+1] == '#':
		r, n = reference16(text, i)
		return r, n, n == 1
	case r == '\\' && i+1 < len(text):
		switch d := text[i+1]; d {
		case 'u', 'U':
			r, n = hexEscape(text, i, 2, 8)
			if d == 'u' || n == 1 {
				r, n = hexEscape(text, i, 2, 4)
			}
			return r, n, n == 1
		case 'x', 'X':
			r, n = hexEscape(text, i, 2, 2)
		case 'n', 'r', 't':
			return rune(lineSigns[d]), 2, true
		case 'b', 'f':
			return ' ', 2, true
		case '0', '1', '2', '3', '4', '5', '6', '7':
			value, end := rune(0), i+1
			for end < len(text) && end < i+4 && text[end] >= '0' && text[end] <= '7' {
				value = value<<3 | rune(text[end]-'0')
				end++
			}
			return value, end - i, true
		default:
			if n := lineEnd(text, i+1); n > 0 {
				return -1, 1 + n, true
			}
			if !alnum[d] {
				return rune(d), 2, true
			}
		}
	}
	return r, n, true
}

// lineEnd is how long the line break at i is, 0 where there is none.
func lineEnd(text []byte, i int) int {
	switch {
	case i < len(text) && text[i] == '\n':
		return 1
	case i+1 < len(text) && text[i] == '\r' && text[i+1] == '\n':
		return 2
	}
	return 0
}

// reference16 reads a reference of XML to a character.
func reference16(text []byte, i int) (r rune, n int) {
	at, base, value := i+2, 10, 0
	if text[at] == 'x' || text[at] == 'X' {
		at, base = at+1, 16
	}
	first := at
	for ; at < len(text) && at-first < 8; at++ {
		d := bytes.IndexByte([]byte("0123456789abcdef"), text[at]|0x20)
		if text[at] >= '0' && text[at] <= '9' {
			d = int(text[at] - '0')
		}
		if d < 0 || d >= base {
			break
		}
		value = value*base + d
	}
	if at == first || at == len(text) || text[at] != ';' {
		return rune(text[i]), 1
	}
	return rune(value), at + 1 - i
}

// runs appends what the runs of a set of characters stand for, white space within them left out, read from each of some offsets.
func (k *Known) runs(list []view, v view, in func(byte) bool, least int, offsets []int, decode func(run view) view) []view {
	var run view
	for i := 0; i <= len(v.text); i++ {
		if i < len(v.text) {
			c := v.text[i]
			if in(c) {
				run.add(c, v, i, i+1)
				continue
			}
			if c == '\n' || c == '\r' || c == '\t' || c == ' ' && len(run.text) > 0 && i > 0 && v.text[i-1] == '\n' {
				continue
			}
		}
		if len(run.text) >= least {
			for _, at := range offsets {
				if at < len(run.text) {
					list = append(list, decode(view{text: run.text[at:], from: run.from[at:], to: run.to[at:]}))
				}
			}
		}
		run = view{}
	}
	return list
}

func unhex(run view) view {
	var out view
	for i := 0; i+1 < len(run.text); i += 2 {
		var b [1]byte
		if _, err := hex.Decode(b[:], run.text[i:i+2]); err == nil {
			out.add(b[0], run, i, i+2)
		}
	}
	return out
}

func unbase64(run view) view {
	text := make([]byte, len(run.text)-tail(len(run.text)))
	for i := range text {
		text[i] = encoding64[run.text[i]]
	}
	plain := make([]byte, base64.RawStdEncoding.DecodedLen(len(text)))
	n, err := base64.RawStdEncoding.Decode(plain, text)
	if err != nil {
		return view{}
	}
	var out view
	for i, c := range plain[:n] {
		out.add(c, run, i*8/6, min(len(text), (i*8+8+5)/6))
	}
	return out
}

// RedactTree is Redact for all strings and names of a JSON value, as schemas.Parse returns it.
func (k *Known) RedactTree(v any) (any, int) {
	n := 0
	if k != nil && len(k.values) > 0 {
		v = k.tree(v, &n)
	}
	v, more := RedactTree(v)
	return v, n + more
}

func (k *Known) tree(v any, n *int) any {
	switch v := v.(type) {
	case string:
		clean, found := k.Mask(v)
		*n += found
		return clean
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = k.tree(x, n)
		}
		return out
	case map[string]any:
		out, alike := make(map[string]any, len(v)), make(map[string]int)
		names := make([]string, 0, len(v))
		for name := range v {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			clean, found := k.Mask(name)
			*n += found
			out[other(out, clean, alike)] = k.tree(v[name], n)
		}
		return out
	default:
		return v
	}
}

// IsVariable reports whether a variable of an environment is a secret by its name, whatever its value looks like.
func IsVariable(name, value string) bool {
	if len(value) < leastKnown || placeholder([]byte(value)) || isPath([]byte(value)) {
		return false
	}
	low := strings.ToLower(name)
	for _, word := range secretNames {
		word = strings.Trim(word, "=\"")
		if at := strings.LastIndex(low, word); at >= 0 && len(low) == len(name) && secretName(word, []byte(name), at) {
			return true
		}
	}
	return false
}
