package pipeline

import (
	"fmt"

	"github.com/sheratan/sheratan/pipeline/job"
)

// Reply is the latest answer to a proposer (sheratan.reply/v1).
type Reply struct {
	Schema      string        `json:"$schema"`
	JobID       string        `json:"job_id"`
	Status      job.Status    `json:"status"`
	Verdict     string        `json:"verdict"`
	NextAction  string        `json:"next_action"`
	Message     string        `json:"message"`
	Reasons     []ReplyReason `json:"reasons"`
	Suggestions []job.Patch   `json:"suggestions"`
	ResultPath  string        `json:"result_path,omitempty"`
	ExitCode    *int          `json:"exit_code,omitempty"`
	Stdout      string        `json:"stdout,omitempty"`
	Stderr      string        `json:"stderr,omitempty"`
	Error       string        `json:"error,omitempty"`
	UpdatedAt   string        `json:"updated_at"`
}

// ReplyReason is one finding of a gate, with the gate.
type ReplyReason struct {
	Gate    string `json:"gate"`
	Code    string `json:"code"`
	Message string `json:"message"`
	Pointer string `json:"pointer"`
}

// replyOf makes the answer. An agent with a user of its own can read nothing but its replies, so they carry the beginning
// of the output too.
func (p *Pipeline) replyOf(row indexRow, j job.Job) Reply {
	r := Reply{Schema: job.SchemaReply, JobID: j.ID, Status: j.Status, Verdict: string(row.Verdict), NextAction: string(row.NextAction),
		Reasons: []ReplyReason{}, Suggestions: []job.Patch{}, Error: j.Error, UpdatedAt: j.UpdatedAt}
	for _, g := range j.GateDecisions {
		for _, reason := range g.Reasons {
			r.Reasons = append(r.Reasons, ReplyReason{g.GateID, reason.Code, reason.Message, reason.Pointer})
		}
		if g.Status != job.Pass {
			r.Suggestions = append(r.Suggestions, g.Suggestions...)
		}
	}
	if j.Status.Final() {
		r.ResultPath = p.ws.Rel(p.ws.FindResult(row.ID, row.CompletedAt, ".json"))
		if p.ws.Separated(row.Source) {
			r.ResultPath = p.ws.Rel(p.ws.SharedResult(row.Source, row.ID))
		}
		if res := p.resultOf(row, j); res != nil {
			r.ExitCode = &res.ExitCode
			r.Stdout, r.Stderr = res.Stdout.Text, res.Stderr.Text
		}
	}
	r.Message = replyMessage(r, row)
	if o, ok := opinionOf(j); ok && o.Report.Message != "" {
		r.Message += fmt.Sprintf(" (auditor %s: %s)", o.Auditor, o.Report.Message)
	}
	p.maskReply(&r)
	return r
}

// maskReply takes named secrets out of what a reply tells: results of an earlier version, and what auditors said, were stored without that.
func (p *Pipeline) maskReply(r *Reply) {
	known := p.Secrets()
	texts := []*string{&r.Message, &r.Stdout, &r.Stderr, &r.Error}
	for i := range r.Reasons {
		texts = append(texts, &r.Reasons[i].Message, &r.Reasons[i].Pointer)
	}
	for _, text := range texts {
		*text, _ = known.Mask(*text)
	}
	kept := r.Suggestions[:0:0]
	for _, s := range r.Suggestions {
		if _, n := known.Mask(s.Path + "\n" + s.From + "\n" + string(s.Value)); n == 0 {
			kept = append(kept, s)
		}
	}
	if len(kept) < len(r.Suggestions) {
		r.Suggestions = append([]job.Patch{}, kept...)
	}
}

func replyMessage(r Reply, row indexRow) string {
	switch r.Status {
	case job.StatusCompleted:
		return "the job completed"
	case job.StatusFailed:
		return "the job failed: " + r.Error
	case job.StatusCancelled:
		return "the job was cancelled: " + r.Error
	case job.StatusQuarantined:
		if r.NextAction == string(job.Quarantine) {
			return "blocked; change what the reasons name and propose it again under a new id"
		}
		if row.Error != "" {
			return row.Error
		}
		if r.NextAction == string(job.RequireLLM2) {
			return "a second opinion or an operator has to decide; nothing for you to do"
		}
		return "an operator has to decide; nothing for you to do"
	case job.StatusThrottled:
		if row.LaneWaits {
			return fmt.Sprintf("accepted; it runs when no other job with the concurrency key %s does", row.Lane)
		}
		if row.Status == job.StatusPending {
			return fmt.Sprintf("accepted; it runs when fewer jobs of source %s do", row.Source)
		}
		return fmt.Sprintf("accepted; it waits for its turn within the rate of source %s, at least until %s", row.Source, stampOf(row.WakeAt))
	default:
		return "accepted"
	}
}
