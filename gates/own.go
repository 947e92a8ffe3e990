package gates

import (
	"slices"

	"github.com/sheratan/sheratan/pipeline/kind"
)

// filled is the command line of a job of an operator's own kind, or why there is none.
type filled struct {
	cmd kind.Command
	err error
}

// own reports whether the job is of a kind of the operator's own.
func (e *evaluation) own() bool { return e.kind != nil && e.kind.Own() }

// fill makes the command line of a job of an operator's own kind, once for all gates. Of other kinds there is none.
func (e *evaluation) fill() (kind.Command, error) {
	if !e.own() {
		return kind.Command{}, nil
	}
	if e.filled == nil {
		e.filled = new(filled)
		e.filled.cmd, e.filled.err = e.kind.Fill(e.params)
	}
	return e.filled.cmd, e.filled.err
}

// shownArgv bounds how many bytes of arguments the evidence repeats.
const shownArgv = 4 << 10

// ownCommand notes what a job of an operator's own kind would run, and looks at what the proposal put into it. The rest is
// the operator's word.
func (e *evaluation) ownCommand(v *verdict) {
	cmd, err := e.fill()
	if err != nil {
		return // G1 refuses it
	}
	v.note("program", e.kind.program.Real)
	v.note("program_sha256", e.kind.program.SHA256)
	size := 0
	for _, a := range cmd.Argv {
		size += len(a)
	}
	if size <= shownArgv {
		v.note("argv", cmd.Argv)
	}
	for i, from := range cmd.From {
		isPath := slices.ContainsFunc(cmd.Places, func(p kind.Place) bool { return p.Pointer == from })
		if from != "" && !isPath {
			e.closedArgument(v, cmd.Cwd, cmd.Argv[i], from)
		}
	}
}

// Kinds returns all kinds that there are, ordered by name.
func (r *Rules) Kinds() []kind.Kind {
	list := make([]kind.Kind, 0, len(r.kindNames))
	for _, name := range r.kindNames {
		list = append(list, r.kinds[name].Kind)
	}
	return list
}

// Kind returns the kind of that name.
func (r *Rules) Kind(name string) (kind.Kind, bool) {
	k, ok := r.kinds[name]
	if !ok {
		return kind.Kind{}, false
	}
	return k.Kind, true
}

// KindProgram returns the program that jobs of an operator's own kind run. The executor executes it.
func (r *Rules) KindProgram(name string) (Program, bool) {
	k, ok := r.kinds[name]
	if !ok || !k.Own() {
		return Program{}, false
	}
	return k.program, true
}
