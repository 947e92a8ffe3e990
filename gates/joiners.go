package gates

import (
	_ "embed"
	"strconv"
	"strings"
	"sync"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

const (
	wordSpace = 0x200b // zero width space: where a line may break between words that no space parts
	nonJoiner = 0x200c
	joiner    = 0x200d
)

// invisibleInPlace reports whether an invisible character stands where its script needs it: joiners by the rules of RFC 5892 (A.1 and A.2,
// CONTEXTJ), the space between words of scripts that are written without one, and the selectors of Mongolian letters.
func invisibleInPlace(text []rune, i int) bool {
	switch r := text[i]; {
	case r == nonJoiner:
		return afterVirama(text, i) || joinsAround(text, i)
	case r == joiner:
		return afterVirama(text, i)
	case r == wordSpace:
		return i > 0 && i+1 < len(text) && unspaced(text[i-1]) && unspaced(text[i+1])
	case mongolianSelector(r):
		// Texts have two of them now and then.
		return mongolianLetter(text, i-1) || i > 0 && mongolianSelector(text[i-1]) && mongolianLetter(text, i-2)
	case r == vowelSeparator:
		return mongolianLetter(text, i-1) || mongolianLetter(text, i+1)
	}
	return false
}

// vowelSeparator stands before the last vowel of a Mongolian word, or between a word and its suffix.
const vowelSeparator = 0x180e

func mongolianSelector(r rune) bool { return r >= 0x180b && r <= 0x180d || r == 0x180f }

func mongolianLetter(text []rune, i int) bool {
	return i >= 0 && i < len(text) && unicode.Is(unicode.Mongolian, text[i]) && unicode.IsLetter(text[i])
}

// afterVirama reports whether the character before is one that takes the vowel from the letter before it.
func afterVirama(text []rune, i int) bool {
	return i > 0 && text[i-1] >= 0x80 && norm.NFC.PropertiesString(string(text[i-1])).CCC() == 9
}

// unspaced reports whether a character is of a script in which no space stands between words (Line_Break=Complex_Context).
func unspaced(r rune) bool {
	return unicode.In(r, unicode.Khmer, unicode.Thai, unicode.Lao, unicode.Myanmar, unicode.Tai_Tham, unicode.Tai_Le, unicode.New_Tai_Lue, unicode.Tai_Viet,
		unicode.Ahom)
}

// joining has the letters of cursive scripts: D join on both sides, L and R on one.
var joining = sync.OnceValue(func() map[rune]byte {
	types := make(map[rune]byte)
	for line := range strings.Lines(joiningFile) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		kind, letters, _ := strings.Cut(strings.TrimSpace(line), " ")
		first, last, ranged := strings.Cut(letters, "..")
		if !ranged {
			last = first
		}
		from, err := strconv.ParseUint(first, 16, 32)
		to, err2 := strconv.ParseUint(last, 16, 32)
		if err != nil || err2 != nil {
			panic("joining.txt: " + line) // it is a part of the program, and a test reads it
		}
		for r := from; r <= to; r++ {
			types[rune(r)] = kind[0]
		}
	}
	return types
})

//go:embed joining.txt
var joiningFile string

// maxTransparent bounds the marks that are passed over between a letter and a joiner.
const maxTransparent = 8

// joinsAround reports whether the letters on both sides would join without what stands between them.
func joinsAround(text []rune, i int) bool {
	before, after := i-1, i+1
	for n := 0; n < maxTransparent && before >= 0 && unicode.In(text[before], unicode.Mn, unicode.Me); n++ {
		before--
	}
	for n := 0; n < maxTransparent && after < len(text) && unicode.In(text[after], unicode.Mn, unicode.Me); n++ {
		after++
	}
	if before < 0 || after >= len(text) {
		return false
	}
	left, right := joining()[text[before]], joining()[text[after]]
	return (left == 'L' || left == 'D') && (right == 'R' || right == 'D')
}

// spaceInPlace reports whether a space of another kind stands where a typographer puts it: beside the marks of French and in numbers, and
// between characters of East Asia.
func spaceInPlace(text []rune, i int) bool {
	var before, after rune
	if i > 0 {
		before = text[i-1]
	}
	if i+1 < len(text) {
		after = text[i+1]
	}
	switch text[i] {
	case 0xa0, 0x202f, 0x2009:
		return before == '«' || before == '‹' || strings.ContainsRune("»›:;!?%‰€", after) || unicode.IsDigit(before) && unicode.IsDigit(after)
	case 0x3000:
		return eastAsian(before) && eastAsian(after)
	}
	return false
}

func eastAsian(r rune) bool {
	return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Bopomofo) || r >= 0x3001 && r <= 0x303f || r >= 0xff01 && r <= 0xff60
}

// compositionExclusions are characters that no normal form keeps, though keyboards write them. Those that are another character's second name,
// as the sign of Kelvin is, are not among them. Of CompositionExclusions.txt of Unicode 15.0 (Unicode License V3).
var compositionExclusions = &unicode.RangeTable{
	R16: []unicode.Range16{
		{0x0958, 0x095f, 1}, {0x09dc, 0x09dd, 1}, {0x09df, 0x09df, 1}, {0x0a33, 0x0a36, 3}, {0x0a59, 0x0a5b, 1}, {0x0a5e, 0x0a5e, 1}, {0x0b5c, 0x0b5d, 1},
		{0x0f43, 0x0f4d, 10}, {0x0f52, 0x0f5c, 5}, {0x0f69, 0x0f69, 1}, {0x0f76, 0x0f78, 2}, {0x0f93, 0x0f9d, 10}, {0x0fa2, 0x0fac, 5}, {0x0fb9, 0x0fb9, 1},
		{0xfb1d, 0xfb1f, 2}, {0xfb2a, 0xfb36, 1}, {0xfb38, 0xfb3c, 1}, {0xfb3e, 0xfb40, 2}, {0xfb41, 0xfb43, 2}, {0xfb44, 0xfb46, 2}, {0xfb47, 0xfb4e, 1},
	},
	R32: []unicode.Range32{{0x2adc, 0x2adc, 1}, {0x1d15e, 0x1d164, 1}, {0x1d1bb, 0x1d1c0, 1}},
}

// normalised reports whether a text is in normal form C, but for characters that it excludes.
func normalised(s string) bool {
	if norm.NFC.IsNormalString(s) {
		return true
	}
	excluded := false
	decomposed := strings.Builder{}
	for _, r := range s {
		if unicode.Is(compositionExclusions, r) {
			excluded = true
			decomposed.WriteString(norm.NFD.String(string(r)))
		} else {
			decomposed.WriteRune(r)
		}
	}
	return excluded && norm.NFC.IsNormalString(decomposed.String())
}
