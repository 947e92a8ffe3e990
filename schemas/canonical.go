package schemas

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// Canonical returns the RFC 8785 form of b. As the RFC says, it rounds numbers to doubles; where that must not happen, as
// in everything that is approved by digest, use ParseCanonical, which refuses such numbers.
func Canonical(b []byte) ([]byte, error) {
	v := slices.Clone(jsontext.Value(b))
	if err := v.Canonicalize(); err != nil {
		return nil, fmt.Errorf("canonical form: %w", err)
	}
	return v, nil
}

// Digest returns the lower-case hexadecimal SHA-256 of b, which is in canonical form already.
func Digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// appendString quotes s as RFC 8785 says. Bytes that are not UTF-8 become U+FFFD.
func appendString(dst []byte, s string) []byte {
	dst, _ = jsontext.AppendQuote(dst, s)
	return dst
}

// compareUTF16 orders names by their UTF-16 code units, as RFC 8785 does. That differs from the order of bytes only
// where a character beyond U+FFFF, which begins with a surrogate, meets one from U+E000 to U+FFFF.
func compareUTF16(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	for n > 0 && n < len(a) && !utf8.RuneStart(a[n]) {
		n--
	}
	if n >= len(a) || n >= len(b) {
		return cmp.Compare(len(a), len(b))
	}
	ra, _ := utf8.DecodeRuneInString(a[n:])
	rb, _ := utf8.DecodeRuneInString(b[n:])
	if (ra > 0xFFFF) != (rb > 0xFFFF) {
		return cmp.Compare(firstUnit(ra), firstUnit(rb))
	}
	return cmp.Compare(ra, rb)
}

func firstUnit(r rune) rune {
	if r > 0xFFFF {
		return 0xD800 + (r-0x10000)>>10
	}
	return r
}
