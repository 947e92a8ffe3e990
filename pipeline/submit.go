package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/workspace"
	"github.com/sheratan/sheratan/schemas"
)

// Draft is a proposal that somebody hands in.
type Draft struct {
	Name      string // of the file it came from, for messages; "-" is standard input
	Line      int    // in that file, from 1; 0 where the file holds one proposal
	Data      []byte
	More      bool   // there is more than Data: it is longer than any proposal may be, and only its beginning was read
	Signature []byte // detached SSH signature over Data, nil for none
}

// Submitted is what submit says of one proposal.
type Submitted struct {
	JobID  string `json:"job_id"`
	Path   string `json:"path"`
	Source string `json:"source"`

	line          int    // in the file at Path, 0 where it is alone there
	payloadSHA256 string // of the canonical form
}

// Submit puts proposals into the inbox. All of them are parsed first, and nothing is put there where one of them cannot
// be. A proposal without an id gets one, unless it is signed: then its bytes are left as they are. When Submit returns
// they are on disk.
func (p *Pipeline) Submit(ctx context.Context, source string, drafts []Draft) ([]Submitted, error) {
	if !job.ValidID(source) {
		return nil, &InputError{File: "--source", Message: fmt.Sprintf("%q is not a valid name of a source", source),
			Way: "use up to 64 letters, digits, dots, dashes and underscores"}
	}
	files := make([]workspace.NewFile, 0, len(drafts))
	out := make([]Submitted, 0, len(drafts))
	var errs []error
	seen := map[string]string{}
	for _, d := range drafts {
		s, data, err := p.prepare(d)
		if err == nil && s.JobID != "" {
			if first, dup := seen[s.JobID]; dup {
				err = &InputError{File: d.Name, Line: d.Line, Pointer: "/id", Message: s.JobID + " is also the id of " + first,
					Way: "give each proposal an id of its own, or none"}
			}
			seen[s.JobID] = d.Name
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		s.Source = source
		out = append(out, s)
		files = append(files, workspace.NewFile{Name: fileName(s.JobID, p.now()), Data: data, Signature: d.Signature})
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	paths, err := p.ws.Put(source, files)
	if err != nil {
		return nil, err
	}
	for i := range out {
		out[i].Path = p.ws.Rel(paths[i])
	}
	number(out)
	// Somebody who is at work commits by himself; looking at git here would only slow that down.
	if rests, err := p.rests(abandoned); err == nil && rests {
		p.submitted = true
	}
	return out, ctx.Err()
}

// prepare parses a draft and gives it an id.
func (p *Pipeline) prepare(d Draft) (Submitted, []byte, error) {
	v, err := schemas.Parse(d.Data, schemas.DefaultLimits)
	if err != nil {
		var perr *schemas.ParseError
		if errors.As(err, &perr) {
			err = inputErrorAt(d, perr)
		}
		return Submitted{}, nil, err
	}
	obj, ok := v.(map[string]any)
	if !ok {
		return Submitted{}, nil, &InputError{File: d.Name, Line: d.Line, Message: "a proposal is a JSON object", Way: "sheratan schema proposal"}
	}
	var s Submitted
	if obj["payload"] != nil {
		if b, err := schemas.Marshal(obj["payload"]); err == nil {
			s.payloadSHA256 = schemas.Digest(b)
		}
	}
	if id, has := obj["id"]; has || d.Signature != nil {
		if text, _ := id.(string); job.ValidID(text) { // of another one the gate says what is wrong
			s.JobID = text
		}
		return s, bytes.TrimSpace(d.Data), nil
	}
	id, err := p.random()
	if err != nil {
		return Submitted{}, nil, err
	}
	obj["id"] = id
	s.JobID = id
	data, err := schemas.Marshal(obj)
	return s, data, err
}

// fileName names the inbox file of a proposal; another one is found where it is taken.
func fileName(id string, now time.Time) string {
	if id == "" {
		return now.Format("20060102T150405.000000") + ".json"
	}
	return id + ".json"
}

// random draws a UUID.
func (p *Pipeline) random() (string, error) {
	id, err := uuid.NewRandomFromReader(p.opts.Rand)
	if err != nil {
		return "", fmt.Errorf("random source: %w", err)
	}
	return id.String(), nil
}

func inputErrorAt(d Draft, e *schemas.ParseError) error {
	err := inputError(d.Name, e)
	if d.Line > 0 {
		err.Line, err.Column = d.Line, e.Column
	}
	return err
}

func inputError(file string, e *schemas.ParseError) *InputError {
	return &InputError{File: file, Line: e.Line, Column: e.Column, Pointer: e.Pointer, Message: e.Message,
		Way: "sheratan gate --dry-run " + file}
}
