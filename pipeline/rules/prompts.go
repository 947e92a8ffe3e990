package rules

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/sheratan/sheratan/gates/secrets"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/pipeline/kind"
)

// promptSuffix ends the names of the files in config/prompts.
const promptSuffix = ".txt"

// Prompt is a question that the operator has written for language models, which jobs of the kind llm name.
type Prompt struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// parsePrompts reads the files of config/prompts. Their text goes into the ledger, with all the rules.
func parsePrompts(list []sourceFile) (parsed []Prompt, problems []Problem) {
	for _, s := range list {
		p := Prompt{strings.TrimSuffix(filepath.Base(s.name), promptSuffix), string(bytes.TrimSpace(s.text))}
		wrong := ""
		switch {
		case !job.ValidID(p.Name):
			wrong = fmt.Sprintf("%q is no name for a prompt: it has letters, digits, \".\", \"_\" and \"-\", at most 64; rename the file", p.Name)
		case p.Text == "":
			wrong = "is empty; write the question, or remove the file"
		case len(p.Text) > kind.MaxPromptBytes:
			wrong = fmt.Sprintf("has %d bytes, at most %d are allowed; what the question is about belongs into the proposal", len(p.Text), kind.MaxPromptBytes)
		case !utf8.ValidString(p.Text):
			wrong = "is not UTF-8; save it as UTF-8"
		case len(secrets.Find([]byte(p.Text))) > 0:
			wrong = "holds what looks like a credential, and would go into the ledger with it; take it out"
		default:
			parsed = append(parsed, p)
			continue
		}
		problems = append(problems, Problem{File: s.name, Message: wrong})
	}
	return parsed, problems
}

// Prompt returns the text of a prompt that the operator has written.
func (r *Rules) Prompt(name string) (text string, ok bool) {
	i := slices.IndexFunc(r.prompts, func(p Prompt) bool { return p.Name == name })
	if i < 0 {
		return "", false
	}
	return r.prompts[i].Text, true
}

func promptNames(list []Prompt) []string {
	names := make([]string, len(list))
	for i, p := range list {
		names[i] = p.Name
	}
	return names
}
