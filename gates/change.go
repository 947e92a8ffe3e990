package gates

import (
	"errors"
	"io"
	"slices"

	"github.com/sheratan/sheratan/hosts/roots"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/pipeline/kind"
	"github.com/sheratan/sheratan/schemas"
)

// maxTried is the largest file, in bytes, that a change is tried against. It bounds how long a gate can take.
const maxTried = 4 << 20

// checked are the built-in kinds whose params have to be more than their schemas can say.
var checked = []string{kind.NameLLM, kind.NameFileEdit, kind.NameFilePatch}

// parse returns the params of a job of such a kind, once for all gates, nil for those of others.
func (e *evaluation) parse() (any, error) {
	if e.parsed == nil {
		e.parsed = new(parsed)
		if raw, err := schemas.Marshal(e.params); err == nil && slices.Contains(checked, e.kindName) {
			e.parsed.params, e.parsed.err = kind.ParseParams(e.kindName, raw)
		}
	}
	return e.parsed.params, e.parsed.err
}

// parsed are params as the executor gets them, or why they cannot be used.
type parsed struct {
	params any
	err    error
}

// changer are params that make another file of one.
type changer interface {
	Change(before []byte, exists bool) (after []byte, err error)
}

// change tries a change against the file as it is, so that nobody is asked about one that cannot be made, or would be made
// in part. Jobs that this one waits for may write the file: then it is only noted.
func (e *evaluation) change(v *verdict) {
	if e.kind == nil || e.params == nil || !e.affordable() {
		return
	}
	params, err := e.parse()
	c, ok := params.(changer)
	if !ok || err != nil {
		return // G1 refuses it
	}
	path, _ := e.params["path"].(string)
	const at = "/payload/params/"
	before, exists, err := e.rules.present(path)
	if err != nil {
		if e.rules.roots.Check(path) != nil {
			return // the reason is there already
		}
		v.add("NOT_TRIED", at+"path", "the change could not be tried: %v", err)
		return
	}
	_, err = c.Change(before, exists)
	if err == nil {
		return
	}
	for _, d := range e.in.Facts.Depends {
		if !d.Exists || d.Status != job.StatusCompleted {
			v.add("NOT_TRIED", at+"path", "%v; a job that this one waits for may change the file before", err)
			return
		}
	}
	member := "diff"
	if e.kindName == kind.NameFileEdit {
		member = "old"
	}
	v.add("DOES_NOT_APPLY", at+member, "%v", err)
}

var errTooLarge = errors.New("the file is too large for it")

// present reads a file of the roots as it is now. It waits for nobody: only regular files are opened.
func (r *Rules) present(path string) (text []byte, exists bool, err error) {
	f, err := r.roots.OpenFile(path)
	if fault, ok := errors.AsType[*roots.PathError](err); ok && fault.Code == roots.NotFound {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	text, err = io.ReadAll(io.LimitReader(f, maxTried+1))
	if err == nil && len(text) > maxTried {
		err = errTooLarge
	}
	return text, true, err
}
