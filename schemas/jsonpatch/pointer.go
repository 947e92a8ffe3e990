package jsonpatch

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sheratan/sheratan/schemas"
)

// Pointer is a JSON Pointer (RFC 6901): its reference tokens, unescaped. The empty one is the whole document.
type Pointer []string

// ParsePointer reads a pointer. It begins with a slash or is empty, and a tilde in it is ~0 or ~1.
func ParsePointer(text string) (Pointer, error) {
	if text == "" {
		return Pointer{}, nil
	}
	if text[0] != '/' {
		return nil, fmt.Errorf("%q does not begin with a slash", text)
	}
	tokens := strings.Split(text[1:], "/")
	for i, token := range tokens {
		for at, c := range token {
			if c == '~' && !strings.HasPrefix(token[at:], "~0") && !strings.HasPrefix(token[at:], "~1") {
				return nil, fmt.Errorf("%q has a tilde that is neither ~0 nor ~1", text)
			}
		}
		tokens[i] = schemas.UnescapeToken(token)
	}
	return tokens, nil
}

// String is the pointer as RFC 6901 writes it.
func (p Pointer) String() string {
	var b strings.Builder
	for _, token := range p {
		b.WriteByte('/')
		b.WriteString(schemas.EscapeToken(token))
	}
	return b.String()
}

// contains reports whether other lies inside of p.
func (p Pointer) contains(other Pointer) bool {
	return len(other) > len(p) && slices.Equal(p, other[:len(p)])
}

// Lookup returns the value there.
func (p Pointer) Lookup(doc any) (any, error) {
	for i, token := range p {
		next, err := child(doc, token)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p[:i+1], err)
		}
		doc = next
	}
	return doc, nil
}

var (
	errNothing = errors.New("there is nothing")
	errScalar  = errors.New("its parent is neither an object nor an array")
	errRoot    = errors.New("the document as a whole cannot be removed")
)

func child(v any, token string) (any, error) {
	switch v := v.(type) {
	case map[string]any:
		if next, ok := v[token]; ok {
			return next, nil
		}
		return nil, errNothing
	case []any:
		i, err := elementIndex(token, len(v)-1)
		if err != nil {
			return nil, err
		}
		return v[i], nil
	}
	return nil, errScalar
}

// elementIndex reads a token as the index of an array: digits without leading zeros, at most last.
func elementIndex(token string, last int) (int, error) {
	i, err := strconv.ParseUint(token, 10, 31)
	if err != nil || strconv.FormatUint(i, 10) != token {
		return 0, fmt.Errorf("%q is not the index of an array", token)
	}
	if int(i) > last {
		return 0, fmt.Errorf("the array ends before %s", token)
	}
	return int(i), nil
}

func (a *applier) add(p Pointer, value any) error {
	return a.change(p, func(parent any, token string) (any, error) {
		switch parent := parent.(type) {
		case map[string]any:
			parent[token] = value
			return parent, nil
		case []any:
			i := len(parent)
			if token != "-" {
				var err error
				if i, err = elementIndex(token, len(parent)); err != nil {
					return nil, err
				}
			}
			return slices.Insert(parent, i, value), nil
		}
		return nil, errScalar
	}, func() error {
		a.root = value
		return nil
	})
}

func (a *applier) replace(p Pointer, value any) error {
	return a.change(p, func(parent any, token string) (any, error) {
		if _, err := child(parent, token); err != nil {
			return nil, err
		}
		switch parent := parent.(type) {
		case map[string]any:
			parent[token] = value
		case []any:
			i, _ := strconv.Atoi(token)
			parent[i] = value
		}
		return parent, nil
	}, func() error {
		a.root = value
		return nil
	})
}

func (a *applier) remove(p Pointer) (removed any, err error) {
	err = a.change(p, func(parent any, token string) (any, error) {
		if removed, err = child(parent, token); err != nil {
			return nil, err
		}
		switch parent := parent.(type) {
		case map[string]any:
			delete(parent, token)
			return parent, nil
		case []any:
			i, _ := strconv.Atoi(token)
			return slices.Delete(parent, i, i+1), nil
		}
		return nil, errScalar
	}, func() error { return errRoot })
	return removed, err
}

// change replaces the parent of what p points to by what edit makes of it. atRoot is for the document as a whole.
func (a *applier) change(p Pointer, edit func(parent any, token string) (any, error), atRoot func() error) error {
	if len(p) == 0 {
		return atRoot()
	}
	parents := p[:len(p)-1]
	parent, err := parents.Lookup(a.root)
	if err != nil {
		return err
	}
	edited, err := edit(parent, p[len(p)-1])
	if err != nil {
		return err
	}
	if _, ok := edited.([]any); !ok {
		return nil // an object is changed where it is
	}
	if len(parents) == 0 {
		a.root = edited
		return nil
	}
	return a.replace(parents, edited)
}
