package pipeline

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/sheratan/sheratan/hosts/relay"
	"github.com/sheratan/sheratan/pipeline/rules"
)

// ModelLine is what relay check says of a model.
type ModelLine struct {
	Model      string `json:"model"`
	Backend    string `json:"backend"`
	Status     string `json:"status"` // ok, bad, or "" where it was not asked
	Message    string `json:"message"`
	DurationMS int64  `json:"duration_ms"`
	TokensIn   int    `json:"tokens_in"`
	TokensOut  int    `json:"tokens_out"`
	Failures   int    `json:"failures"`             // that the breaker counts
	OpenUntil  string `json:"open_until,omitempty"` // it is left alone until then
	CallsHour  int    `json:"calls_hour"`
	CallsDay   int    `json:"calls_day"`
	TokensDay  int    `json:"tokens_day"`
}

// models opens the relay of the rules. Close it.
func (p *Pipeline) models(r *rules.Rules) *relay.Relay {
	c := r.Config.Relay
	absolute := func(path string) string {
		if path == "" || filepath.IsAbs(path) {
			return path
		}
		return filepath.Join(p.ws.Root(), path)
	}
	models := map[string]relay.Model{}
	for name, m := range c.Models {
		m.File = absolute(m.File)
		models[name] = m
	}
	return relay.New(relay.Config{Models: models}, relay.Options{
		State: p.ws.RelayState(), Record: absolute(c.Record), Now: p.opts.Now, Getenv: p.opts.Getenv,
		Redact: p.redacted, Mask: func(s string) string { out, _ := p.Secrets().Mask(s); return out },
	})
}

// Models tells how the models stand; with ask each is asked for a word first. names are those to look at, none is all.
func (p *Pipeline) Models(ctx context.Context, names []string, ask bool, emit func(ModelLine) error) error {
	r, err := p.Rules(ctx)
	if err != nil {
		return err
	}
	m := p.models(r)
	defer m.Close()
	if len(names) == 0 {
		names = m.Names()
	}
	for _, name := range names {
		l := ModelLine{Model: name, Backend: string(r.Config.Relay.Models[name].Backend)}
		if ask {
			p.askModel(ctx, m, &l)
		}
		if l.Backend != "" {
			s, err := m.Standing(name)
			if err != nil {
				return err
			}
			l.Failures, l.OpenUntil = s.Failures, stampOf(s.OpenUntil)
			l.CallsHour, l.CallsDay, l.TokensDay = s.CallsHour, s.CallsDay, s.TokensDay
		}
		if err := emit(l); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return nil
}

// askModel asks for one word, and says what came back.
func (p *Pipeline) askModel(ctx context.Context, m *relay.Relay, l *ModelLine) {
	start := p.opts.Now()
	answer, err := m.AskOne(ctx, l.Model, relay.Request{Prompt: "Answer with the single word: ready"})
	l.DurationMS = max(p.opts.Now().Sub(start).Milliseconds(), 0)
	l.TokensIn, l.TokensOut = answer.TokensIn, answer.TokensOut
	switch {
	case err != nil:
		l.Status, l.Message = "bad", strings.TrimPrefix(err.Error(), "model "+l.Model+": ")
	case answer.Finish != relay.FinishStop:
		l.Status, l.Message = "bad", "the answer did not come to its end: "+string(answer.Finish)
	default:
		l.Status, l.Message = "ok", shorten(strings.TrimSpace(answer.Text))
	}
}
