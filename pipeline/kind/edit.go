package kind

import (
	"bytes"
	"fmt"
)

// FileEdit are the params of file_edit.
type FileEdit struct {
	Path string `json:"path"`
	Old  string `json:"old"` // a text that the file has exactly once
	New  string `json:"new"` // what stands there afterwards
}

func parseFileEdit(raw []byte) (any, error) {
	written := struct {
		Path string  `json:"path"`
		Old  string  `json:"old"`
		New  *string `json:"new"` // an empty text takes the old one out, a forgotten one does not
	}{}
	if err := decode(NameFileEdit, raw, &written); err != nil {
		return nil, err
	}
	c := checker{kind: NameFileEdit}
	p := FileEdit{Path: written.Path, Old: written.Old}
	c.path("/path", p.Path)
	switch {
	case p.Old == "":
		c.fail("/old", "is missing or empty; a new file is for file_write")
	case written.New == nil:
		c.fail("/new", "is missing; an empty text takes the old one out")
	case *written.New == p.Old:
		c.fail("/new", "is the same as old, so that nothing would change")
	default:
		p.New = *written.New
	}
	c.size("/old", p.Old, MaxContentBytes)
	c.size("/new", p.New, MaxContentBytes)
	return p, c.err()
}

// Change returns the file with the new text in the place of the old one. The error is a *ChangeError.
func (p FileEdit) Change(before []byte, exists bool) ([]byte, error) {
	if !exists {
		return nil, errMissing
	}
	old := []byte(p.Old)
	at := bytes.Index(before, old)
	if at < 0 {
		return nil, &ChangeError{Message: "the file does not have the text of old; every character counts, spaces and tabs too"}
	}
	if again := bytes.Index(before[at+1:], old); again >= 0 {
		return nil, &ChangeError{Message: fmt.Sprintf("the file has the text of old more than once, at line %d and at line %d; give more of what stands around it",
			lineAt(before, at), lineAt(before, at+1+again))}
	}
	after := make([]byte, 0, len(before)-len(old)+len(p.New))
	after = append(append(append(after, before[:at]...), p.New...), before[at+len(old):]...)
	return after, nil
}

// lineAt is the number of the line that has the byte at a place.
func lineAt(text []byte, at int) int { return 1 + bytes.Count(text[:at], []byte("\n")) }
