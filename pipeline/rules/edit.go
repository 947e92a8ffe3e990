package rules

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sheratan/sheratan/gates"
	"github.com/sheratan/sheratan/runtime/durable"
	"github.com/sheratan/sheratan/runtime/workspace"
	"github.com/sheratan/sheratan/schemas"
)

// AddExecRules appends exec rules, as JSON, to gates.exec of the config, and leaves every other byte of the file as it is.
func AddExecRules(ctx context.Context, ws *workspace.Workspace, rules ...[]byte) error {
	return Edit(ctx, ws, func(text []byte) ([]byte, error) {
		for _, rule := range rules {
			if _, err := schemas.Parse(rule, schemas.Limits{}); err != nil {
				return nil, fmt.Errorf("the rule: %w", err)
			}
			var err error
			if text, err = insert(text, []string{"gates", "exec"}, inline(rule)); err != nil {
				return nil, fmt.Errorf("%s: %w", ws.Config(), err)
			}
		}
		return text, nil
	})
}

// Edit replaces the text of the config by what change makes of it. The new text is loaded with everything that belongs to the
// rules before it replaces the old one: nothing runs while the rules do not load, so a bad edit would stop the workspace. What is
// wrong with it is an *InvalidError, and the file is as it was.
func Edit(ctx context.Context, ws *workspace.Workspace, change func(text []byte) ([]byte, error)) error {
	path := ws.Config()
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	old, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	text, err := change(old)
	if err != nil {
		return err
	}
	r, err := Load(ctx, ws, Options{Unlocked: true, text: text})
	if err != nil {
		return fmt.Errorf("with this change the rules do not load, and nothing was written: %w", err)
	}
	if err := r.Close(); err != nil {
		return err
	}
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, old) {
		return errors.Join(fmt.Errorf("%s: has changed meanwhile; try again", path), err)
	}
	if err := durable.WriteFile(path, text, info.Mode().Perm()); err != nil {
		return err
	}
	// Root edits for the operator, who has to be able to read it afterwards.
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
		return os.Lchown(path, int(st.Uid), int(st.Gid))
	}
	return nil
}

// insert appends an element to the array that is at the path of object members, and makes what is missing of that path.
func insert(text []byte, path []string, element string) ([]byte, error) {
	if _, err := schemas.Parse(text, schemas.Limits{Bytes: maxConfig}); err != nil {
		return nil, err
	}
	at, depth, err := descend(text, path)
	if err != nil {
		return nil, err
	}
	// What is missing is wrapped around the element.
	if missing := path[depth:]; len(missing) > 0 {
		element = "[\n" + element + "\n]"
		for i := len(missing) - 1; i > 0; i-- {
			element = "{\n\"" + missing[i] + "\": " + element + "\n}"
		}
		element = "\"" + missing[0] + "\": " + element
	}
	return appendTo(text, at, element), nil
}

// span is where an object or array lies in a text: its brackets.
type span struct {
	open, close int
	last        int // end of the last element; open+1 where there is none
}

// descend follows the path into the text as far as it exists. depth is how many of its names were found.
func descend(text []byte, path []string) (at span, depth int, err error) {
	base := 0
	for {
		value := text[base:]
		want := jsontext.Kind('{')
		if depth == len(path) {
			want = '['
		}
		at, found, err := scan(value, base, path[depth:])
		if err != nil {
			return at, depth, err
		}
		if kind := jsontext.Kind(text[at.open]); kind != want {
			return at, depth, fmt.Errorf("/%s: is not what it should be, %q instead of %q", strings.Join(path[:depth], "/"), kind, want)
		}
		if found < 0 {
			return at, depth, nil
		}
		base = found
		depth++
	}
}

// scan measures the object or array at the beginning of value, which lies at base in the whole text. found is where the
// value of the member path[0] begins, -1 where there is none.
func scan(value []byte, base int, path []string) (at span, found int, err error) {
	dec := jsontext.NewDecoder(bytes.NewReader(value))
	found = -1
	open, err := dec.ReadToken()
	if err != nil {
		return at, found, err
	}
	at.open = base + int(dec.InputOffset()) - 1
	at.last = at.open + 1
	for dec.PeekKind() != '}' && dec.PeekKind() != ']' {
		name := ""
		if open.Kind() == '{' {
			tok, err := dec.ReadToken()
			if err != nil {
				return at, found, err
			}
			name = tok.String()
		}
		v, err := dec.ReadValue()
		if err != nil {
			return at, found, err
		}
		at.last = base + int(dec.InputOffset())
		if open.Kind() == '{' && len(path) > 0 && name == path[0] {
			found = at.last - len(v)
		}
	}
	if _, err := dec.ReadToken(); err != nil {
		return at, found, err
	}
	at.close = base + int(dec.InputOffset()) - 1
	return at, found, nil
}

// appendTo puts an element at the end of the object or array, with the indentation that its neighbours have.
func appendTo(text []byte, at span, element string) []byte {
	outer := indentation(text, at.open)
	inner := outer + "  "
	empty := at.last == at.open+1
	if !empty {
		if first := firstOnLine(text, at); first != "" {
			inner = first
		}
	}
	step := strings.TrimPrefix(inner, outer)
	element = reindent(element, inner, step)
	var b bytes.Buffer
	b.Write(text[:at.last])
	if !empty {
		b.WriteByte(',')
	}
	b.WriteString("\n" + inner + element)
	if rest := text[at.last:at.close]; bytes.ContainsRune(rest, '\n') {
		b.Write(rest)
	} else {
		b.WriteString("\n" + outer)
	}
	b.Write(text[at.close:])
	return b.Bytes()
}

// indentation is the white space at the beginning of the line on which the offset lies.
func indentation(text []byte, offset int) string {
	line := text[bytes.LastIndexByte(text[:offset], '\n')+1:]
	return string(line[:len(line)-len(bytes.TrimLeft(line, " \t"))])
}

// firstOnLine is the indentation of the first element, where that begins a line.
func firstOnLine(text []byte, at span) string {
	body := text[at.open+1 : at.close]
	start := len(body) - len(bytes.TrimLeft(body, " \t\r\n"))
	if !bytes.ContainsRune(body[:start], '\n') {
		return ""
	}
	return indentation(text, at.open+1+start)
}

// reindent indents the lines of an element that insert has wrapped.
func reindent(element, indent, step string) string {
	depth := 0
	lines := strings.Split(element, "\n")
	for i, line := range lines {
		if line == "}" || line == "]" {
			depth--
		}
		if i > 0 {
			lines[i] = indent + strings.Repeat(step, depth) + line
		}
		if strings.HasSuffix(line, "{") || strings.HasSuffix(line, "[") {
			depth++
		}
	}
	return strings.Join(lines, "\n")
}

// AddSource gives a source an entry of its own in the config, with the limits of a new one, where it has none.
func AddSource(ctx context.Context, ws *workspace.Workspace, name string) error {
	text, err := readConfigFile(ws.Config())
	if err != nil {
		return err
	}
	cfg, problems := parseConfig(configName, text)
	if len(problems) > 0 {
		return &InvalidError{Problems: problems}
	}
	if _, ok := cfg.Sources[name]; ok {
		return nil
	}
	entry, err := plainJSON(gates.DefaultSource())
	if err != nil {
		return err
	}
	return Edit(ctx, ws, func(text []byte) ([]byte, error) {
		return insertMember(text, "sources", name, inline(entry))
	})
}

// insertMember adds a member to an object at the top of the text. Where there is no such object, the defaults hold, and they are
// written out with it: an object that is there replaces them.
func insertMember(text []byte, object, name, value string) ([]byte, error) {
	at, found, err := scan(text, 0, []string{object})
	if err != nil {
		return nil, err
	}
	member := fmt.Sprintf("%q: %s", name, value)
	if found < 0 {
		defaults, err := plainJSON(DefaultConfig().Sources)
		if err != nil {
			return nil, err
		}
		all := strings.TrimSuffix(string(defaults), "}") + ", " + member + "}"
		return appendTo(text, at, fmt.Sprintf("%q: %s", object, all)), nil
	}
	inner, _, err := scan(text[found:], found, nil)
	if err != nil {
		return nil, err
	}
	return appendTo(text, inner, member), nil
}
