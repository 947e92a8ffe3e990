package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sheratan/sheratan/gates/audit"
	"github.com/sheratan/sheratan/hosts/relay"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/pipeline/rules"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// auditsAtOnce is how many models are asked at the same time.
const auditsAtOnce = 4

// auditSlack is how long the answer to a question may take beside what the models may.
const auditSlack = 30 * time.Second

// auditors asks for second opinions. One goroutine calls its methods, the only one to write; those that wait for a model do
// nothing else.
type auditors struct {
	p       *Pipeline
	rules   *rules.Rules
	relay   *relay.Relay
	models  []string // in turn
	ctx     context.Context
	cancel  context.CancelFunc
	answers chan *opinion
	out     int    // questions without an answer
	wake    func() // called when one has come; nil is nobody
}

// opinion is a question with what came back.
type opinion struct {
	id, nonce string
	request   string // digest of the question
	attempt   int
	question  relay.Request

	report audit.Report
	model  string
	err    error
}

// newAuditors gets ready to ask. Questions end with ctx.
func (p *Pipeline) newAuditors(ctx context.Context, r *rules.Rules) *auditors {
	a := &auditors{p: p, rules: r, answers: make(chan *opinion, auditsAtOnce)}
	a.ctx, a.cancel = context.WithCancel(ctx)
	for _, name := range r.Config.Audit.Auditors {
		if name != rules.AuditorRules {
			a.models = append(a.models, name)
		}
	}
	if len(a.models) > 0 {
		a.relay = p.models(r)
	}
	return a
}

// close gives up what is still being asked. What was to be recorded of it is the caller's, by wait.
func (a *auditors) close() {
	a.cancel()
	for ; a.out > 0; a.out-- {
		<-a.answers
	}
	if a.relay != nil {
		a.relay.Close()
	}
}

func (a *auditors) full() bool { return a.out >= auditsAtOnce }

// wait takes the next answer and does what it says.
func (a *auditors) wait(emit func(AuditLine) error) error {
	o := <-a.answers
	a.out--
	return a.settle(o, emit)
}

// ask asks for an opinion on a job, or decides at once where no model is needed. named says that somebody wants one on this
// very job, whether it is time or not.
func (a *auditors) ask(ctx context.Context, id string, named, replay bool, emit func(AuditLine) error) error {
	var line *AuditLine
	var out *opinion
	err := a.p.transact(ctx, func(b *batch) (err error) {
		line, out = nil, nil
		if err := b.configured(a.rules); err != nil {
			return err
		}
		line, out, err = a.begin(b, id, named, replay)
		return errors.Join(err, b.failed)
	})
	if err != nil {
		return err
	}
	if out != nil {
		a.out++
		go a.answer(out)
	}
	if line == nil {
		return nil
	}
	a.p.placeAll([]string{id})
	a.p.projected()
	return emit(*line)
}

// answer asks the models until one answers.
func (a *auditors) answer(o *opinion) {
	answer, err := a.relay.Ask(a.ctx, a.models, o.question)
	if err == nil {
		o.model = answer.Model
		o.report, err = audit.Parse(answer, o.nonce)
		if err != nil {
			err = fmt.Errorf("model %s: %w", answer.Model, err)
		}
	}
	o.err = err
	a.answers <- o
	if a.wake != nil {
		a.wake()
	}
}

// begin finds out, inside the lock, whether anybody has to be asked about a job. It returns what can be said at once, or the
// question.
func (a *auditors) begin(b *batch, id string, named, replay bool) (*AuditLine, *opinion, error) {
	row, ok, err := b.tx.Job(id)
	if err != nil {
		return nil, nil, err
	}
	if !ok {
		return nil, nil, &UnknownJobError{id}
	}
	if row.Status != job.StatusQuarantined || row.NextAction != job.RequireLLM2 {
		if named {
			a.p.note("%s: is %s, and needs no second opinion", id, row.Status)
		}
		return nil, nil, nil
	}
	if len(a.rules.Config.Audit.Auditors) == 0 {
		return &AuditLine{JobID: id, Status: string(row.Status), Decision: audit.ManualReview, NextAction: string(job.RequireOperatorAck),
			Zone: row.Zone}, nil, nil
	}
	state, _, err := b.tx.Audit(id)
	if err != nil {
		return nil, nil, err
	}
	switch {
	case !state.AskedUntil.IsZero() && b.now.Before(state.AskedUntil):
		if named {
			a.p.note("%s: somebody is being asked already, until %s at most", id, stampOf(state.AskedUntil))
		}
		return nil, nil, nil
	case !state.AskedUntil.IsZero():
		// Whoever asked has died, or was stopped.
		line, err := a.missed(b, row, state.Attempts+1, "no answer was recorded: the process that asked is gone", true)
		if err != nil {
			return nil, nil, err
		}
		state.Attempts, state.AskedUntil = state.Attempts+1, time.Time{}
		if line.NextAt == "" && !replay || !named && !replay && !b.due(line.NextAt) {
			return line, nil, nil
		}
	case state.Due.IsZero() && !replay:
		if named {
			a.p.note("%s: all attempts have failed; sheratan audit --replay %s begins anew", id, id)
		}
		return nil, nil, nil
	case !state.Due.IsZero() && b.now.Before(state.Due) && !named && !replay:
		return nil, nil, nil
	}
	if replay {
		state.Attempts = 0
	}
	return a.question(b, row, state.Attempts+1, replay)
}

// due reports whether a time has come.
func (b *batch) due(stamp string) bool {
	at, err := job.ParseTime(stamp)
	return err == nil && !b.now.Before(at)
}

// settle does what an answer says, if the question still stands.
func (a *auditors) settle(o *opinion, emit func(AuditLine) error) error {
	var line *AuditLine
	err := a.p.transact(context.WithoutCancel(a.ctx), func(b *batch) (err error) {
		line = nil
		if err := b.configured(a.rules); err != nil {
			return err
		}
		row, ok, err := b.tx.Job(o.id)
		if err != nil || !ok {
			return err
		}
		state, _, err := b.tx.Audit(o.id)
		if err != nil {
			return err
		}
		if state.Request != o.request || state.AskedUntil.IsZero() || row.Status != job.StatusQuarantined {
			a.p.note("%s: was decided in another way before the answer came", o.id)
			return nil
		}
		if o.err != nil {
			// Giving up the question is no fault of those who were asked.
			stopped := a.ctx.Err() != nil
			if stopped {
				o.attempt--
			}
			reason, _ := redactText(o.err.Error())
			line, err = a.missed(b, row, o.attempt, reason, !stopped)
			return err
		}
		line, _, err = a.decide(b, row, o.report, o.model, o.attempt)
		return errors.Join(err, b.failed)
	})
	if err != nil || line == nil {
		return err
	}
	a.p.placeAll([]string{o.id})
	a.p.projected()
	return emit(*line)
}

// missed records that there is no opinion, and when one is asked for again.
func (a *auditors) missed(b *batch, row indexRow, attempt int, reason string, later bool) (*AuditLine, error) {
	waits := a.rules.Config.Audit.Waits
	m := ledger.AuditMissed{Document: row.Intake.SHA256, Attempt: attempt, Reason: shorten(clean(reason))}
	switch {
	case !later:
		m.NextAt = job.FormatTime(b.now)
	case attempt < len(waits):
		m.NextAt = job.FormatTime(b.now.Add(time.Duration(waits[attempt]) * time.Second))
	}
	b.jobEvent("audit", job.AuditFailed, row.ID, row.TraceID, row.Zone, m, nil)
	line := a.line(row)
	line.Decision, line.Attempt, line.Error, line.NextAt = audit.Pause, attempt, m.Reason, m.NextAt
	return &line, b.failed
}

// line says how a job stands.
func (a *auditors) line(row indexRow) AuditLine {
	return AuditLine{JobID: row.ID, Status: string(row.Status), NextAction: string(row.NextAction), Zone: row.Zone}
}

// decisionOf is the decision that the state of a job comes to.
func decisionOf(row indexRow) audit.Decision {
	switch {
	case row.Status != job.StatusQuarantined:
		return audit.Allow
	case row.NextAction == job.Quarantine:
		return audit.Pause
	}
	return audit.ManualReview
}
