package policy

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of the list of markers; its automaton would become too large beyond them.
const (
	MaxMarkers     = 500
	MaxMarkerBytes = 128
)

// Tripwires looks for markers and credentials in one pass over the text of a proposal. It may be used by many goroutines.
type Tripwires struct {
	auto    *automaton
	markers []string // normalised
	first   int      // index of the first marker among the words
}

// NewTripwires prepares the search for these markers, and for credentials.
func NewTripwires(markers []string) (*Tripwires, error) {
	if len(markers) > MaxMarkers {
		return nil, fmt.Errorf("%d phrases, at most %d are allowed", len(markers), MaxMarkers)
	}
	words := credentialWords()
	t := &Tripwires{first: len(words)}
	for i, m := range markers {
		phrase := strings.TrimSpace(string(Normalise(nil, m)))
		if phrase == "" || len(phrase) > MaxMarkerBytes {
			return nil, fmt.Errorf("%d: the phrase must have 1 to %d bytes", i, MaxMarkerBytes)
		}
		t.markers = append(t.markers, phrase)
		words = append(words, phrase)
	}
	t.auto = newAutomaton(words)
	return t, nil
}

// Scan reports whether a normalised text may hold a credential and whether it holds a marker. The first is only a
// suspicion, for FindCredentials to confirm.
func (t *Tripwires) Scan(normal []byte) (credential, marker bool) {
	t.auto.scan(normal, func(word, at int) bool {
		if word < t.first {
			credential = true
		} else if !marker {
			marker = standsAlone(normal, at, at+len(t.auto.words[word]))
		}
		return !credential || !marker
	})
	if !credential {
		dottedTokens(normal, func(string, int, int) bool { credential = true; return false })
	}
	return credential, marker
}

// Markers returns the markers in a text, sorted, each once.
func (t *Tripwires) Markers(text string) []string {
	var found []string
	normal := Normalise(nil, text)
	t.auto.scan(normal, func(word, at int) bool {
		if word >= t.first && standsAlone(normal, at, at+len(t.auto.words[word])) {
			found = append(found, t.markers[word-t.first])
		}
		return true
	})
	slices.Sort(found)
	return slices.Compact(found)
}

// standsAlone reports whether text[start:end] is no part of a longer word.
func standsAlone(text []byte, start, end int) bool {
	return !(start > 0 && wordChars[text[start-1]] && wordChars[text[start]]) &&
		!(end < len(text) && wordChars[text[end]] && wordChars[text[end-1]])
}

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
