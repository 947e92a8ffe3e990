// Package words finds all of a set of words in one pass over a text, and brings texts into the form in which phrases are compared.
package words

// Set finds all of a set of words in one pass over a text (Aho and Corasick, 1975). ASCII letters are compared
// without case. It is a full transition table over the classes of bytes that occur in the words, so that a text without
// any costs one load per byte.
type Set struct {
	class [256]uint16
	width int
	next  []uint32  // state*width + class → the row of the next state, with ends
	out   [][]int32 // state → the words that end there, the longest first
	words []string
}

// New prepares a search. Words are lower case and not empty.
func New(words []string) *Set {
	a := &Set{words: words, width: 1}
	for _, w := range words {
		for i := range len(w) {
			if a.class[w[i]] == 0 {
				a.class[w[i]] = uint16(a.width)
				a.width++
			}
		}
	}
	for c := byte('a'); c <= 'z'; c++ {
		a.class[c-'a'+'A'] = a.class[c]
	}
	a.grow()
	for i, w := range words {
		state := uint32(0)
		for j := range len(w) {
			at := int(state)*a.width + int(a.class[w[j]])
			if a.next[at] == 0 {
				a.next[at] = a.grow()
			}
			state = a.next[at]
		}
		a.out[state] = append(a.out[state], int32(i))
	}
	a.link()
	a.finish()
	return a
}

// grow adds a state and returns it.
func (a *Set) grow() uint32 {
	a.next = append(a.next, make([]uint32, a.width)...)
	a.out = append(a.out, nil)
	return uint32(len(a.out) - 1)
}

// link completes the trie, breadth first: where a state has no edge, it takes that of the longest suffix which is a state.
func (a *Set) link() {
	suffix := make([]uint32, len(a.out))
	queue := make([]uint32, 0, len(a.out))
	for c := range a.width {
		if s := a.next[c]; s != 0 {
			queue = append(queue, s)
		}
	}
	for len(queue) > 0 {
		state := queue[0]
		queue = queue[1:]
		back := suffix[state]
		a.out[state] = append(a.out[state], a.out[back]...)
		for c := range a.width {
			at, other := int(state)*a.width+c, a.next[int(back)*a.width+c]
			if s := a.next[at]; s != 0 {
				suffix[s] = other
				queue = append(queue, s)
			} else {
				a.next[at] = other
			}
		}
	}
}

// Scan calls visit for every occurrence of a word, in the order of their ends, until it returns false.
func (a *Set) Scan(text []byte, visit func(word, start int) bool) {
	next, class, row := a.next, &a.class, uint32(0)
	for i, c := range text {
		to := next[row+uint32(class[c])]
		if to&ends == 0 {
			row = to
			continue
		}
		row = to &^ ends
		for _, w := range a.out[row/uint32(a.width)] {
			if !visit(int(w), i+1-len(a.words[w])) {
				return
			}
		}
	}
}

// ends marks a row of the table in which a word ends.
const ends = 1 << 31

// finish turns the states of the table into the places of their rows, so that a step costs two loads, and marks those with words.
func (a *Set) finish() {
	for i, state := range a.next {
		row := state * uint32(a.width)
		if len(a.out[state]) > 0 {
			row |= ends
		}
		a.next[i] = row
	}
}
