package rules

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/sheratan/sheratan/gates"
	"github.com/sheratan/sheratan/gates/secrets"
	"github.com/sheratan/sheratan/hosts/relay"
	"github.com/sheratan/sheratan/schemas"
)

// SchemaConfig is the value of $schema in config/sheratan.json.
const SchemaConfig = "sheratan.config/v1"

// Config is config/sheratan.json with all its defaults.
type Config struct {
	Schema string `json:"$schema"`
	gates.Config
	Host      Host      `json:"host"`
	Sandbox   Sandbox   `json:"sandbox"`
	Retention Retention `json:"retention"`
	Operators Operators `json:"operators"`

	Relay relay.Config `json:"relay"`
	Audit Audit        `json:"audit"`
}

// AuditorRules is the auditor that needs no model: it applies what the gates suggest.
const AuditorRules = "rules"

// Audit is the object "audit": who gives a second opinion on what the gates leave open.
type Audit struct {
	Auditors []string `json:"auditors"`      // in turn: rules, or models of the relay; none leaves everything to an operator
	Waits    []int    `json:"waits_seconds"` // before each attempt; after the last one it is for a person
}

// Retention is the object "retention": how long what jobs wrote is kept.
type Retention struct {
	Days  int   `json:"days"`  // after the end of the attempt; 0 is for ever
	Bytes int64 `json:"bytes"` // in all, the oldest go first; 0 is without limit

	Replies int `json:"replies"` // how many days replies stay after the end of the job; 0 is for ever
}

// Host is the object "host": this machine.
type Host struct {
	MaxConcurrent int               `json:"max_concurrent"` // jobs at a time
	User          string            `json:"user,omitempty"` // that jobs run as, where root runs us; "" is who runs us
	Env           map[string]string `json:"env"`            // given to every job
}

// Operators is the object "operators".
type Operators struct {
	Scripts bool `json:"scripts"` // approve and reject without a terminal
}

// DefaultConfig is what holds where the file says nothing.
func DefaultConfig() Config {
	return Config{
		Schema:    SchemaConfig,
		Config:    gates.DefaultConfig(),
		Host:      Host{MaxConcurrent: 5, Env: map[string]string{}},
		Sandbox:   defaultSandbox(),
		Retention: Retention{Days: 30, Bytes: 1 << 30, Replies: 7},
		Relay:     relay.Config{Models: map[string]relay.Model{}},
		Audit:     Audit{Auditors: []string{}, Waits: []int{0, 60, 240}},
	}
}

// workspaceMark at the beginning of a variable of host.env is the folder of the workspace.
const workspaceMark = "{workspace}"

// at returns the config with every path of the sandbox absolute. In the file they are relative where they lie in the workspace, so
// that a clone of it uses its own.
func (c Config) at(workspace string) Config {
	whole := func(paths []string) []string {
		list := make([]string, len(paths))
		for i, path := range paths {
			if list[i] = path; !filepath.IsAbs(path) {
				list[i] = filepath.Join(workspace, path)
			}
		}
		return list
	}
	c.Sandbox.Caches, c.Sandbox.Read = whole(c.Sandbox.Caches), whole(c.Sandbox.Read)
	env := make(map[string]string, len(c.Host.Env))
	for name, value := range c.Host.Env {
		if rest, ok := strings.CutPrefix(value, workspaceMark); ok && (rest == "" || rest[0] == '/') {
			value = workspace + rest
		}
		env[name] = value
	}
	c.Host.Env = env
	return c
}

// maxConfig bounds the config in bytes.
const maxConfig = 8 << 20

// parseConfig reads the config strictly, from a file that messages call name: what the schema does not know is a problem, and not ignored.
func parseConfig(name string, text []byte) (Config, []Problem) {
	cfg := DefaultConfig()
	v, err := schemas.Parse(text, schemas.Limits{Bytes: maxConfig})
	if err != nil {
		p := Problem{File: name, Message: err.Error()}
		var pe *schemas.ParseError
		if errors.As(err, &pe) {
			p.Pointer = pe.Pointer
		}
		return cfg, []Problem{p}
	}
	var problems []Problem
	for _, violation := range schemas.Validate("config", v) {
		problems = append(problems, Problem{File: name, Pointer: violation.Pointer, Message: violation.Message})
	}
	if len(problems) > 0 {
		return cfg, problems
	}
	if err := schemas.Unmarshal(text, &cfg); err != nil {
		return cfg, []Problem{{File: name, Message: err.Error()}}
	}
	cfg.Schema = SchemaConfig
	return cfg, append(checkRelay(name, cfg.Relay), checkAudit(name, cfg)...)
}

// checkAudit finds auditors and models that there are not.
func checkAudit(name string, cfg Config) (problems []Problem) {
	if _, taken := cfg.Relay.Models[AuditorRules]; taken {
		problems = append(problems, Problem{File: name, Pointer: "/relay/models/" + AuditorRules,
			Message: "is the name of the auditor that needs no model; give the model another one"})
	}
	for i, model := range cfg.Gates.Models {
		if _, ok := cfg.Relay.Models[model]; !ok {
			problems = append(problems, Problem{File: name, Pointer: fmt.Sprintf("/gates/models/%d", i), Message: fmt.Sprintf("there is no model %q in relay.models", model)})
		}
	}
	for i, auditor := range cfg.Audit.Auditors {
		if _, ok := cfg.Relay.Models[auditor]; !ok && auditor != AuditorRules {
			problems = append(problems, Problem{File: name, Pointer: fmt.Sprintf("/audit/auditors/%d", i),
				Message: fmt.Sprintf("there is no model %q in relay.models; the only other auditor is %q", auditor, AuditorRules)})
		}
	}
	return problems
}

// checkRelay finds what is wrong with the models, and keys among their settings: the config goes into the ledger.
func checkRelay(name string, c relay.Config) (problems []Problem) {
	for _, err := range flatten(c.Check()) {
		if err != nil {
			problems = append(problems, splitProblem(name, err.Error()))
		}
	}
	for model, m := range c.Models {
		text, err := schemas.Marshal(m)
		if _, n := secrets.Redact(string(text)); err == nil && n > 0 {
			problems = append(problems, Problem{File: name, Pointer: "/relay/models/" + schemas.EscapeToken(model),
				Message: "holds what looks like a credential: name a variable in key_env, or a file in key_file"})
		}
	}
	return problems
}

// Problem is one thing that is wrong with the rules.
type Problem struct {
	File    string `json:"file"`    // relative to the workspace
	Pointer string `json:"pointer"` // RFC 6901, into the file; "" is all of it
	Message string `json:"message"`
}

// String prints the problem on one line.
func (p Problem) String() string {
	if p.Pointer == "" {
		return p.File + ": " + p.Message
	}
	return p.File + ": " + p.Pointer + ": " + p.Message
}

// InvalidError says that the rules cannot be used, and so that nothing runs.
type InvalidError struct{ Problems []Problem }

func (e *InvalidError) Error() string {
	if len(e.Problems) == 1 {
		return e.Problems[0].String()
	}
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return fmt.Sprintf("%d problems:\n%s", len(lines), strings.Join(lines, "\n"))
}

// splitProblem takes the pointer off the front of a message.
func splitProblem(file, message string) Problem {
	p := Problem{File: file, Message: message}
	if pointer, rest, ok := strings.Cut(message, ": "); ok && strings.HasPrefix(pointer, "/") && !strings.ContainsAny(pointer, " \n") {
		p.Pointer, p.Message = pointer, rest
	}
	return p
}

// problemsOf takes apart what gates.Compile found: about the config, called name, with a pointer in front, about a policy
// with its id, about a kind with its name.
func problemsOf(name string, err error, policies []namedPolicy, kinds []namedKind) []Problem {
	var problems []Problem
	for _, e := range flatten(err) {
		text, file := e.Error(), name
		for _, p := range policies {
			if rest, ok := strings.CutPrefix(text, p.file.ID+": "); ok {
				text, file = rest, p.name
				break
			}
		}
		for _, k := range kinds {
			if rest, ok := strings.CutPrefix(text, "kind "+k.kind.Name+": "); ok {
				text, file = rest, k.name
				break
			}
		}
		if file == name && !strings.HasPrefix(text, "/") {
			file = "config"
		}
		problems = append(problems, splitProblem(file, text))
	}
	return problems
}

func flatten(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, flatten(e)...)
	}
	return all
}
