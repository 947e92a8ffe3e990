package pipeline

import (
	"context"
	"errors"
	"slices"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/ledger"
	"github.com/sheratan/sheratan/schemas"
)

// Revise proposes a new version of a job that is blocked, failed or cancelled: a new id, the same key, all gates. The old
// one, if it was blocked, is cancelled. Those who depend on it wait for the new one.
func (p *Pipeline) Revise(ctx context.Context, id string, d Draft) (GateLine, error) {
	r, err := p.Rules(ctx)
	if err != nil {
		return GateLine{}, err
	}
	old, err := p.row(ctx, id)
	if err == nil {
		err = revisable(old)
	}
	if err != nil {
		return GateLine{}, err
	}
	in, _, err := p.loadIntake(old)
	if err != nil {
		return GateLine{}, err
	}
	token, err := p.random()
	if err != nil {
		return GateLine{}, err
	}
	prov := in.Provenance
	prov.File, prov.Line, prov.Token, prov.Signer = "", 0, token, ""
	prov.Zone = job.ZoneOperator // the source stays: replies and the key are its
	c := newCandidate(withoutID(d.Data, id), prov, p.stamp(), r.ParseLimits())
	if c.parseErr != nil {
		return GateLine{}, inputError(d.Name, c.parseErr)
	}
	c.revise(old)
	out, err := p.admit(ctx, r, []*candidate{c})
	if err != nil {
		return GateLine{}, err
	}
	p.projectAdmitted(out)
	p.placeAll(append(c.retired, id))
	p.projected()
	return out[0].line, nil
}

// revise makes a candidate the new version of a job, whose key it gets.
func (c *candidate) revise(old indexRow) {
	c.intake.Revises = old.ID
	if old.Key != old.ID {
		c.intake.Key = old.Key
	}
}

// revisable refuses jobs of which there is no new version to be made.
func revisable(row indexRow) error {
	if slices.Contains([]job.Status{job.StatusQuarantined, job.StatusFailed, job.StatusCancelled}, row.Status) {
		return nil
	}
	return &StateError{ID: row.ID, Status: string(row.Status), Want: "only blocked, failed and cancelled jobs are revised", Way: "sheratan why " + row.ID}
}

// retire makes room for the revision c: the old version can never run from here on, nor hold the key. That comes behind the event
// that makes a job of the new version, so that a crash in the middle of the batch leaves nobody waiting for a job that there is not,
// and before the new one is in the queue. See resumeRevision.
func (b *batch) retire(c *candidate) error {
	id := c.intake.Revises
	row, ok, err := b.tx.Job(id)
	if err == nil && !ok {
		err = &UnknownJobError{id}
	}
	if err == nil {
		err = revisable(row)
	}
	if err != nil {
		return err
	}
	actor := b.p.opts.Actor
	if c.intake.Provenance.Zone == job.ZoneOutput {
		actor = "source:" + row.Source // what came out of a job revises what came out of one before
	}
	c.retired, err = b.replace(row, c.intake.JobID, actor)
	return err
}

// replace records that a job stands for another one from now on, and ends that one. It returns the jobs that ended with it.
func (b *batch) replace(old indexRow, by, actor string) ([]string, error) {
	if old.RevisedBy != by {
		dependents, err := b.tx.CountDependents(old.ID)
		if err != nil {
			return nil, err
		}
		b.jobEvent(actor, job.JobRevised, old.ID, old.TraceID, old.Zone, ledger.Revised{Revision: by, Dependents: dependents}, nil)
	}
	if old.Status == job.StatusQuarantined {
		b.jobEvent(actor, job.JobCancelled, old.ID, old.TraceID, "outbox", ledger.Cancelled{Reason: "revised by " + by}, nil)
	}
	return b.endAllJoined(old.ID)
}

// resumeRevision finishes what the crash of a process has left of a revision: the new version was received, and the end of the batch
// was lost. Where the old one has moved on since, or was revised again, there is no use for this one, and it is cancelled. over
// is whether it was; changed are the other jobs that have another state now.
func (b *batch) resumeRevision(row indexRow) (over bool, changed []string, err error) {
	old, ok, err := b.tx.Job(row.Revises)
	if err != nil {
		return false, nil, err
	}
	stale := !ok || revisable(old) != nil
	if !stale && old.RevisedBy != "" {
		by, known, err := b.tx.Job(old.RevisedBy)
		if err != nil {
			return false, nil, err
		}
		stale = known && by.Seq > row.Seq
	}
	if stale {
		b.jobEvent("recover", job.JobCancelled, row.ID, row.TraceID, "outbox",
			ledger.Cancelled{Reason: row.Revises + ", which it was to revise, has moved on"}, nil)
		return true, nil, b.failed
	}
	changed, err = b.replace(old, row.ID, "recover")
	return false, append(changed, old.ID), errors.Join(err, b.failed)
}

// withoutID drops the id of the old version, which the new one cannot have. Another id is the proposer's to choose.
func withoutID(doc []byte, id string) []byte {
	v, err := schemas.Parse(doc, schemas.DefaultLimits)
	if err != nil {
		return doc // the parser of the intake says what is wrong
	}
	m, ok := v.(map[string]any)
	if !ok || m["id"] != id {
		return doc
	}
	delete(m, "id")
	out, err := schemas.Marshal(m)
	if err != nil {
		return doc
	}
	return out
}
