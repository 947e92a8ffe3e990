package kind

import (
	"github.com/go-json-experiment/json/jsontext"

	"github.com/sheratan/sheratan/schemas"
)

// LLM are the params of llm.
type LLM struct {
	Model      string         `json:"model"`
	Prompt     string         `json:"prompt,omitempty"`      // beside a PromptName it is data
	PromptName string         `json:"prompt_name,omitempty"` // of a question that the operator has written
	System     string         `json:"system,omitempty"`
	Schema     jsontext.Value `json:"schema,omitempty"` // of the answer
}

func parseLLM(raw []byte) (any, error) {
	var p LLM
	if err := decode(NameLLM, raw, &p); err != nil {
		return nil, err
	}
	c := checker{kind: NameLLM}
	switch {
	case p.Model == "":
		c.fail("/model", "is missing")
	case p.Prompt == "" && p.PromptName == "":
		c.fail("/prompt", "is missing or empty")
	case p.System != "" && p.PromptName != "":
		c.fail("/system", "goes with a question of the proposal's own, and prompt_name names one of the operator's")
	}
	c.size("/prompt", p.Prompt, MaxPromptBytes)
	c.size("/system", p.System, MaxSystemBytes)
	if string(p.Schema) == "null" {
		p.Schema = nil
	}
	if p.Schema != nil {
		if _, err := schemas.CompileForeign("answer", p.Schema); err != nil {
			c.fail("/schema", "%v", err)
		}
	}
	return p, c.err()
}
