package rules

import (
	"bytes"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// prettyWidth is how long a line may be before an object or array is broken into several.
const prettyWidth = 118

// pretty prints JSON for people: members in their order, what fits on a line on one line. text must be valid.
func pretty(text []byte) []byte {
	p := prettyPrinter{}
	p.value(text, 0, 0)
	return p.out.Bytes()
}

// inline prints JSON on one line, with a space after each colon and comma.
func inline(text []byte) string {
	v := jsontext.Value(bytes.Clone(text))
	if err := v.Format(jsontext.SpaceAfterColon(true), jsontext.SpaceAfterComma(true), jsontext.PreserveRawStrings(true)); err != nil {
		return string(text)
	}
	// Braces with air read better; brackets do without.
	var b strings.Builder
	quoted, escaped := false, false
	for i := range len(v) {
		c := v[i]
		switch {
		case quoted:
			quoted = escaped || c != '"'
			escaped = !escaped && c == '\\'
		case c == '"':
			quoted = true
		case c == '}' && v[i-1] != '{':
			b.WriteByte(' ')
		}
		b.WriteByte(c)
		if !quoted && c == '{' && i+1 < len(v) && v[i+1] != '}' {
			b.WriteByte(' ')
		}
	}
	return b.String()
}

type prettyPrinter struct{ out bytes.Buffer }

// value prints v; used is what is already on the line, or comes behind it.
func (p *prettyPrinter) value(v []byte, indent, used int) {
	line := inline(v)
	kind := jsontext.Value(v).Kind()
	if kind != '{' && kind != '[' || indent > 0 && indent+used+len(line) <= prettyWidth {
		p.out.WriteString(line)
		return
	}
	members := split(v)
	if len(members) == 0 {
		p.out.WriteString(line)
		return
	}
	p.out.WriteByte(byte(kind))
	for i, m := range members {
		if i > 0 {
			p.out.WriteByte(',')
		}
		p.newline(indent + 2)
		name := ""
		if kind == '{' {
			name = string(m.name) + ": "
			p.out.WriteString(name)
		}
		p.value(m.value, indent+2, len(name)+1)
	}
	p.newline(indent)
	p.out.WriteByte(map[jsontext.Kind]byte{'{': '}', '[': ']'}[kind])
}

func (p *prettyPrinter) newline(indent int) {
	p.out.WriteByte('\n')
	p.out.WriteString(strings.Repeat(" ", indent))
}

// member is an element of an array, or a member of an object with its quoted name.
type member struct {
	name  []byte
	value []byte
}

func split(v []byte) []member {
	dec := jsontext.NewDecoder(bytes.NewReader(v))
	open, err := dec.ReadToken()
	if err != nil {
		return nil
	}
	var members []member
	for dec.PeekKind() != ']' && dec.PeekKind() != '}' {
		var m member
		if open.Kind() == '{' {
			name, err := dec.ReadValue()
			if err != nil {
				return nil
			}
			m.name = bytes.Clone(name)
		}
		value, err := dec.ReadValue()
		if err != nil {
			return nil
		}
		m.value = bytes.Clone(value)
		members = append(members, m)
	}
	return members
}
