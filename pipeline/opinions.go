package pipeline

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strings"

	"github.com/sheratan/sheratan/gates/audit"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/index"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// Opinion is one attempt to get a second opinion on a job.
type Opinion struct {
	At       string         `json:"at"`
	Seq      int64          `json:"seq"` // of the event that tells it
	Attempt  int            `json:"attempt"`
	Auditor  string         `json:"auditor"`  // who answered, "" where nobody did
	Decision audit.Decision `json:"decision"` // what it came to; PAUSE where nobody answered
	Patched  bool           `json:"patched"`  // the job is another one since
	Error    string         `json:"error"`    // why there is no answer
	NextAt   string         `json:"next_at"`  // when one is asked for again; "" is not by itself
	Report   *audit.Report  `json:"report"`   // the answer
}

// Opinions lists the second opinions on a job, and the attempts to get one, in order.
func (p *Pipeline) Opinions(ctx context.Context, id string) (list []Opinion, err error) {
	list = []Opinion{}
	var refs []ledger.Ref
	err = p.view(ctx, func(r *index.Reader) error {
		list, refs = []Opinion{}, nil
		return r.Events(index.EventFilter{Job: id}, func(ev ledger.Event) error {
			switch ev.Event {
			case job.AuditReported:
				var m ledger.Audited
				if err := ev.DecodeMeta(&m); err != nil {
					return err
				}
				list = append(list, Opinion{At: ev.Timestamp, Seq: ev.Seq, Attempt: m.Attempt, Auditor: auditorOf(ev.Actor),
					Decision: audit.Decision(m.Decision), Patched: m.Patched != ""})
				ref, _, err := ledger.RefOf(&ev)
				refs = append(refs, ref)
				return err
			case job.AuditFailed:
				var m ledger.AuditMissed
				if err := ev.DecodeMeta(&m); err != nil {
					return err
				}
				list = append(list, Opinion{At: ev.Timestamp, Seq: ev.Seq, Attempt: m.Attempt, Decision: audit.Pause, Error: m.Reason, NextAt: m.NextAt})
				refs = append(refs, ledger.Ref{})
			}
			return nil
		})
	})
	for i := range list {
		if err == nil && refs[i].SHA256 != "" {
			report := new(audit.Report)
			if err = p.readDocument(refs[i], report); p.missed(err) {
				err = nil
			} else {
				list[i].Report = report
			}
		}
	}
	return list, err
}

// auditorOf is the name of an auditor that the ledger names as the actor of an event.
func auditorOf(actor string) string {
	name, ok := strings.CutPrefix(actor, auditorActor(""))
	if !ok {
		return ""
	}
	return name
}

// auditDecision is the last opinion on a job as its document has it, nil where there is none.
func (p *Pipeline) auditDecision(row indexRow) (json.RawMessage, error) {
	if auditorOf(row.DecidedBy) == "" {
		return nil, nil
	}
	list, err := p.Opinions(context.Background(), row.ID)
	for i := len(list) - 1; i >= 0 && err == nil; i-- {
		if list[i].Auditor != "" {
			return json.Marshal(list[i])
		}
	}
	return nil, err
}

// opinionOf is the last opinion in the document of a job.
func opinionOf(j job.Job) (o Opinion, ok bool) {
	ok = len(j.AuditDecision) > 0 && json.Unmarshal(j.AuditDecision, &o) == nil && o.Report != nil
	return o, ok
}

// placeOpinions puts the opinions on a blocked job beside it, with the errors of all attempts that failed.
func (p *Pipeline) placeOpinions(row indexRow, dir string) error {
	if row.NextAction != job.RequireLLM2 && auditorOf(row.DecidedBy) == "" {
		return nil
	}
	list, err := p.Opinions(context.Background(), row.ID)
	if err != nil || len(list) == 0 {
		return err
	}
	text, err := json.MarshalIndent(list, "", "  ")
	if err != nil {
		return err
	}
	return p.zones.Put(filepath.Join(dir, "audit.json"), append(text, '\n'))
}
