package rules

import (
	"encoding/json"

	"github.com/sheratan/sheratan/gates"
	"github.com/sheratan/sheratan/gates/policy"
	"github.com/sheratan/sheratan/pipeline/kind"
	"github.com/sheratan/sheratan/schemas"
)

// SchemaRules is the value of $schema in the effective document.
const SchemaRules = "sheratan.rules/v1"

// Effective is everything that a verdict depends on. CONFIG_LOADED keeps it, so that a report can be understood when the
// files have long been changed.
type Effective struct {
	Schema   string          `json:"$schema"`
	Config   Config          `json:"config"`
	Policies []policy.File   `json:"policies"`
	Kinds    []EffectiveKind `json:"kinds"`
	Prompts  []Prompt        `json:"prompts,omitempty"`
	Roots    []string        `json:"roots"` // with symbolic links resolved
	Programs []gates.Program `json:"programs"`
}

// EffectiveKind is one kind of job.
type EffectiveKind struct {
	Name         string          `json:"name"`
	Schema       json.RawMessage `json:"schema"` // of the params
	Paths        []string        `json:"paths"`
	Capabilities []string        `json:"capabilities"`
	Effect       kind.Effect     `json:"effect"`
	RerunSafe    bool            `json:"rerun_safe"`
	Definition   json.RawMessage `json:"definition,omitempty"` // the file of one of the operator's own
}

// effective makes the canonical effective document.
func (r *Rules) effective(policies []namedPolicy) ([]byte, error) {
	e := Effective{
		Schema:   SchemaRules,
		Config:   r.Config,
		Policies: files(policies),
		Prompts:  r.prompts,
		Roots:    r.Roots.Paths(),
		Programs: r.Gates.Programs(),
	}
	for _, k := range r.Gates.Kinds() {
		e.Kinds = append(e.Kinds, EffectiveKind{
			Name:         k.Name,
			Schema:       k.Schema,
			Paths:        k.Paths,
			Capabilities: k.Capabilities,
			Effect:       k.Effect,
			RerunSafe:    k.RerunSafe,
			Definition:   k.Definition,
		})
	}
	return schemas.Marshal(e)
}
