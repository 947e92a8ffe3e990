// Package jsonpatch applies JSON Patch (RFC 6902) to values as schemas.Parse returns them, strictly: all six operations,
// nothing half done, and no patch that makes a document much larger than itself.
package jsonpatch

import (
	"fmt"
	"reflect"

	"github.com/sheratan/sheratan/schemas"
)

// Bounds of a patch. A copy operation doubles what it copies, and thirty of them would fill any memory.
const (
	maxOperations = 256
	maxNodes      = 1 << 18 // values in the document, counted as they are added
)

// Operation is one step of a patch.
type Operation struct {
	Op    string // add, remove, replace, move, copy, test
	Path  Pointer
	From  Pointer // of move and copy
	Value any     // of add, replace and test
}

// Patch is a sequence of operations, of which all are applied or none.
type Patch []Operation

// Error says which operation of a patch is wrong, or cannot be applied.
type Error struct {
	Index   int // of the operation, from 0; -1 is the patch as a whole
	Message string
}

func (e *Error) Error() string {
	if e.Index < 0 {
		return "patch: " + e.Message
	}
	return fmt.Sprintf("patch: /%d: %s", e.Index, e.Message)
}

// Parse reads a patch. An error is a *schemas.ParseError or an *Error.
func Parse(b []byte, lim schemas.Limits) (Patch, error) {
	v, err := schemas.Parse(b, lim)
	if err != nil {
		return nil, err
	}
	return FromValue(v)
}

// FromValue makes a patch of a value as schemas.Parse returns it. Members that RFC 6902 does not define are ignored, as it
// demands. An error is an *Error.
func FromValue(v any) (Patch, error) {
	list, ok := v.([]any)
	if !ok {
		return nil, &Error{-1, "is not an array"}
	}
	if len(list) > maxOperations {
		return nil, &Error{-1, fmt.Sprintf("has %d operations, at most %d are allowed", len(list), maxOperations)}
	}
	patch := make(Patch, 0, len(list))
	for i, item := range list {
		op, err := operation(item)
		if err != nil {
			return nil, &Error{i, err.Error()}
		}
		patch = append(patch, op)
	}
	return patch, nil
}

// operands are the members that each operation needs beside op and path.
var operands = map[string][]string{
	"add": {"value"}, "remove": nil, "replace": {"value"}, "move": {"from"}, "copy": {"from"}, "test": {"value"},
}

func operation(v any) (op Operation, err error) {
	members, ok := v.(map[string]any)
	if !ok {
		return op, fmt.Errorf("is not an object")
	}
	if op.Op, ok = members["op"].(string); !ok {
		return op, fmt.Errorf("op: is missing, or not a string")
	}
	needed, ok := operands[op.Op]
	if !ok {
		return op, fmt.Errorf("op: %q is not an operation", op.Op)
	}
	if op.Path, err = pointerMember(members, "path"); err != nil {
		return op, err
	}
	for _, name := range needed {
		switch name {
		case "from":
			op.From, err = pointerMember(members, "from")
		default:
			if op.Value, ok = members[name]; !ok {
				err = fmt.Errorf("%s: is missing", name)
			}
		}
		if err != nil {
			return op, err
		}
	}
	return op, nil
}

func pointerMember(members map[string]any, name string) (Pointer, error) {
	text, ok := members[name].(string)
	if !ok {
		return nil, fmt.Errorf("%s: is missing, or not a string", name)
	}
	p, err := ParsePointer(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}

// Apply returns what the patch makes of a document, which it leaves as it is. An error is an *Error, and then nothing was
// applied.
func (p Patch) Apply(doc any) (any, error) {
	a := applier{room: maxNodes}
	root, err := a.clone(doc)
	if err != nil {
		return nil, &Error{-1, err.Error()}
	}
	a.root = root
	for i, op := range p {
		if err := a.apply(op); err != nil {
			return nil, &Error{i, op.Op + " " + op.Path.String() + ": " + err.Error()}
		}
	}
	return a.root, nil
}

// applier is a document that is being patched.
type applier struct {
	root any
	room int // values that may still be added
}

func (a *applier) apply(op Operation) error {
	switch op.Op {
	case "add", "replace":
		value, err := a.clone(op.Value)
		if err != nil {
			return err
		}
		if op.Op == "replace" {
			return a.replace(op.Path, value)
		}
		return a.add(op.Path, value)
	case "remove":
		_, err := a.remove(op.Path)
		return err
	case "move":
		return a.move(op.From, op.Path)
	case "copy":
		value, err := op.From.Lookup(a.root)
		if err != nil {
			return err
		}
		if value, err = a.clone(value); err != nil {
			return err
		}
		return a.add(op.Path, value)
	case "test":
		value, err := op.Path.Lookup(a.root)
		if err != nil {
			return err
		}
		if !reflect.DeepEqual(value, op.Value) { // numbers have one form each
			return fmt.Errorf("the value there is another one")
		}
		return nil
	}
	return fmt.Errorf("is not an operation")
}

func (a *applier) move(from, to Pointer) error {
	if from.contains(to) {
		return fmt.Errorf("%s lies inside of it", from)
	}
	value, err := a.remove(from)
	if err != nil {
		return err
	}
	return a.add(to, value)
}

// clone copies a value, so that no two places of a document share one.
func (a *applier) clone(v any) (any, error) {
	if a.room--; a.room < 0 {
		return nil, fmt.Errorf("the document would have more than %d values", maxNodes)
	}
	switch v := v.(type) {
	case map[string]any:
		c := make(map[string]any, len(v))
		for name, member := range v {
			m, err := a.clone(member)
			if err != nil {
				return nil, err
			}
			c[name] = m
		}
		return c, nil
	case []any:
		c := make([]any, len(v))
		for i, item := range v {
			m, err := a.clone(item)
			if err != nil {
				return nil, err
			}
			c[i] = m
		}
		return c, nil
	}
	return v, nil
}
