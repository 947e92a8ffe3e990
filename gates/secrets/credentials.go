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

// FormatAssignment is the format of what is a secret by its name and irregularity, not by an issuer's form.
const FormatAssignment = "secret-assignment"

// detector finds credentials. It is built when it is first needed, once.
var detector = sync.OnceValue(func() *words.Set { return words.New(beginnings()) })

// beginnings lists what every credential has one of: the prefixes of formats, in that order, then secretNames.
func beginnings() []string {
	list := make([]string, 0, len(formats)+len(secretNames))
	for _, f := range formats {
		list = append(list, strings.ToLower(f.prefix))
	}
	return append(list, secretNames...)
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

// Find returns the credentials in a text, in order, none overlapping another.
func Find(text []byte) []Finding {
	var found []Finding
	issued, covered := 0, 0 // where the findings end so far: what lies inside one is not looked at again
	detector().Scan(text, func(word, at int) bool {
		var f Finding
		var ok bool
		switch {
		case word < len(formats) && at >= issued:
			f.Format = formats[word].name
			f.Start, f.End, ok = formats[word].match(text, at)
			if ok {
				issued = max(issued, f.End)
			}
		case word >= len(formats) && at >= covered:
			f.Format = FormatAssignment
			f.Start, f.End, ok = assignment(text, at, secretNames[word-len(formats)])
		}
		if ok {
			found = append(found, f)
			covered = max(covered, f.End)
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
		if last.Format == FormatAssignment {
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
	low := strings.ToLower(name)
	if len(low) != len(name) {
		name = low // there are characters outside of ASCII whose cases differ in length
	}
	for _, word := range secretNames {
		at := strings.LastIndex(low, strings.Trim(word, "=\""))
		if at < 0 || !secretName(word, []byte(name), at) {
			continue
		}
		if slices.Contains(asUserAndPassword, word) {
			return userAndPassword([]byte(value))
		}
		return secretLike([]byte(value)) && !expression([]byte(value))
	}
	return false
}

// IsArgument reports whether an argument of a command is a secret by the two before it: --token X, -u user:X, sshpass -p X.
func IsArgument(before [2]string, argument string) bool {
	if !strings.HasPrefix(before[1], "-") || len(before[1]) > 64 || len(argument) > valueBytes {
		return false
	}
	text := before[1] + " "
	if len(before[0]) <= 64 {
		text = before[0] + " " + text
	}
	for _, f := range Find([]byte(text + argument)) {
		if f.End > len(text) {
			return true
		}
	}
	return false
}

// Redact replaces every credential in s by [redacted FORMAT], and returns how many there were. It looks again at what it
// made, because what stood beside a credential may be recognised only when that is gone.
func Redact(s string) (string, int) {
	n := 0
	for range 4 {
		found := Find([]byte(s))
		if len(found) == 0 {
			break
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
	var before [2]string
	for i, x := range v {
		y, k := RedactTree(x)
		s, _ := x.(string)
		if k == 0 && IsArgument(before, s) {
			y, k = redacted(FormatAssignment), 1
		}
		before = [2]string{before[1], s}
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
