// Package policy is what gate G4 asks: the operator's rules, written in CEL, and phrases that hint at an attempt to gain
// authority. A policy file is JSON:
//
//	{ "$schema": "sheratan.policy/v1", "id": "team", "description": "…", "disabled": false,
//	  "rules": [ { "id": "no-tags", "when": "argv.exists(a, a == 'tag')", "level": "soft", "waivable": false,
//	               "message": "makes a tag", "pointer": "/payload/params/argv",
//	               "match": [ … ], "no_match": [ … ] } ] }
//
// An example is a proposal, or an object with a proposal and the source and provenance that it is to have. Rules have no
// state, no clock and no access to anything but the variables that Variables lists; what they cost is bounded.
package policy

import (
	_ "embed"
	"encoding/json"
	"fmt"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/schemas"
)

// Schema is the value of $schema in a policy file.
const Schema = "sheratan.policy/v1"

// File is one policy file.
type File struct {
	Schema      string `json:"$schema"`
	ID          string `json:"id"`
	Description string `json:"description,omitempty"`
	Disabled    bool   `json:"disabled,omitempty"`
	Rules       []Rule `json:"rules"`
}

// Rule is one rule of a policy: where When is true of a proposal, it is a reason of that level.
type Rule struct {
	ID       string            `json:"id"`
	When     string            `json:"when"` // CEL, of type bool
	Level    job.Level         `json:"level"`
	Waivable bool              `json:"waivable,omitempty"` // by the second opinion; only for soft
	Message  string            `json:"message"`
	Pointer  string            `json:"pointer,omitempty"` // RFC 6901, into the proposal
	Match    []json.RawMessage `json:"match,omitempty"`
	NoMatch  []json.RawMessage `json:"no_match,omitempty"`
}

//go:embed default.json
var defaultFile []byte

// Default returns the policy file that init writes, as JSON text.
func Default() []byte { return append([]byte(nil), defaultFile...) }

// Parse reads a policy file. It checks the form; Compile checks what the rules say. name is what errors call the file.
func Parse(name string, text []byte) (File, error) {
	var f File
	if err := schemas.Unmarshal(text, &f); err != nil {
		if _, place := schemas.Parse(text, schemas.DefaultLimits); place != nil {
			err = place // says line and column
		}
		return f, fmt.Errorf("%s: %w", name, err)
	}
	switch {
	case f.Schema != Schema:
		return f, fmt.Errorf("%s: /$schema: %q is not %q", name, f.Schema, Schema)
	case !job.ValidID(f.ID):
		return f, fmt.Errorf("%s: /id: %q is not an identifier", name, f.ID)
	}
	seen := make(map[string]bool, len(f.Rules))
	for i, r := range f.Rules {
		if err := r.check(); err != nil {
			return f, fmt.Errorf("%s: /rules/%d%w", name, i, err)
		}
		if seen[r.ID] {
			return f, fmt.Errorf("%s: /rules/%d/id: %q is used twice", name, i, r.ID)
		}
		seen[r.ID] = true
	}
	return f, nil
}

func (r Rule) check() error {
	switch {
	case !job.ValidID(r.ID):
		return fmt.Errorf("/id: %q is not an identifier", r.ID)
	case r.When == "":
		return fmt.Errorf("/when: is missing: a CEL expression such as kind == \"exec\"")
	case r.Message == "":
		return fmt.Errorf("/message: is missing: one line that says what the rule found")
	case r.Level != job.Advisory && r.Level != job.Soft && r.Level != job.Hard:
		return fmt.Errorf("/level: %q is none of advisory, soft, hard", r.Level)
	case r.Waivable && r.Level != job.Soft:
		return fmt.Errorf("/waivable: only a soft rule can be waived, this one is %s", r.Level)
	case r.Pointer != "" && r.Pointer[0] != '/':
		return fmt.Errorf("/pointer: %q is not a JSON Pointer: it begins with /", r.Pointer)
	}
	return nil
}

func parseObject(text []byte) (map[string]any, error) {
	v, err := schemas.Parse(text, schemas.DefaultLimits)
	if err != nil {
		return nil, err
	}
	object, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("is no JSON object")
	}
	return object, nil
}
