package gates

import (
	"sort"
	"strconv"
	"strings"

	"github.com/sheratan/sheratan/gates/words"
	"github.com/sheratan/sheratan/schemas"
)

// text is a string of the proposal that deserves a second look.
type text struct {
	pointer string // of the string; of the member, where it is the name of one
	value   string
	name    bool
	place   place
	member  string   // the name of the member whose value it is
	before  []string // the strings before it in a list
}

// walk goes over all strings and names of a proposal, once. It remembers those that are not plain, and collects all of
// them, normalised, so that the tripwires need to look at one text.
type walk struct {
	paths  map[string]bool // members of params
	own    bool            // the params are those of an operator's own kind, and all of them arguments
	normal []byte
	odd    []text
	visit  func(text) // where set, is called for every string
	path   []step
}

// step is a part of the way from the document to a string; it becomes a pointer only where one is needed.
type step struct {
	name   string
	index  int      // in an array; -1 for a member
	before []string // the strings before it in the array, where visit is set
}

// contentMembers are the params of built-in kinds that hold text which is not read as a name.
var contentMembers = map[string]bool{"content": true, "diff": true, "old": true, "new": true, "stdin": true, "prompt": true, "system": true, "schema": true}

func (w *walk) document(v any) {
	object, ok := v.(map[string]any)
	if !ok {
		w.value(v, identifier)
		return
	}
	for name, member := range object {
		w.enter(name)
		payload, ok := member.(map[string]any)
		if name == "payload" && ok {
			w.payload(payload)
		} else {
			w.value(member, identifier)
		}
		w.leave()
	}
}

func (w *walk) payload(payload map[string]any) {
	for name, member := range payload {
		w.enter(name)
		params, ok := member.(map[string]any)
		if name == "params" && ok {
			for param, v := range params {
				w.enter(param)
				w.value(v, w.paramPlace(param))
				w.leave()
			}
		} else {
			w.value(member, identifier)
		}
		w.leave()
	}
}

func (w *walk) paramPlace(param string) place {
	switch {
	case w.paths[param]:
		return filePath
	case contentMembers[param] && !w.own:
		return content
	default:
		return argument
	}
}

func (w *walk) value(v any, p place) {
	switch v := v.(type) {
	case string:
		w.text(v, false, p)
	case []any:
		var before []string
		for i, x := range v {
			w.path = append(w.path, step{index: i, before: before})
			w.value(x, p)
			w.leave()
			if w.visit != nil {
				s, ok := x.(string)
				if !ok {
					s = string(rune(separator))
				}
				before = append(before, s)
			}
		}
		w.normal = append(w.normal, separator)
	case map[string]any:
		for name, x := range v {
			w.enter(name)
			w.value(x, p)
			w.leave()
		}
	}
}

func (w *walk) enter(name string) {
	w.path = append(w.path, step{name: name, index: -1})
	w.text(name, true, identifier)
}

func (w *walk) leave() { w.path = w.path[:len(w.path)-1] }

// separator stands between the strings in the collected text, so that no phrase goes across it. Between the items of a
// list of arguments it is a space: there phrases do go across, as in ["run", "as", "root"].
const separator = 0x1f

func (w *walk) text(s string, name bool, p place) {
	if w.visit != nil {
		t := text{pointer: w.pointer(), value: s, name: name, place: p}
		if n := len(w.path); n > 0 && !name {
			t.member, t.before = w.path[n-1].name, w.path[n-1].before
		}
		w.visit(t)
		return
	}
	end := byte(separator)
	if n := len(w.path); p == argument && n > 0 && w.path[n-1].index >= 0 {
		end = ' '
	}
	w.normal = append(words.Normalise(w.normal, s), end)
	if !plain(s, p) {
		w.odd = append(w.odd, text{pointer: w.pointer(), value: s, name: name, place: p})
	}
}

func (w *walk) pointer() string {
	var b strings.Builder
	for _, s := range w.path {
		b.WriteByte('/')
		if s.index >= 0 {
			b.WriteString(strconv.Itoa(s.index))
		} else {
			b.WriteString(schemas.EscapeToken(s.name))
		}
	}
	return b.String()
}

// textsOf returns all strings and names, by pointer.
func textsOf(v any, paths map[string]bool, own bool) []text {
	var all []text
	w := walk{paths: paths, own: own, visit: func(t text) { all = append(all, t) }}
	w.document(v)
	sortTexts(all)
	return all
}

// sortTexts puts texts in the order of their pointers, names before values: maps have no order, and reports must have one.
func sortTexts(all []text) {
	sort.Slice(all, func(i, j int) bool {
		if all[i].pointer != all[j].pointer {
			return all[i].pointer < all[j].pointer
		}
		return all[i].name && !all[j].name
	})
}
