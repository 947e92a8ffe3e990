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
	set     *words.Set
	markers []string // normalised
}

// NewTripwires prepares the search for these markers.
func NewTripwires(markers []string) (*Tripwires, error) {
	if len(markers) > MaxMarkers {
		return nil, fmt.Errorf("%d phrases, at most %d are allowed", len(markers), MaxMarkers)
	}
	t := new(Tripwires)
	for i, m := range markers {
		phrase := strings.TrimSpace(string(words.Normalise(nil, m)))
		if phrase == "" || len(phrase) > MaxMarkerBytes {
			return nil, fmt.Errorf("%d: the phrase must have 1 to %d bytes", i, MaxMarkerBytes)
		}
		t.markers = append(t.markers, phrase)
	}
	t.set = words.New(t.markers)
	return t, nil
}

// Scan reports whether a normalised text holds a marker.
func (t *Tripwires) Scan(normal []byte) (marker bool) {
	t.set.Scan(normal, func(word, at int) bool {
		marker = standsAlone(normal, at, at+len(t.markers[word]))
		return !marker
	})
	return marker
}

// Markers returns the markers in a text, sorted, each once.
func (t *Tripwires) Markers(text string) []string {
	var found []string
	normal := words.Normalise(nil, text)
	t.set.Scan(normal, func(word, at int) bool {
		if standsAlone(normal, at, at+len(t.markers[word])) {
			found = append(found, t.markers[word])
		}
		return true
	})
	slices.Sort(found)
	return slices.Compact(found)
}

// standsAlone reports whether text[start:end] is no part of a longer word.
func standsAlone(text []byte, start, end int) bool {
	return !(start > 0 && inWord(text[start-1]) && inWord(text[start])) &&
		!(end < len(text) && inWord(text[end]) && inWord(text[end-1]))
}

func inWord(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
