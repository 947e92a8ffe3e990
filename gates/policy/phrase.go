package policy

import (
	"embed"
	"fmt"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/sheratan/sheratan/gates/words"
)

//go:embed markers
var markerFiles embed.FS

// lines returns the lines of a file of markers that are no comments.
func lines(name string) []string {
	b, err := markerFiles.ReadFile("markers/" + name)
	if err != nil {
		panic(err) // it is a part of the program
	}
	var list []string
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			list = append(list, line)
		}
	}
	return list
}

// DefaultMarkers lists the phrases that come with the program: attempts to talk a reader into more authority than the gates gave. They are
// tripwires, not a boundary; whoever knows the list can avoid it.
func DefaultMarkers() []string { return lines("phrases.txt") }

// slots are the alternatives of each slot, each a list of words.
var slots = sync.OnceValue(func() map[string][][]string {
	m := make(map[string][][]string)
	for _, line := range lines("slots.txt") {
		name, list, _ := strings.Cut(line, "=")
		name = strings.TrimSpace(name)
		for alternative := range strings.SplitSeq(list, "|") {
			m[name] = append(m[name], strings.Fields(string(words.Normalise(nil, alternative))))
		}
	}
	return m
})

// item is a part of a phrase: one of some alternatives, up to so many times.
type item struct {
	alternatives map[string][][]string // by their first word
	least, most  int
	end          bool // the end of a sentence instead
}

// phrase is a marker with slots.
type phrase []item

// endOfSentence is the slot that stands for no word.
const endOfSentence = "{end}"

// parsePhrase reads a marker with slots. It begins with what cannot be missing, because that is what a text is searched for.
func parsePhrase(marker string) (phrase, error) {
	var p phrase
	for _, part := range strings.Fields(marker) {
		if part == endOfSentence {
			p = append(p, item{end: true, least: 1, most: 1})
			continue
		}
		it := item{least: 1, most: 1, alternatives: map[string][][]string{}}
		list := [][]string{{part}}
		if strings.HasPrefix(part, "{") {
			switch {
			case strings.HasSuffix(part, "?"):
				it.least, part = 0, part[:len(part)-1]
			case strings.HasSuffix(part, "*"):
				it.least, it.most, part = 0, 4, part[:len(part)-1]
			}
			name, ok := strings.CutSuffix(strings.TrimPrefix(part, "{"), "}")
			if list = slots()[name]; !ok || list == nil {
				return nil, fmt.Errorf("there is no slot %q", part)
			}
		}
		for _, alternative := range list {
			it.alternatives[alternative[0]] = append(it.alternatives[alternative[0]], alternative)
		}
		p = append(p, it)
	}
	if len(p) == 0 || p[0].least == 0 || p[0].end {
		return nil, fmt.Errorf("a phrase begins with a word, or with a slot that cannot be missing")
	}
	return p, nil
}

// match returns where the phrase ends that begins at a place of a normalised text, -1 where none does. Its steps are bounded: a text of nothing
// but words of slots must not cost more than its length.
func (p phrase) match(text []byte, at int) int {
	steps := 0
	return p.from(text, at, 0, &steps)
}

// maxSteps bounds the words that are compared for one beginning.
const maxSteps = 100

func (p phrase) from(text []byte, at, count int, steps *int) int {
	if len(p) == 0 {
		return at
	}
	it := &p[0]
	if it.end {
		if sentenceEnds(text, at) {
			return p[1:].from(text, at, 0, steps)
		}
		return -1
	}
	if *steps++; *steps > maxSteps {
		return -1
	}
	if count < it.most {
		word, end := nextWord(text, at)
		for _, alternative := range it.alternatives[string(word)] {
			end, ok := end, true
			for _, w := range alternative[1:] {
				if word, end = nextWord(text, end); string(word) != w {
					ok = false
					break
				}
			}
			if !ok {
				continue
			}
			next, n := p, count+1
			if n == it.most {
				next, n = p[1:], 0
			}
			if found := next.from(text, end, n, steps); found >= 0 {
				return found
			}
		}
	}
	if count >= it.least {
		return p[1:].from(text, at, 0, steps)
	}
	return -1
}

// between are the characters that may stand between two words of a phrase: no sentence ends with them.
const between = " \t,\"'`*_-()[]:<>“”‘’"

// nextWord returns the next word of a text from a place on, nil where a sentence ends before.
func nextWord(text []byte, at int) (word []byte, end int) {
	for at < len(text) && !wordByte(text[at]) {
		r, n := utf8.DecodeRune(text[at:])
		if !strings.ContainsRune(between, r) {
			return nil, at
		}
		at += n
	}
	end = at
	for end < len(text) && (wordByte(text[end]) || (text[end] == '\'' || text[end] == '-') && end+1 < len(text) && wordByte(text[end+1])) {
		end++
	}
	return text[at:end], end
}

// wordByte reports whether a byte is of a word: a letter or digit of ASCII, or of a character beyond it that is no quotation mark.
func wordByte(c byte) bool { return inWord(c) && c != '_' || c >= 0x80 && c != 0xe2 }

// sentenceEnds reports whether nothing of a sentence follows, or only another order.
func sentenceEnds(text []byte, at int) bool {
	rest := strings.TrimLeftFunc(string(text[at:min(len(text), at+16)]), unicode.IsSpace)
	if rest == "" || strings.ContainsRune(".!?;,:\n\x1f\"'`", rune(rest[0])) {
		return true
	}
	word, _ := nextWord([]byte(rest), 0)
	return string(word) == "and" || string(word) == "then" || string(word) == "instead"
}
