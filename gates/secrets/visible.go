package secrets

import (
	"sort"
	"unicode"
	"unicode/utf8"
)

// cuts are the places at which characters were left out of a text.
type cuts []cut

type cut struct{ at, gone int } // in the text without them, and how many bytes are gone up to there

// start maps the beginning of something in the text without them to its place in the whole, end its end.
func (c cuts) start(at int) int { return at + c.gone(at+1) }
func (c cuts) end(at int) int   { return at + c.gone(at) }

// gone is how many bytes were left out before a place.
func (c cuts) gone(at int) int {
	i := sort.Search(len(c), func(i int) bool { return c[i].at >= at })
	if i == 0 {
		return 0
	}
	return c[i-1].gone
}

// visible returns a text without the characters that nobody sees; nil where there are none.
func visible(text []byte) ([]byte, cuts) {
	var out []byte
	var places cuts
	from, gone := 0, 0
	for i := 0; i < len(text); {
		if text[i] < utf8.RuneSelf {
			i++
			continue
		}
		r, n := utf8.DecodeRune(text[i:])
		if unseen(r) {
			out = append(out, text[from:i]...)
			gone += n
			places = append(places, cut{len(out), gone})
			from = i + n
		}
		i += n
	}
	if gone == 0 {
		return nil, nil
	}
	return append(out, text[from:]...), places
}

// unseen reports whether a character has no look of its own.
func unseen(r rune) bool {
	return r != utf8.RuneError && (unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Variation_Selector, r) || r == 0x034f || r == 0x115f || r == 0x1160 || r == 0x3164 || r == 0xffa0)
}

// invisibleAt returns the character at the beginning of a text and its length, 0 if it has a look of its own.
func invisibleAt(text []byte) (rune, int) {
	r, n := utf8.DecodeRune(text)
	if !unseen(r) {
		return r, 0
	}
	return r, n
}
