package secrets

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// hidden is no token that anybody was given.
var hidden = "ghp_" + madeUp(lower+upper+digits, 36)

// encodings are ways to write a text, which hide it from those who look for its bytes.
var encodings = map[string]func(string) string{
	"UTF-16LE":    func(s string) string { return wide(s, 2, false) },
	"UTF-16BE":    func(s string) string { return wide(s, 2, true) },
	"UTF-16LEBOM": func(s string) string { return "\xff\xfe" + wide(s, 2, false) },
	"UTF-16BEBOM": func(s string) string { return "\xfe\xff" + wide(s, 2, true) },
	"UTF-32LE":    func(s string) string { return wide(s, 4, false) },
	"UTF-32BE":    func(s string) string { return wide(s, 4, true) },
	"odd":         func(s string) string { return "x" + wide(s, 2, false) },
	"escaped":     func(s string) string { return each(s, `\u%04x`) },
	"ESCAPED":     func(s string) string { return each(s, `\u%04X`) },
	"hex":         func(s string) string { return each(s, `\x%02x`) },
	"percent":     func(s string) string { return each(s, `%%%02X`) },
	"query":       url.QueryEscape,
	"base64":      func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
	"base64url":   func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) },
	"prefixed":    func(s string) string { return "abc" + base64.StdEncoding.EncodeToString([]byte(s)) },
	"lines":       func(s string) string { return lines(base64.StdEncoding.EncodeToString([]byte(s))) },
}

func wide(s string, size int, big bool) string {
	var b bytes.Buffer
	for _, r := range s {
		unit := make([]byte, size)
		binary.LittleEndian.PutUint16(unit, uint16(r))
		if big {
			slices.Reverse(unit)
		}
		b.Write(unit)
	}
	return b.String()
}

// eachRune writes the characters of a text, and each its bytes.
func eachRune(s, format string) string {
	var b strings.Builder
	for _, r := range s {
		fmt.Fprintf(&b, format, r)
	}
	return b.String()
}

func each(s, format string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, format, s[i])
	}
	return b.String()
}

func lines(s string) string {
	var b strings.Builder
	for len(s) > 20 {
		b.WriteString(s[:20] + "\r\n")
		s = s[20:]
	}
	return b.String() + s
}

func TestFindEncoded(t *testing.T) {
	for name, encode := range encodings {
		for _, text := range []string{"{'token': '" + hidden + "'", hidden, "export DB_PASSWORD=k3Jx9Qw2Zp7Lm4Vt"} {
			raw := []byte(encode(text))
			if name != "query" && len(Find(raw)) > 0 {
				t.Errorf("%s of %q hides nothing", name, text)
			}
			if len(FindEncoded(raw)) == 0 {
				t.Errorf("%s of %q: not found", name, text)
			}
			if len(FindEncoded([]byte("broken { é "+string(raw)+"\x00 é"))) == 0 {
				t.Errorf("%s of %q: not found among others", name, text)
			}
			for inner, encodeInner := range encodings {
				if inner == "odd" && strings.HasPrefix(name, "UTF") {
					continue // taken for UTF-32, which makes the odd byte a letter of the token
				}
				if twice := encode(encodeInner(text)); len(FindEncoded([]byte(twice))) == 0 {
					t.Errorf("%s of %s of %q: not found", name, inner, text)
				}
			}
		}
	}
	if len(FindEncoded([]byte("plain "+hidden))) != 1 {
		t.Error("plain: not found")
	}
}

func TestFindEncodedLeavesTheRest(t *testing.T) {
	for _, text := range []string{"", "\x00", "\\", "%", `\u`, `\u00`, "%4", "x\x00y", strings.Repeat("A", 1000),
		`{"payload": {"kind": "noop", "params": {"digest": "` + strings.Repeat("3f9c", 16) + `"}}`,
		wide(`{"payload": {"kind": "noop"}`, 2, false), `{"text": "äöü € \\ 100% sure"`} {
		if found := FindEncoded([]byte(text)); len(found) > 0 {
			t.Errorf("%q: %v", text, found)
		}
	}
}

// What is made to cost most costs little: every view is again one with views.
func TestFindEncodedIsBounded(t *testing.T) {
	const size = 256 << 10
	for name, text := range map[string]string{
		"letters": strings.Repeat("QUFBQUFB", size/8), "zeros": strings.Repeat("A\x00", size/2), "percent": strings.Repeat("%25", size/3),
		"backslash": strings.Repeat(`\`, size), "escapes": strings.Repeat(`\u005c`, size/6),
	} {
		start := time.Now()
		FindEncoded([]byte(text))
		if took := time.Since(start); took > time.Second {
			t.Errorf("%s: %d bytes took %v", name, size, took)
		}
	}
}

func FuzzFindEncoded(f *testing.F) {
	for _, encode := range encodings {
		f.Add([]byte(encode(hidden)))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		found := Find(raw)
		if more := FindEncoded(raw); len(found) > 0 && len(more) == 0 {
			t.Errorf("%q: %v is lost", raw, found)
		}
	})
}
