// Package kind says what kinds of job there are: the parameters each takes, which of them are paths, what it does to the
// machine, and whether it may run again when nobody knows whether it ran. One table holds the built-in kinds; those of the
// operator's own are made of the files of config/kinds, which are described in docs/KINDS.md: ParseFile reads one, and Fill
// makes the command line of a job. The package executes nothing and opens nothing; gates and executor ask it.
package kind

import (
	"embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/sheratan/sheratan/pipeline/job"
)

// Effect is what a kind does to the machine, from the mildest to the strongest.
type Effect string

// The effects.
const (
	EffectNone    Effect = "none"    // nothing
	EffectRead    Effect = "read"    // reveals files of the roots
	EffectWrite   Effect = "write"   // changes files of the roots
	EffectProcess Effect = "process" // starts a program, which does what the sandbox lets it do
)

// The names of the built-in kinds.
const (
	NameNoop      = "noop"
	NameExec      = "exec"
	NameFileRead  = "file_read"
	NameFileList  = "file_list"
	NameFileWrite = "file_write"
	NameFileEdit  = "file_edit"
	NameFilePatch = "file_patch"
	NameLLM       = "llm"
)

// Kind describes one kind of job. Its slices are shared and must not be changed.
type Kind struct {
	Name         string
	Summary      string   // one line, lower case, for listings
	Schema       []byte   // JSON Schema of the params, draft 2020-12
	Paths        []string // RFC 6901 pointers into the params: the members that are paths
	Capabilities []string // what a host must offer; a proposal may require more
	Effect       Effect
	RerunSafe    bool // for all params; RerunSafeFor knows more
	MaxRetries   *int // of a job that does not say it itself, see Retries

	// Of the operator's own kinds; zero is what the config says.
	Timeout     int             // seconds, where the proposal does not say
	MaxTimeout  int             // seconds
	OutputBytes int64           // kept of each stream
	DataBytes   int64           // of memory that each process may write to
	Network     bool            // its program may use the network, where sandbox.network lets it
	Definition  json.RawMessage // the file, canonical

	template *template // nil for a built-in kind

	parse func(raw []byte) (any, error)
	rerun func(params any) bool // nil is RerunSafe
}

// Writes reports whether a job of this kind changes something on the machine, or may.
func (k Kind) Writes() bool { return k.Effect == EffectWrite || k.Effect == EffectProcess }

// RerunSafeFor reports whether a job with these params, as ParseParams returns them, may run again when it is unknown
// whether it ran: the machine must end up as if it had run once, and the second run must succeed where the first did. So
// reading is safe, and so is overwriting a file, which ends with the same bytes however often it is done. Creating is
// not (the second attempt would report a failure although the first did the work), nor is appending, editing or patching. For
// exec the answer is no; an exec rule may know better.
func (k Kind) RerunSafeFor(params any) bool {
	if k.rerun != nil {
		return k.rerun(params)
	}
	return k.RerunSafe
}

// RetriesFor says how often a failed job with these params is started again that does not say it itself.
func (k Kind) RetriesFor(params any) int {
	n, err := Retries(k.RerunSafeFor(params), k.MaxRetries)
	if err != nil {
		return 0
	}
	return n
}

// Retries says how often a failed job is started again that does not say it itself: never where it is not known that a second
// run does no harm, and else as often as its rule or kind says, or three times.
func Retries(safe bool, own *int) (int, error) {
	switch {
	case own == nil && safe:
		return job.DefaultMaxRetries, nil
	case own == nil:
		return 0, nil
	case *own < 0:
		return 0, fmt.Errorf("%d is below 0; 0 is never", *own)
	case *own > 0 && !safe:
		return 0, fmt.Errorf("a job is started again only where that does no harm; say \"rerun\": \"safe\" as well, or leave max_retries to the proposals")
	}
	return *own, nil
}

//go:embed *.schema.json
var files embed.FS

// table is the list of built-in kinds, from the mildest to the strongest.
var table = []Kind{
	{
		Name: NameNoop, Summary: "does nothing and succeeds",
		Effect: EffectNone, RerunSafe: true,
		parse: parseNoop,
	},
	{
		Name: NameFileRead, Summary: "reads a file",
		Paths: []string{"/path"}, Effect: EffectRead, RerunSafe: true,
		parse: parseFileRead,
	},
	{
		Name: NameFileList, Summary: "lists a folder",
		Paths: []string{"/path"}, Effect: EffectRead, RerunSafe: true,
		parse: parseFileList,
	},
	{
		Name: NameLLM, Summary: "asks a language model",
		Effect: EffectRead, RerunSafe: true, // what it asks goes to somebody else, and asking again costs, but changes nothing
		parse: parseLLM,
	},
	{
		Name: NameFileWrite, Summary: "creates, overwrites or appends to a file",
		Paths: []string{"/path"}, Effect: EffectWrite,
		parse: parseFileWrite,
		rerun: func(params any) bool {
			p, ok := params.(FileWrite)
			return ok && p.Mode == ModeOverwrite
		},
	},
	{
		Name: NameFileEdit, Summary: "replaces a text that a file has exactly once",
		Paths: []string{"/path"}, Effect: EffectWrite,
		parse: parseFileEdit,
	},
	{
		Name: NameFilePatch, Summary: "applies a unified diff to a file",
		Paths: []string{"/path"}, Effect: EffectWrite,
		parse: parseFilePatch,
	},
	{
		Name: NameExec, Summary: "runs a program with arguments, without a shell",
		Paths: []string{"/cwd"}, Effect: EffectProcess,
		parse: parseExec,
	},
}

// Builtin returns the built-in kinds, ordered by name.
func Builtin() []Kind {
	kinds := make([]Kind, 0, len(table))
	for _, k := range table {
		kinds = append(kinds, k.complete())
	}
	slices.SortFunc(kinds, func(a, b Kind) int { return strings.Compare(a.Name, b.Name) })
	return kinds
}

// Lookup returns the built-in kind of that name.
func Lookup(name string) (Kind, bool) {
	for _, k := range table {
		if k.Name == name {
			return k.complete(), true
		}
	}
	return Kind{}, false
}

// complete adds what follows from the name. A kind needs the capability that is called like it, so that a host can
// refuse a kind by not offering it.
func (k Kind) complete() Kind {
	k.Schema, _ = Source("kind." + k.Name)
	k.Capabilities = []string{k.Name}
	if k.Paths == nil {
		k.Paths = []string{} // printed as [] and not as null
	}
	return k
}

// Names returns the names of the params schemas, "kind.exec" and so on, in order.
func Names() []string {
	names := make([]string, 0, len(table))
	for _, k := range table {
		names = append(names, "kind."+k.Name)
	}
	slices.Sort(names)
	return names
}

// Source returns the params schema of that name, one of Names.
func Source(name string) ([]byte, bool) {
	name, ok := strings.CutPrefix(name, "kind.")
	if !ok {
		return nil, false
	}
	b, err := files.ReadFile(name + ".schema.json")
	return b, err == nil
}
