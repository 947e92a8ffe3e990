package pipeline

import (
	"slices"
	"time"

	"github.com/sheratan/sheratan/gates/audit"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/pipeline/rules"
	"github.com/sheratan/sheratan/runtime/ledger"
	"github.com/sheratan/sheratan/schemas"
)

// question gates a job again, and makes the question about what the gates say now.
func (a *auditors) question(b *batch, row indexRow, attempt int, replay bool) (*AuditLine, *opinion, error) {
	v, err := b.judge(a.rules, row)
	if err != nil {
		return nil, nil, err
	}
	if v.broken != nil {
		a.p.missed(v.broken)
		return nil, nil, nil // as it was: nobody can be shown what it is
	}
	if v.report.NextAction != job.RequireLLM2 || v.report.Approved() {
		// The rules have changed meanwhile, and the gates know by themselves.
		if err := b.storeVerdicts([]*verdict{v}); err != nil {
			return nil, nil, err
		}
		if _, err := b.settleBlocked(a.rules, v, map[[2]string]bool{}); err != nil {
			return nil, nil, err
		}
		line := a.line(v.row)
		line.Decision = decisionOf(v.row)
		return &line, nil, nil
	}
	c, err := a.p.stored(row)
	if err != nil {
		return nil, nil, err
	}
	nonce, err := audit.Nonce(a.p.opts.Rand)
	if err != nil {
		return nil, nil, err
	}
	req, err := audit.Request(c.value, v.report, nonce)
	if err != nil {
		return nil, nil, err
	}
	doc, err := schemas.Marshal(audit.Question{Schema: audit.SchemaQuestion, JobID: row.ID, DocumentSHA256: row.Intake.SHA256,
		ReportSHA256: row.Report.SHA256, Attempt: attempt, Auditors: a.rules.Config.Audit.Auditors, Nonce: nonce, System: req.System, Prompt: req.Prompt})
	if err != nil {
		return nil, nil, err
	}
	refs, err := b.store(doc)
	if err != nil {
		return nil, nil, err
	}
	until := b.now.Add(auditSlack)
	for _, name := range a.models {
		until = until.Add(time.Duration(a.rules.Config.Relay.Models[name].TimeoutSeconds) * time.Second)
	}
	b.jobEvent("audit", job.AuditRequested, row.ID, row.TraceID, row.Zone, ledger.AuditAsked{Located: located(refs[0]),
		Document: row.Intake.SHA256, Report: row.Report.SHA256, Attempt: attempt, Until: job.FormatTime(until), Replay: replay}, &refs[0])
	if slices.Contains(a.rules.Config.Audit.Auditors, rules.AuditorRules) {
		report, err := audit.Suggested(v.report, nonce)
		if err != nil {
			return nil, nil, err
		}
		line, mended, err := a.decide(b, row, report, rules.AuditorRules, attempt)
		if err != nil || mended || len(a.models) == 0 {
			return line, nil, err
		}
	}
	return nil, &opinion{id: row.ID, nonce: nonce, request: refs[0].SHA256, attempt: attempt, question: req}, nil
}
