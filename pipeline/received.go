package pipeline

import (
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/pipeline/rules"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// received is what the ledger says of a proposal that came in.
func received(r *rules.Rules, c *candidate, j job.Job, doc ledger.Ref) ledger.Received {
	kind := j.Payload.Kind
	if !job.ValidID(kind) {
		kind = ""
	}
	if k, ok := r.Gates.Kind(kind); ok && k.Timeout > 0 && c.proposal.TimeoutSeconds == nil {
		j.TimeoutSeconds = k.Timeout
	}
	if c.proposal.MaxRetries == nil {
		_, j.MaxRetries = repetition(r, j.Payload)
	}
	prov := c.intake.Provenance
	return ledger.Received{
		Located: located(doc), Source: j.Source, Bucket: r.Bucket(j.Source), Kind: kind,
		Priority: int(j.Priority), TimeoutSeconds: j.TimeoutSeconds, MaxRetries: j.MaxRetries,
		Backoff: string(j.RetryBackoff), Key: bounded(j.IdempotencyKey), PayloadSHA256: c.payloadSHA256,
		ConcurrencyKey: bounded(j.ConcurrencyKey),
		DependsOn:      len(dependencies(c.proposal)), OnDepFailure: onFailure(j),
		TaskID: bounded(j.TaskID), MissionID: bounded(j.MissionID), Member: prov.MissionID != "",
		Revises: j.Revises, ParentID: prov.ParentID, Depth: prov.Depth, Token: prov.Token, Line: prov.Line,
	}
}

// onFailure is what the ledger says of the choice of a job: nothing where it is the default.
func onFailure(j job.Job) string {
	if j.OnDependencyFailure == job.OnFailureFail {
		return ""
	}
	return string(j.OnDependencyFailure)
}

// bounded keeps what does not pass for an identifier out of the ledger's lines; the document has it as it came.
func bounded(s string) string {
	if job.ValidID(s) {
		return s
	}
	return ""
}

// dependencies are the ids of a proposal's dependencies that can be ids, without repetition.
func dependencies(p job.Proposal) []string {
	seen := map[string]bool{}
	var out []string
	for _, id := range p.DependsOn {
		if job.ValidID(id) && !seen[id] {
			seen[id] = true
			out = append(out, id)
		}
	}
	return out
}
