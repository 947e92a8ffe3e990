package secrets

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"regexp"
	"regexp/syntax"
	"sync"
)

// rulesText are the rules of gitleaks, a maintained set, as data: its file says source and licence, and `go run ./scripts/secretsuites -write`
// makes it. The table of issuers is ours and is asked first; these know more services.
//
//go:embed gitleaks.json
var rulesText []byte

// rule is one of them. The value that it knows stands behind a name, or it is a token that begins with a word.
type rule struct {
	ID      string   `json:"id"`
	Names   []string `json:"names"`   // lower case
	Begins  []string `json:"begins"`  // lower case
	Pattern string   `json:"pattern"` // RE2; of the value, or of the token from its beginning
	Entropy float64  `json:"entropy"` // in bits per character, at least

	once     sync.Once
	compiled *regexp.Regexp
	least    int // how many characters a match has
}

// ruleWord is a word by which rules are tried.
type ruleWord struct {
	word  string
	name  bool // the word is a name, and not the beginning of a token
	rules []*rule
}

// ruleWords lists the words of all rules, each once as a name and once as a beginning.
var ruleWords = sync.OnceValue(func() []ruleWord {
	var file struct {
		Rules []*rule `json:"rules"`
	}
	if err := json.Unmarshal(rulesText, &file); err != nil {
		panic("gitleaks.json: " + err.Error()) // it is part of the program, and a test reads it
	}
	var list []ruleWord
	known := map[string]int{}
	add := func(word string, name bool, r *rule) {
		key := fmt.Sprint(word, name)
		if _, ok := known[key]; !ok {
			known[key] = len(list)
			list = append(list, ruleWord{word: word, name: name})
		}
		w := &list[known[key]]
		w.rules = append(w.rules, r)
	}
	for _, r := range file.Rules {
		for _, word := range r.Names {
			add(word, true, r)
		}
		for _, word := range r.Begins {
			add(word, false, r)
		}
	}
	return list
})

// longestToken bounds how much of a text a pattern is tried on.
const longestToken = 1100

// expr compiles a pattern when it is first tried: most never are.
func (r *rule) expr() *regexp.Regexp {
	r.compile()
	return r.compiled
}

// shortest is how many bytes a match has at least.
func (r *rule) shortest() int {
	r.compile()
	return r.least
}

func (r *rule) compile() {
	r.once.Do(func() {
		r.compiled = regexp.MustCompile("^(?:" + r.Pattern + ")")
		tree, err := syntax.Parse(r.Pattern, syntax.Perl)
		if err == nil {
			r.least = shortest(tree)
		}
	})
}

// shortest is how many characters an expression matches at least.
func shortest(e *syntax.Regexp) int {
	switch e.Op {
	case syntax.OpLiteral:
		return len(e.Rune)
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return 1
	case syntax.OpCapture, syntax.OpPlus:
		return shortest(e.Sub[0])
	case syntax.OpRepeat:
		return e.Min * shortest(e.Sub[0])
	case syntax.OpConcat:
		n := 0
		for _, sub := range e.Sub {
			n += shortest(sub)
		}
		return n
	case syntax.OpAlternate:
		n := shortest(e.Sub[0])
		for _, sub := range e.Sub[1:] {
			n = min(n, shortest(sub))
		}
		return n
	}
	return 0
}

// match looks at an occurrence of the word, and returns the rule that knows what stands there.
func (w ruleWord) match(text []byte, at int) (by string, start, end int, ok bool) {
	if w.name {
		if len(w.word) < 7 && !cased(text[at:at+len(w.word)]) {
			return "", 0, 0, false
		}
		start, end, ok = assigned(text, back(text, at, dotted, 64), run(text, at+len(w.word), gapChars, mostGap))
		for i := 0; ok && i < len(w.rules); i++ {
			if n := w.rules[i].value(text[start:end]); n > 0 {
				return w.rules[i].ID, start, start + n, true
			}
		}
		return "", 0, 0, false
	}
	if at > 0 && (wordChars[text[at-1]] || text[at-1] == '.') {
		return "", 0, 0, false
	}
	for _, r := range w.rules {
		if n := r.token(text[at:]); n > 0 {
			return r.ID, at, at + n, true
		}
	}
	return "", 0, 0, false
}

// value is how much of what is assigned to a name is a value of the rule; 0 if it is none.
func (r *rule) value(text []byte) int {
	if len(text) < r.shortest() {
		return 0
	}
	place := r.expr().FindIndex(text)
	if place == nil || place[1] < len(text) && urlSafe[text[place[1]]] {
		return 0
	}
	if found := text[:place[1]]; hasDigit(found) && r.drawnEnough(found) {
		return place[1]
	}
	return 0
}

// token is how long the token of the rule is with which a text begins; 0 if it does not.
func (r *rule) token(text []byte) int {
	part := text[:min(len(text), longestToken)]
	if len(part) < r.shortest() {
		return 0
	}
	place := r.expr().FindIndex(part)
	if place == nil {
		return 0
	}
	end := place[1]
	if end == len(part) {
		end = run(text, end, urlSafe, 0) // it has no end, and the pattern was tried on a part
	}
	found := text[:end]
	if end < len(text) && wordChars[text[end-1]] && wordChars[text[end]] || !hasDigit(found) || !r.drawnEnough(found) || sampled(found) {
		return 0
	}
	return end
}

// mostGap is how much of a name may stand behind the word, and gapChars of what.
const mostGap = 20

var gapChars = letters(lower + upper + digits + "_-. \t")

// drawnEnough reports whether a value is none that stands for one.
func (r *rule) drawnEnough(value []byte) bool {
	return !placeholder(value) && !monotonous(value) && entropy(value) >= r.Entropy
}

// hasDigit reports whether there is a digit in a value, or its letters look drawn: words have the form of many keys.
func hasDigit(value []byte) bool {
	for _, c := range value {
		if numerals[c] {
			return true
		}
	}
	return len(value) >= 30 && drawn(value)
}

// cased reports whether a word is written in one case, or with a capital: not as the end of one word and the beginning of another.
func cased(word []byte) bool {
	rest := word[1:]
	return !bytes.ContainsAny(rest, upper) || !bytes.ContainsAny(word, lower)
}
