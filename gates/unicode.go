package gates

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// place is where a string stands: how much Unicode a reader can be asked to trust there.
type place uint8

const (
	identifier place = iota // names, ids, members: nothing that hides, no control character
	filePath                // the same
	argument                // line breaks, tabs and emoji are allowed
	content                 // what is written to a file or piped to a program
)

// flaw is a class of characters that a reader cannot trust.
type flaw uint8

const (
	noFlaw flaw = iota
	bidi
	tag
	invisible
	control
	space
	unassigned
	notNFC
	flaws
)

// codes of the flaws, outside content and in it. "" is no reason.
var flawCodes = [flaws][2]string{
	bidi:       {"BIDI_CONTROL", "BIDI_IN_TEXT"},
	tag:        {"TAG_CHARACTER", "TAG_CHARACTER"},
	invisible:  {"INVISIBLE_CHARACTER", "INVISIBLE_IN_TEXT"},
	control:    {"CONTROL_CHARACTER", "CONTROL_IN_TEXT"},
	space:      {"CONFUSABLE_SPACE", ""},
	unassigned: {"UNASSIGNED_CHARACTER", ""},
	notNFC:     {"NOT_NORMALISED", ""},
}

var flawNames = [flaws]string{
	bidi:       "reorders the text around it",
	tag:        "is an invisible tag character",
	invisible:  "cannot be seen",
	control:    "is a control character",
	space:      "looks like a plain space and is none",
	unassigned: "has no assigned meaning",
}

// plain reports whether s is ASCII without control characters, except those that its place allows. It is the fast way
// out for nearly all strings.
func plain(s string, p place) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f {
			if !allowedControl(rune(c), p) {
				return false
			}
		}
	}
	return true
}

func allowedControl(r rune, p place) bool {
	switch r {
	case '\n', '\t':
		return p >= argument
	case '\r':
		return p == content
	}
	return false
}

// classify returns the flaw of one character by itself.
func classify(r rune, p place) flaw {
	switch {
	case r < 0x7f && r >= ' ':
		return noFlaw
	case allowedControl(r, p):
		return noFlaw
	case r == 0x85 || r == 0x2028 || r == 0x2029:
		return control // line breaks that most editors do not show as such
	case unicode.Is(unicode.Cc, r):
		return control
	case r == 0x061c || r == 0x200e || r == 0x200f || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069:
		return bidi
	case r >= 0xe0000 && r <= 0xe007f:
		return tag
	case Unseen(r):
		return invisible
	case unicode.Is(unicode.Zs, r):
		return space
	case unicode.Is(unicode.Co, r) || !unicode.IsOneOf(assigned, r):
		return unassigned
	}
	return noFlaw
}

// each calls visit for each character of a text with its flaw, which depends on those around it: what joins the characters of an emoji or
// the letters of a word stands where it belongs. In identifiers nothing of the kind does.
func each(text []rune, p place, visit func(i int, f flaw)) {
	for i := 0; i < len(text); i++ {
		if p > identifier {
			if n := emojiAt(text[i:]); n > 1 {
				for end := i + n; i < end; i++ {
					visit(i, noFlaw)
				}
				i--
				continue
			}
		}
		f := classify(text[i], p)
		switch {
		case f == noFlaw || p == identifier:
		case f == invisible && invisibleInPlace(text, i):
			f = noFlaw
		case f == space && p >= argument && spaceInPlace(text, i):
			f = noFlaw
		case text[i] == '\r' && p >= argument && i+1 < len(text) && text[i+1] == '\n':
			f = noFlaw // a line break, as two characters
		}
		if flawCodes[f][inContent(p)] == "" {
			f = noFlaw
		}
		visit(i, f)
	}
}

var assigned = []*unicode.RangeTable{unicode.L, unicode.M, unicode.N, unicode.P, unicode.S, unicode.Z, unicode.Cf}

// Unseen reports whether r is drawn as nothing: the default ignorable code points of Unicode, the fillers of Hangul, and
// the blank pattern of Braille. Selectors can carry whole hidden messages.
func Unseen(r rune) bool {
	switch r {
	case 0x00ad, 0x034f, 0x115f, 0x1160, 0x17b4, 0x17b5, 0x2800, 0x3164, 0xffa0, 0xfffc:
		return true
	}
	return unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Variation_Selector, r) ||
		unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r)
}

// inspection is what was found in one string.
type inspection struct {
	found [flaws]int  // how often
	first [flaws]rune // which character
	at    [flaws]int  // at which character, from 1
}

func (in *inspection) any() bool {
	for f := bidi; f < flaws; f++ {
		if in.found[f] > 0 {
			return true
		}
	}
	return false
}

// inspect looks at every character of s.
func inspect(s string, p place) inspection {
	var in inspection
	text := []rune(s)
	each(text, p, func(i int, f flaw) {
		if f == noFlaw {
			return
		}
		if in.found[f] == 0 {
			in.first[f], in.at[f] = text[i], i+1
		}
		in.found[f]++
	})
	if p != content && !normalised(s) {
		in.found[notNFC] = 1
	}
	return in
}

func inContent(p place) int {
	if p == content {
		return 1
	}
	return 0
}

// clean returns s without what inspect finds in it.
func clean(s string, p place) string {
	var b strings.Builder
	text := []rune(s)
	each(text, p, func(i int, f flaw) {
		switch f {
		case noFlaw:
			b.WriteRune(text[i])
		case space:
			b.WriteByte(' ')
		}
	})
	if mended := b.String(); p == content || normalised(mended) {
		return mended
	}
	return norm.NFC.String(b.String())
}

// cleanMessage shows every character that is not plain as an escape.
func cleanMessage(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\n' || r == '\t':
			b.WriteByte(' ')
		case r == utf8.RuneError || classify(r, identifier) != noFlaw:
			fmt.Fprintf(&b, "<U+%04X>", r)
		default:
			b.WriteRune(r)
		}
	}
	return clip(b.String(), 500)
}
