package rules

import (
	"fmt"

	"github.com/sheratan/sheratan/pipeline/kind"
)

// namedKind is a kind of the operator's own with the file that it is in.
type namedKind struct {
	name string
	kind kind.Kind
}

func parseKinds(list []sourceFile) (parsed []namedKind, problems []Problem) {
	from := map[string]string{}
	for _, s := range list {
		k, faults := kind.ParseFile(s.text)
		for _, f := range faults {
			problems = append(problems, Problem{File: s.name, Pointer: f.Pointer, Message: f.Message})
		}
		if len(faults) > 0 {
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
