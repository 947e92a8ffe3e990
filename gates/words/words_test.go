package words

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestAutomaton(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringMatching(`[ab-]{1,4}`)
		words := rapid.SliceOfNDistinct(word, 1, 8, rapid.ID[string]).Draw(t, "words")
		text := rapid.StringMatching(`[abAB-]{0,30}`).Draw(t, "text")
		got := map[[2]int]bool{}
		New(words).Scan([]byte(text), func(w, at int) bool { got[[2]int{w, at}] = true; return true })
		want := map[[2]int]bool{}
		for w, s := range words {
			for at := range text {
				if strings.HasPrefix(strings.ToLower(text[at:]), s) {
					want[[2]int{w, at}] = true
				}
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("%q in %q: got %v, want %v", words, text, got, want)
		}
	})
}
