package pipeline

import (
	"strings"

	"github.com/sheratan/sheratan/gates/secrets"
	"github.com/sheratan/sheratan/pipeline/rules"
)

// namedSecrets are the values that the operator's config and environment name as secret, for one set of rules.
type namedSecrets struct {
	of    *rules.Rules
	known *secrets.Known
}

// Secrets returns what takes named secrets out of texts, under the rules in force: the keys of models, and what host.env and the environment
// of this process have under the name of a secret. Without rules it knows those of the environment.
func (p *Pipeline) Secrets() *secrets.Known {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.named.known == nil || p.named.of != p.rules {
		p.named = namedSecrets{p.rules, p.namedBy(p.rules)}
	}
	return p.named.known
}

func (p *Pipeline) namedBy(r *rules.Rules) *secrets.Known {
	var values []string
	add := func(name, value string) {
		if secrets.IsVariable(name, value) {
			values = append(values, value)
		}
	}
	for _, pair := range p.opts.Environ {
		name, value, _ := strings.Cut(pair, "=")
		add(name, value)
	}
	if r != nil {
		values = append(values, r.Config.Relay.Keys(p.opts.Getenv)...)
		for name, value := range r.Config.Host.Env {
			add(name, value)
		}
	}
	return secrets.NewKnown(values)
}

// Redact takes credentials out of a text that leaves for a model or a proposer: those that patterns know, and those that the operator's config
// or environment names, however they are encoded.
func (p *Pipeline) Redact(s string) (string, int) { return p.Secrets().Redact(s) }

// RedactTree is Redact for a JSON value, as schemas.Parse returns it.
func (p *Pipeline) RedactTree(v any) (any, int) { return p.Secrets().RedactTree(v) }

// redacted is Redact where nobody counts.
func (p *Pipeline) redacted(s string) string {
	s, _ = p.Redact(s)
	return s
}
