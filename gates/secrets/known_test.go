package secrets

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// clothes are ways to write a text in which its bytes are not seen.
var clothes = map[string]func(string) string{
	"plain":     func(s string) string { return s },
	"base64":    func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
	"base64url": func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) },
	"base64+1":  func(s string) string { return base64.StdEncoding.EncodeToString([]byte("x" + s)) },
	"base64+2":  func(s string) string { return base64.StdEncoding.EncodeToString([]byte("xy" + s)) },
	"hex":       func(s string) string { return hex.EncodeToString([]byte(s)) },
	"HEX":       func(s string) string { return strings.ToUpper(hex.EncodeToString([]byte(s))) },
	"query":     url.QueryEscape,
	"percent":   func(s string) string { return each(s, "%%%02x") },
	"json":      func(s string) string { return eachRune(s, `\u%04x`) },
	"escaped":   func(s string) string { return each(s, `\x%02X`) },
	"octal":     func(s string) string { return each(s, `\%03o`) },
	"xml":       func(s string) string { return eachRune(s, "&#%d;") },
	"folded":    func(s string) string { return lines(s) },
	"reversed": func(s string) string {
		b := []rune(s)
		slices.Reverse(b)
		return string(b)
	},
	"UTF-16LE": func(s string) string { return wide(s, 2, false) },
	"UTF-16BE": func(s string) string { return wide(s, 2, true) },
	"UTF-32":   func(s string) string { return wide(s, 4, true) },
	"unseen": func(s string) string {
		r := []rune(s)
		return string(r[:len(r)/2]) + "\u200b" + string(r[len(r)/2:])
	},
}

// TestKnown dresses a value that no pattern knows in up to three clothes, in a text; nothing of it may be left that could be undressed. The
// control is the search without the value, which has to leave it.
func TestKnown(t *testing.T) {
	names := make([]string, 0, len(clothes))
	for name := range clothes {
		names = append(names, name)
	}
	slices.Sort(names)
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.StringMatching(`[a-z]{3,8}[A-Za-z0-9+/_.-]{9,40}[a-z]{3,8}`).Draw(t, "value")
		worn := rapid.SliceOfN(rapid.SampledFrom(names), 1, viewDepth).Draw(t, "worn")
		dressed := value
		for _, name := range worn {
			dressed = clothes[name](dressed)
		}
		known := NewKnown([]string{"another-value-of-mine", value})
		before, after := "what came out: ", " and no more"
		clean, n := known.Redact(before + dressed + after)
		if n == 0 || strings.Contains(clean, dressed) {
			t.Fatalf("%q as %v: %q is left as %q", value, worn, dressed, clean)
		}
		if again, n := known.Redact(clean); n > 0 {
			t.Fatalf("%q as %v: %q is redacted again to %q", value, worn, clean, again)
		}
		if !strings.HasPrefix(clean, "what came") {
			t.Fatalf("%q as %v: the text around is gone: %q", value, worn, clean)
		}
	})
}

// TestKnownControl is the control: without the value in the list what is hidden is not found, and what is near it stays.
func TestKnownControl(t *testing.T) {
	value := "quite plain words, and many"
	for name, wear := range clothes {
		text := "it says " + wear(value) + "."
		if clean, n := NewKnown([]string{"something else"}).Redact(text); n != 0 || clean != text {
			t.Errorf("%s: %q", name, clean)
		}
		if _, n := NewKnown([]string{value}).Redact(text); n == 0 && name != "folded" {
			t.Errorf("%s: not found in %q", name, text)
		}
	}
	var none *Known
	if clean, n := none.Redact("x " + value); n != 0 || clean != "x "+value {
		t.Errorf("%q", clean)
	}
	if clean, n := NewKnown([]string{"short", ""}).Redact("a short one"); n != 0 {
		t.Errorf("%q", clean)
	}
	tree, n := NewKnown([]string{value}).RedactTree(map[string]any{"a": []any{clothes["hex"](value), 7}, value: "x", "b": "y"})
	if text := fmt.Sprint(tree); n != 2 || strings.Contains(text, value) || strings.Contains(text, clothes["hex"](value)) {
		t.Errorf("%d: %s", n, text)
	}
}

func TestIsVariable(t *testing.T) {
	for name, want := range map[string]bool{"DB_PASSWORD": true, "GITHUB_TOKEN": true, "OPENAI_API_KEY": true, "PATH": false, "TOKEN_FILE": false, "HOME": false, "LANG": false} {
		if IsVariable(name, "only-words-here") != want {
			t.Errorf("%s: %t", name, !want)
		}
	}
	if IsVariable("DB_PASSWORD", "/run/secrets/db") || IsVariable("DB_PASSWORD", "changeme-now") || IsVariable("TOKEN", "short") {
		t.Error("what stands for a secret is one")
	}
}
