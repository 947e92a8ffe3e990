package rules

import (
	"fmt"

	"github.com/sheratan/sheratan/pipeline/kind"
	"github.com/sheratan/sheratan/runtime/workspace"
)

// namedKind is a kind of the operator's own with the file that it is in.
type namedKind struct {
	name string
	kind kind.Kind
}

// ParseKind reads the file of a kind, which messages call name.
func ParseKind(name string, text []byte) (kind.Kind, []Problem) {
	k, faults := kind.ParseFile(text)
	var problems []Problem
	for _, f := range faults {
		problems = append(problems, Problem{File: name, Pointer: f.Pointer, Message: f.Message})
	}
	return k, problems
}

// KindFile is a file of config/kinds: a kind, or what is wrong with it.
type KindFile struct {
	Name     string // relative to the workspace
	Kind     kind.Kind
	Problems []Problem
}

// ReadKinds reads the kinds of the operator's own, each by itself and whatever else is wrong with the rules.
func ReadKinds(ws *workspace.Workspace) ([]KindFile, error) {
	list, err := readFolder(ws, ws.Kinds(), jsonSuffix)
	files := make([]KindFile, 0, len(list))
	for _, s := range list {
		f := KindFile{Name: s.name}
		f.Kind, f.Problems = ParseKind(s.name, s.text)
		files = append(files, f)
	}
	return files, err
}

func parseKinds(list []sourceFile) (parsed []namedKind, problems []Problem) {
	from := map[string]string{}
	for _, s := range list {
		k, wrong := ParseKind(s.name, s.text)
		if problems = append(problems, wrong...); len(wrong) > 0 {
			continue
		}
		if other, twice := from[k.Name]; twice {
			problems = append(problems, Problem{File: s.name, Pointer: "/name",
				Message: fmt.Sprintf("%q is the name of the kind in %s already; take another one", k.Name, other)})
			continue
		}
		from[k.Name] = s.name
		parsed = append(parsed, namedKind{s.name, k})
	}
	return parsed, problems
}

// checkNetwork finds kinds that ask for what the config gives to nobody.
func checkNetwork(cfg Config, kinds []namedKind) (problems []Problem) {
	for _, k := range kinds {
		if k.kind.Network && !cfg.Sandbox.Network {
			problems = append(problems, Problem{File: k.name, Pointer: "/network",
				Message: "asks for the network, which sandbox.network does not allow: set that to true, or take this out"})
		}
	}
	return problems
}

// allKinds are the built-in kinds and those of the operator's own.
func allKinds(own []namedKind) []kind.Kind {
	all := kind.Builtin()
	for _, k := range own {
		all = append(all, k.kind)
	}
	return all
}

// KindFiles maps the kinds of the operator's own to their files, relative to the workspace.
func (r *Rules) KindFiles() map[string]string {
	files := make(map[string]string, len(r.ownKinds))
	for _, k := range r.ownKinds {
		files[k.kind.Name] = k.name
	}
	return files
}
