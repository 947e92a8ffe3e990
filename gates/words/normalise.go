package words

import (
	"unicode"
	"unicode/utf8"
)

// Normalise appends the text as markers are compared with it: lower case, each run of white space one space, without
// characters that cannot be seen.
func Normalise(dst []byte, text string) []byte {
	blank := false
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c >= utf8.RuneSelf:
			return normaliseRunes(dst, text[i:], blank)
		case c == ' ' || c >= '\t' && c <= '\r':
			if !blank {
				dst = append(dst, ' ')
			}
			blank = true
			continue
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		}
		dst = append(dst, c)
		blank = false
	}
	return dst
}

func normaliseRunes(dst []byte, text string, blank bool) []byte {
	for _, r := range text {
		switch {
		case unicode.IsSpace(r) || unicode.Is(unicode.Z, r):
			if !blank {
				dst = append(dst, ' ')
			}
			blank = true
			continue
		case unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Variation_Selector, r) || r == 0x034f:
			continue
		case r >= 0xff01 && r <= 0xff5e: // fullwidth forms of ASCII
			r -= 0xff01 - '!'
		}
		dst = utf8.AppendRune(dst, unicode.ToLower(r))
		blank = false
	}
	return dst
}
