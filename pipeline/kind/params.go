package kind

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
)

// Limits of the parameters, in bytes where not said otherwise. The payload limit of the config comes on top.
const (
	MaxArgs          = 256         // arguments, the program included
	MaxArgBytes      = 128<<10 - 1 // one argument; the kernel allows no more (MAX_ARG_STRLEN)
	MaxArgsBytes     = 256 << 10   // arguments and environment together
	MaxEnv           = 64          // variables
	MaxEnvName       = 256         // of a name
	MaxStdinBytes    = 256 << 10
	MaxPathBytes     = 4096
	DefaultReadBytes = 1 << 20
	MaxReadBytes     = 16 << 20
	MaxEntries       = 10000 // of a folder; what is more is not listed
	MaxContentBytes  = 1 << 20
	MaxDiffBytes     = 1 << 20
	MaxPromptBytes   = 256 << 10
	MaxSystemBytes   = 64 << 10
)

// Mode says what file_write does with the file.
type Mode string

// The modes. A file that is there already makes create fail; overwrite and append make one where there is none.
const (
	ModeCreate    Mode = "create"
	ModeOverwrite Mode = "overwrite"
	ModeAppend    Mode = "append"
)

// Noop are the params of noop.
type Noop struct{}

// Exec are the params of exec.
type Exec struct {
	Argv  []string          `json:"argv"`
	Cwd   string            `json:"cwd,omitempty"` // "" is the first root
	Env   map[string]string `json:"env,omitempty"`
	Stdin string            `json:"stdin,omitempty"`
}

// FileRead are the params of file_read.
type FileRead struct {
	Path     string `json:"path"`
	MaxBytes int    `json:"max_bytes,omitempty"` // the rest of a longer file is left out
}

// FileList are the params of file_list.
type FileList struct {
	Path      string `json:"path"`
	Recursive bool   `json:"recursive,omitempty"`
}

// FileWrite are the params of file_write.
type FileWrite struct {
	Path    string `json:"path"`
	Content string `json:"content"`
	Mode    Mode   `json:"mode,omitempty"`
}

// FilePatch are the params of file_patch.
type FilePatch struct {
	Path string `json:"path"`
	Diff string `json:"diff"` // unified, of this one file
}

// ParamError says which parameter cannot be used and why.
type ParamError struct {
	Kind    string
	Pointer string // RFC 6901, into the params
	Message string
}

// Error returns the message with its place in front.
func (e *ParamError) Error() string {
	return fmt.Sprintf("%s: params%s: %s", e.Kind, e.Pointer, e.Message)
}

// ParseParams reads the params of a built-in kind, fills in the defaults and returns Noop, Exec, FileRead, FileList,
// FileWrite, FileEdit, FilePatch or LLM. It is strict by itself, so that nothing runs that was not looked at, and counts bytes where the
// schema of the kind can only count characters; what it accepts and that schema refuses is null for a member that may be
// left out. The error is a *ParamError.
func ParseParams(name string, raw []byte) (any, error) {
	for _, k := range table {
		if k.Name != name {
			continue
		}
		params, err := k.parse(raw)
		if err != nil {
			return nil, err
		}
		return params, nil
	}
	return nil, &ParamError{Kind: name, Message: "unknown kind"}
}

func parseNoop(raw []byte) (any, error) {
	var p Noop
	return p, decode(NameNoop, raw, &p)
}

func parseExec(raw []byte) (any, error) {
	var p Exec
	if err := decode(NameExec, raw, &p); err != nil {
		return nil, err
	}
	c := checker{kind: NameExec}
	switch {
	case len(p.Argv) == 0:
		c.fail("/argv", "is missing or empty; the program is expected first")
	case len(p.Argv) > MaxArgs:
		c.fail("/argv", "has %d arguments, at most %d are allowed", len(p.Argv), MaxArgs)
	case p.Argv[0] == "":
		c.fail("/argv/0", "is empty, the program is expected")
	case len(p.Env) > MaxEnv:
		c.fail("/env", "has %d variables, at most %d are allowed", len(p.Env), MaxEnv)
	}
	total := 0
	for i, a := range p.Argv {
		c.text("/argv/"+strconv.Itoa(i), a, MaxArgBytes)
		total += len(a) + 1
	}
	for _, name := range slices.Sorted(maps.Keys(p.Env)) {
		if !validEnvName(name) {
			c.fail("/env", "%q is not the name of a variable: up to %d letters, digits and _, not beginning with a digit", name, MaxEnvName)
		}
		c.text("/env/"+name, p.Env[name], MaxArgBytes)
		total += len(name) + len(p.Env[name]) + 2
	}
	if total > MaxArgsBytes {
		c.fail("/argv", "arguments and environment have %d bytes, at most %d are allowed", total, MaxArgsBytes)
	}
	if p.Cwd != "" {
		c.path("/cwd", p.Cwd)
	}
	c.size("/stdin", p.Stdin, MaxStdinBytes)
	return p, c.err()
}

func parseFileRead(raw []byte) (any, error) {
	p := FileRead{MaxBytes: DefaultReadBytes}
	if err := decode(NameFileRead, raw, &p); err != nil {
		return nil, err
	}
	c := checker{kind: NameFileRead}
	c.path("/path", p.Path)
	if p.MaxBytes < 1 || p.MaxBytes > MaxReadBytes {
		c.fail("/max_bytes", "is %d, 1 to %d are allowed", p.MaxBytes, MaxReadBytes)
	}
	return p, c.err()
}

func parseFileList(raw []byte) (any, error) {
	var p FileList
	if err := decode(NameFileList, raw, &p); err != nil {
		return nil, err
	}
	c := checker{kind: NameFileList}
	c.path("/path", p.Path)
	return p, c.err()
}

func parseFileWrite(raw []byte) (any, error) {
	written := struct {
		Path    string  `json:"path"`
		Content *string `json:"content"` // an empty file is something to ask for, a forgotten content is not
		Mode    Mode    `json:"mode"`
	}{Mode: ModeCreate}
	if err := decode(NameFileWrite, raw, &written); err != nil {
		return nil, err
	}
	c := checker{kind: NameFileWrite}
	p := FileWrite{Path: written.Path, Mode: written.Mode}
	if written.Content == nil {
		c.fail("/content", "is missing")
	} else {
		p.Content = *written.Content
	}
	c.path("/path", p.Path)
	c.size("/content", p.Content, MaxContentBytes)
	if p.Mode != ModeCreate && p.Mode != ModeOverwrite && p.Mode != ModeAppend {
		c.fail("/mode", "%q is none of create, overwrite, append", p.Mode)
	}
	return p, c.err()
}

func parseFilePatch(raw []byte) (any, error) {
	var p FilePatch
	if err := decode(NameFilePatch, raw, &p); err != nil {
		return nil, err
	}
	c := checker{kind: NameFilePatch}
	c.path("/path", p.Path)
	if p.Diff == "" {
		c.fail("/diff", "is missing or empty")
	}
	c.size("/diff", p.Diff, MaxDiffBytes)
	if c.first == nil {
		if _, err := ParseDiff(p.Path, p.Diff); err != nil {
			c.fail("/diff", "%v", err)
		}
	}
	return p, c.err()
}

// decode is strict: unknown members, duplicates, other types and trailing data are errors.
func decode(kind string, raw []byte, p any) error {
	if raw = bytes.TrimLeft(raw, " \t\r\n"); len(raw) == 0 || raw[0] != '{' {
		return &ParamError{Kind: kind, Message: "an object is expected"}
	}
	err := json.Unmarshal(raw, p, json.RejectUnknownMembers(true))
	var wrong *json.SemanticError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, json.ErrUnknownName):
		errors.As(err, &wrong)
		return &ParamError{kind, string(wrong.JSONPointer), "is not a parameter of this kind"}
	case errors.As(err, &wrong):
		return &ParamError{kind, string(wrong.JSONPointer), "has the wrong type"}
	default:
		return &ParamError{Kind: kind, Message: "not valid JSON: " + err.Error()}
	}
}

// checker keeps the first thing that is wrong.
type checker struct {
	kind  string
	first *ParamError
}

func (c *checker) fail(pointer, format string, args ...any) {
	if c.first == nil {
		c.first = &ParamError{Kind: c.kind, Pointer: pointer, Message: fmt.Sprintf(format, args...)}
	}
}

func (c *checker) err() error {
	if c.first == nil {
		return nil // not a nil *ParamError in an error
	}
	return c.first
}

func (c *checker) size(pointer, s string, most int) {
	if len(s) > most {
		c.fail(pointer, "has %d bytes, at most %d are allowed", len(s), most)
	}
}

// text is what the kernel takes as a string.
func (c *checker) text(pointer, s string, most int) {
	c.size(pointer, s, most)
	if strings.IndexByte(s, 0) >= 0 {
		c.fail(pointer, "contains NUL")
	}
}

func (c *checker) path(pointer, s string) {
	if s == "" {
		c.fail(pointer, "is missing or empty, a path is expected")
	}
	c.text(pointer, s, MaxPathBytes)
}

func validEnvName(s string) bool {
	for i, r := range s {
		letter := r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != "" && len(s) <= MaxEnvName
}
