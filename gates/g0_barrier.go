package gates

import (
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/schemas"
)

// barrier is G0: where does it come from? It goes by what the intake stamped, and by nothing that the proposal says.
func (e *evaluation) barrier(v *verdict) {
	prov := e.in.Intake.Provenance
	if !isRegular(e.in.FileType) {
		v.add("NOT_REGULAR", "", "what lies in the inbox is a %s, not a regular file", e.in.FileType)
		v.note("file_type", e.in.FileType)
	}
	v.note("source", prov.Source)
	v.note("zone", prov.Zone)
	if e.source == nil {
		v.add("UNKNOWN_SOURCE", "", "source %q has no entry in the config, and there is none for *", prov.Source)
	} else {
		e.signature(v)
	}
	if prov.Zone == job.ZoneOutput {
		v.add(CodeFromOutput, "", "it came out of job %s; what a job puts out does not run by itself", prov.ParentID)
	}
	e.budgets(v)
	e.reuse(v)
	if claimed, ok := e.object["source"].(string); ok && claimed != prov.Source {
		v.note("claimed_source", clip(claimed, 256))
	}
}

// signature checks who signed, where the source demands it. A signer that the intake has stamped was verified then; it
// still has to be one of the source's, because the config may have changed since.
func (e *evaluation) signature(v *verdict) {
	if len(e.source.signers) == 0 {
		return
	}
	signer := e.in.Intake.Provenance.Signer
	switch {
	case e.in.Signature != nil:
		fingerprint, fault := e.source.verify(e.in.Signature)
		if fingerprint != "" {
			v.note("signer", fingerprint)
		}
		if fault != nil {
			v.add(fault.code, "", "%s", fault.message)
		}
	case signer == "":
		v.add("SIGNATURE_MISSING", "", "source %q demands a signature, and there is none", e.in.Intake.Provenance.Source)
	case !e.source.knows(signer):
		v.add("SIGNER_UNKNOWN", "", "%s is none of the signers of source %q", signer, e.in.Intake.Provenance.Source)
	}
}

// budgets bounds what may follow from one job or mission.
func (e *evaluation) budgets(v *verdict) {
	prov, limits, facts := e.in.Intake.Provenance, e.rules.config.Limits, e.in.Facts
	if limits.Depth > 0 && prov.Depth > limits.Depth {
		v.add("DEPTH_EXCEEDED", "", "it is a follow-up of the %dth generation, the limit is %d", prov.Depth, limits.Depth)
	}
	if prov.ParentID != "" && limits.Children > 0 && facts.Siblings >= limits.Children {
		v.add("CHILDREN_EXCEEDED", "", "job %s has %d follow-ups already, the limit is %d", prov.ParentID, facts.Siblings, limits.Children)
	}
	if facts.MissionLimit > 0 && facts.MissionJobs >= facts.MissionLimit {
		v.add("MISSION_BUDGET", "/mission_id", "the mission has %d jobs, its budget is %d", facts.MissionJobs, facts.MissionLimit)
	}
}

// reuse refuses an id or a key that stands for something else already, or will. The same content again is no reason: the
// pipeline answers it with the job that is there.
func (e *evaluation) reuse(v *verdict) {
	if mission := e.in.Facts.Reserved; mission != "" {
		v.add("ID_RESERVED", "/id", "it is the id of a task of mission %s, and this proposal is not that task", mission)
	}
	same, holder := e.in.Facts.SameID, e.in.Facts.SameKey
	if same == nil && holder == nil {
		return
	}
	digest := e.payloadDigest()
	source := e.in.Intake.Provenance.Source
	if same != nil && same.Source != source {
		v.add("ID_REUSED", "/id", "source %q has a job with this id", same.Source)
	} else if same != nil && same.PayloadSHA256 != digest {
		v.add("ID_REUSED", "/id", "there is a job with this id and another payload")
		v.note("id_payloads_sha256", []string{same.PayloadSHA256, digest})
	}
	if holder != nil && holder.ID != e.in.Intake.Revises && holder.PayloadSHA256 != digest {
		v.add("KEY_REUSED", "/idempotency_key", "job %s holds this key with another payload", holder.ID)
		v.note("key_payloads_sha256", []string{holder.PayloadSHA256, digest})
	}
}

// payloadDigest is the digest of the canonical payload; of the whole document where there is no payload.
func (e *evaluation) payloadDigest() string {
	if e.in.Intake.Raw != nil {
		return e.in.Intake.Raw.SHA256
	}
	if payload := e.object["payload"]; payload != nil {
		if b, err := schemas.Marshal(payload); err == nil {
			return schemas.Digest(b)
		}
	}
	return schemas.Digest(e.in.Intake.Proposal)
}
