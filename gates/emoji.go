package gates

import (
	_ "embed"
	"strconv"
	"strings"
	"sync"
)

//go:embed emoji.txt
var emojiFile string

// emojiNode is a place in the tree of sequences that are one emoji.
type emojiNode struct {
	next map[rune]*emojiNode
	ends bool
}

// emoji is the tree of emoji.txt, and of its characters with a selector also with the selector for text.
var emoji = sync.OnceValue(func() *emojiNode {
	root := &emojiNode{}
	for line := range strings.Lines(emojiFile) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		n := root
		var sequence []rune
		for _, digits := range strings.Fields(line) {
			r, err := strconv.ParseUint(digits, 16, 32)
			if err != nil {
				panic("emoji.txt: " + err.Error()) // it is a part of the program, and a test reads it
			}
			sequence = append(sequence, rune(r))
		}
		for _, r := range sequence {
			n = n.child(r)
		}
		n.ends = true
		if len(sequence) == 2 && sequence[1] == emojiSelector {
			root.child(sequence[0]).child(textSelector).ends = true
		}
	}
	return root
})

// The selectors that follow a character, and the joiner of two.
const (
	textSelector  = 0xfe0e
	emojiSelector = 0xfe0f
)

func (n *emojiNode) child(r rune) *emojiNode {
	if n.next == nil {
		n.next = make(map[rune]*emojiNode)
	}
	if n.next[r] == nil {
		n.next[r] = &emojiNode{}
	}
	return n.next[r]
}

// emojiAt returns how many characters at the beginning of a text are one emoji with joiners, selectors or tags, 0 for none. A selector
// may be missing, as most keyboards leave it out, and a modifier of the skin may stand behind a character.
func emojiAt(text []rune) int {
	longest := 0
	var walk func(n *emojiNode, i int, modifiable bool)
	walk = func(n *emojiNode, i int, modifiable bool) {
		if n.ends && i > longest {
			longest = i
		}
		if selector := n.next[emojiSelector]; selector != nil && i > 0 {
			walk(selector, i, false) // left out
		}
		if i == len(text) {
			return
		}
		if r := text[i]; modifiable && r >= 0x1f3fb && r <= 0x1f3ff {
			walk(n, i+1, false)
		} else if next := n.next[r]; next != nil {
			walk(next, i+1, r != joiner && r != emojiSelector && r > 0x7f)
		}
	}
	if emoji().next[text[0]] != nil {
		walk(emoji(), 0, false)
	}
	return longest
}
