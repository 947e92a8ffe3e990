package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sheratan/sheratan/gates/words"
)

// Bounds of the list of markers; its automaton would become too large beyond them.
const (
	MaxMarkers     = 500
	MaxMarkerBytes = 128
)

// Tripwires looks for markers in the text of a proposal. It may be used by many goroutines.
type Tripwires struct {
	set     *words.Set // of the markers without slots, and behind them of the words that the others begin with
	markers []string   // without slots, normalised
	phrases [][]phrase // by the word that they begin with
	first   []string   // these words
}

// NewTripwires prepares the search for these markers.
func NewTripwires(markers []string) (*Tripwires, error) {
	if len(markers) > MaxMarkers {
		return nil, fmt.Errorf("%d phrases, at most %d are allowed", len(markers), MaxMarkers)
	}
	t := new(Tripwires)
	begins := map[string]int{}
	for i, m := range markers {
		text := strings.TrimSpace(string(words.Normalise(nil, m)))
		if text == "" || len(text) > MaxMarkerBytes {
			return nil, fmt.Errorf("%d: the phrase must have 1 to %d bytes", i, MaxMarkerBytes)
		}
		if !strings.Contains(text, "{") {
			t.markers = append(t.markers, text)
			continue
		}
		p, err := parsePhrase(text)
		if err != nil {
			return nil, fmt.Errorf("%d: %w", i, err)
		}
		for word := range p[0].alternatives {
			at, known := begins[word]
			if !known {
				at = len(t.first)
				begins[word] = at
				t.first, t.phrases = append(t.first, word), append(t.phrases, nil)
			}
			t.phrases[at] = append(t.phrases[at], p)
		}
	}
	t.set = words.New(slices.Concat(t.markers, t.first))
	return t, nil
}

// Scan reports whether a normalised text holds a marker.
func (t *Tripwires) Scan(normal []byte) (marker bool) {
	t.each(normal, func(string, int, int) bool {
		marker = true
		return false
	})
	return marker
}

// each calls visit for the places of markers, until it returns false. One with slots has no text of its own.
func (t *Tripwires) each(normal []byte, visit func(marker string, start, end int) bool) {
	t.set.Scan(normal, func(word, at int) bool {
		if word < len(t.markers) {
			end := at + len(t.markers[word])
			return !standsAlone(normal, at, end) || visit(t.markers[word], at, end)
		}
		word -= len(t.markers)
		if !standsAlone(normal, at, at+len(t.first[word])) {
			return true
		}
		for _, p := range t.phrases[word] {
			if end := p.match(normal, at); end >= 0 && !visit("", at, end) {
				return false
			}
		}
		return true
	})
}

// Markers returns the markers in a text, sorted, each once: those with slots as the text has them, which is in words of the slots.
func (t *Tripwires) Markers(text string) []string {
	var found []string
	normal := words.Normalise(nil, text)
	t.each(normal, func(marker string, start, end int) bool {
		if marker == "" {
			marker = spelled(normal[start:end])
		}
		found = append(found, marker)
		return true
	})
	slices.Sort(found)
	return slices.Compact(found)
}

// spelled returns the words of a marker with one space between them: what else a text has there is not the list's.
func spelled(marker []byte) string {
	var list []string
	for at := 0; ; {
		word, end := nextWord(marker, at)
		if len(word) == 0 {
			return strings.Join(list, " ")
		}
		list, at = append(list, string(word)), end
	}
}

// standsAlone reports whether text[start:end] is no part of a longer word.
func standsAlone(text []byte, start, end int) bool {
	return !(start > 0 && inWord(text[start-1]) && inWord(text[start])) &&
		!(end < len(text) && inWord(text[end]) && inWord(text[end-1]))
}

func inWord(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
