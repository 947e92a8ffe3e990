// Package secrets finds credentials in texts: by the forms in which issuers write them, by the places where commands and files have
// them, and by the names under which they are kept. It says what it found and where, and takes it out of texts and documents.
package secrets

import (
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/sheratan/sheratan/gates/words"
)

// Finding is a credential in a text. It says what and where, never the credential itself.
type Finding struct {
	Format     string // for example github-token
	Start, End int    // bytes
}

// FormatAssignment is the format of what is a secret by its name and irregularity, not by an issuer's form; FormatCommand that of a
// password among the arguments of a program.
const (
	FormatAssignment = "secret-assignment"
	FormatCommand    = "command-password"
)

// detector finds credentials. It is built when it is first needed, once.
var detector = sync.OnceValue(func() *words.Set { return words.New(beginnings()) })

// beginnings lists what every credential has one of: the prefixes of issuers, in that order, then secretNames, programs, and the words
// of rules.
func beginnings() []string {
	rules := ruleWords()
	list := make([]string, 0, len(formats)+len(secretNames)+len(commands)+len(rules))
	for _, f := range formats {
		list = append(list, strings.ToLower(f.prefix))
	}
	list = append(list, secretNames...)
	for _, c := range commands {
		list = append(list, strings.ToLower(c.program))
	}
	for _, w := range rules {
		list = append(list, w.word)
	}
	return list
}

// Suspect reports whether a text may hold a credential, after one cheap pass over it; Find says whether it does. The text may be
// normalised (see words.Normalise), and may be many texts after one another.
func Suspect(text []byte) bool {
	suspicion := false
	detector().Scan(text, func(int, int) bool { suspicion = true; return false })
	if !suspicion {
		dottedTokens(text, func(string, int, int) bool { suspicion = true; return false })
	}
	return suspicion
}

// Find returns the credentials in a text, in order, none overlapping another. It also looks at the text without the characters that
// nobody sees.
func Find(text []byte) []Finding {
	found := find(text)
	if seen, places := visible(text); seen != nil {
		for _, f := range find(seen) {
			found = append(found, Finding{f.Format, places.start(f.Start), places.end(f.End)})
		}
	}
	return merge(found)
}

// find is Find without other views.
func find(text []byte) []Finding {
	var found []Finding
	issued, covered := 0, 0 // where the findings end so far: what lies inside one is not looked at again
	rules := ruleWords()
	detector().Scan(text, func(word, at int) bool {
		var f Finding
		var ok bool
		switch n := word - len(formats); {
		case n < 0:
			if at >= issued {
				f.Format = formats[word].name
				f.Start, f.End, ok = formats[word].match(text, at)
				ok = ok && !sampled(text[f.Start:f.End])
			}
			if ok {
				issued = max(issued, f.End)
			}
		case at < covered:
		case n < len(secretNames):
			f.Format = FormatAssignment
			f.Start, f.End, ok = assignment(text, at, secretNames[n])
		case n < len(secretNames)+len(commands):
			f.Format = FormatCommand
			f.Start, f.End, ok = commands[n-len(secretNames)].match(text, at)
		default:
			w := &rules[n-len(secretNames)-len(commands)]
			f.Format, f.Start, f.End, ok = w.match(text, at)
		}
		if ok {
			found = append(found, f)
			if f.Format != FormatCommand {
				covered = max(covered, f.End)
			}
		}
		return true
	})
	dottedTokens(text, func(name string, start, end int) bool {
		found = append(found, Finding{name, start, end})
		return true
	})
	return merge(found)
}

// merge orders findings and joins those that overlap; an issuer's format names the whole.
func merge(found []Finding) []Finding {
	if len(found) < 2 {
		return found
	}
	slices.SortStableFunc(found, func(a, b Finding) int {
		if a.Start != b.Start {
			return a.Start - b.Start
		}
		return b.End - a.End
	})
	out := found[:1]
	for _, f := range found[1:] {
		last := &out[len(out)-1]
		if f.Start >= last.End {
			out = append(out, f)
			continue
		}
		if last.Format == FormatAssignment || last.Format == FormatCommand {
			last.Format = f.Format
		}
		last.End = max(last.End, f.End)
	}
	return out
}

// IsMember reports whether a member of a JSON object is a secret by its name and the look of its value.
func IsMember(name, value string) bool {
	if len(value) > valueBytes {
		return false
	}
	word, ok := secretMember(name)
	switch {
	case !ok:
		return false
	case slices.Contains(asUserAndPassword, word):
		return userAndPassword([]byte(value))
	}
	return secretLike([]byte(value)) && !expression([]byte(value))
}

// SecretMember reports whether the value of a member may be a secret, by its name. Without that, IsMember holds of none.
func SecretMember(name string) bool {
	_, ok := secretMember(name)
	return ok
}

// secretMember is the first of the secretNames that the name of a member has.
func secretMember(name string) (word string, ok bool) {
	low := strings.ToLower(name)
	if len(low) != len(name) {
		name = low // there are characters outside of ASCII whose cases differ in length
	}
	for _, word := range secretNames {
		at := strings.LastIndex(low, strings.Trim(word, "=\""))
		if at >= 0 && secretName(word, []byte(name), at) {
			return word, true
		}
	}
	return "", false
}

// IsArgument reports whether an argument of a command is a secret, or ends with one, by what stands before it: --token X, -u user:X,
// mysql -pX. It returns where in the argument the secret begins.
func IsArgument(before []string, argument string) (start int, format string, ok bool) {
	if len(before) == 0 || argument == "" || len(argument) > valueBytes {
		return 0, "", false
	}
	first, size := len(before), 0
	for first > 0 && size+len(before[first-1]) < commandBytes {
		first--
		size += len(before[first]) + 1
	}
	line := make([]byte, 0, size+len(argument))
	for _, word := range before[first:] {
		line = append(append(line, word...), ' ')
	}
	at := len(line)
	for _, f := range Find(append(line, argument...)) {
		if f.End > at {
			return max(0, f.Start-at), f.Format, true
		}
	}
	return 0, "", false
}

// NoArgument reports that IsArgument holds of none of the words of a list, of which argument is the last: nothing by which a
// credential is known is in all of them together. Asked once for a list, it saves to ask of each word with those before it.
func NoArgument(before []string, argument string) bool {
	line := []byte(strings.Join(before, " ") + " " + argument)
	none := true
	detector().Scan(line, func(int, int) bool { none = false; return false })
	if none {
		seen, _ := visible(line)
		none = seen == nil
	}
	return none
}

// noArgument stands in a list for what is no string.
const noArgument = "\x1f"

// Redact replaces every credential in s by [redacted FORMAT], and returns how many there were. It looks again at what it
// made, because what stood beside a credential may be recognised only when that is gone.
func Redact(s string) (string, int) {
	s, n := peel(s, func(string, Finding) {})
	return s, n
}

// Value is a credential itself, for those who have to compare it or keep it out of texts.
type Value struct{ Format, Text string }

// First returns the credentials that are seen in s as it is.
func First(s string) (list []Value) {
	for _, f := range Find([]byte(s)) {
		list = append(list, Value{f.Format, s[f.Start:f.End]})
	}
	return list
}

// Values returns the credentials that Redact takes out of s.
func Values(s string) (list []Value) {
	peel(s, func(text string, f Finding) { list = append(list, Value{f.Format, text[f.Start:f.End]}) })
	return list
}

// peel is Redact, and tells what it takes out of which text.
func peel(s string, out func(text string, f Finding)) (clean string, n int) {
	for range 4 {
		found := Find([]byte(s))
		if len(found) == 0 {
			break
		}
		for _, f := range found {
			out(s, f)
		}
		n += len(found)
		s = replace(s, found)
	}
	return s, n
}

func replace(s string, found []Finding) string {
	var b strings.Builder
	at := 0
	for _, f := range found {
		b.WriteString(s[at:f.Start])
		b.WriteString(redacted(f.Format))
		at = f.End
	}
	b.WriteString(s[at:])
	return b.String()
}

func redacted(format string) string { return "[redacted " + format + "]" }

// other returns a name that no member has yet: two names that differ only in their credential must not become one. alike counts the names
// that were alike, so that the next one is not looked for from the beginning.
func other(members map[string]any, name string, alike map[string]int) string {
	free := name
	for _, taken := members[free]; taken; _, taken = members[free] {
		alike[name]++
		free = name + "'"
		if n := alike[name]; n > 1 {
			free += strconv.Itoa(n)
		}
	}
	return free
}

// RedactTree returns a copy of a JSON value (as schemas.Parse returns it) without the credentials in its strings and
// names, and how many there were. What it finds is what gate G4 reports.
func RedactTree(v any) (any, int) {
	switch v := v.(type) {
	case string:
		return Redact(v)
	case []any:
		return redactList(v)
	case map[string]any:
		return redactObject(v)
	default:
		return v, 0
	}
}

func redactList(v []any) (any, int) {
	out, n := make([]any, len(v)), 0
	before := make([]string, 0, len(v))
	for i, x := range v {
		y, k := RedactTree(x)
		s, isText := x.(string)
		if !isText {
			s = noArgument
		}
		if k == 0 {
			if start, format, ok := IsArgument(before, s); ok {
				y, k = s[:start]+redacted(format), 1
			}
		}
		before = append(before, s)
		out[i] = y
		n += k
	}
	return out, n
}

func redactObject(v map[string]any) (any, int) {
	out, n := make(map[string]any, len(v)), 0
	names := make([]string, 0, len(v))
	for name := range v {
		names = append(names, name)
	}
	slices.Sort(names)
	alike := make(map[string]int)
	for _, name := range names {
		clean, k := Redact(name)
		clean = other(out, clean, alike)
		value, m := RedactTree(v[name])
		if s, ok := v[name].(string); ok && m == 0 && IsMember(name, s) {
			value, m = redacted(FormatAssignment), 1
		}
		out[clean] = value
		n += k + m
	}
	return out, n
}
