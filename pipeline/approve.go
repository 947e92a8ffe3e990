package pipeline

import (
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/pipeline/kind"
	"github.com/sheratan/sheratan/pipeline/rules"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// approve puts a job into the queue: ready at once, throttled until its rate window comes, waiting for its dependencies,
// or joined to the job that holds its key. basis is gates, operator or auditor.
func (b *batch) approve(r *rules.Rules, j job.Job, prop job.Proposal, trace, basis string, intake ledger.Ref) error {
	row, _, err := b.tx.Job(j.ID)
	if err != nil {
		return err
	}
	holder, held, err := b.keyHolder(r, j)
	if err != nil {
		return err
	}
	safe, retries := repetition(r, j.Payload)
	meta := ledger.Approved{
		Located: located(intake), Basis: basis, Rules: r.Digest, Rerun: safe,
		DueAt: job.FormatTime(b.now.Add(j.Priority.Target())),
	}
	if prop.MaxRetries == nil && retries != row.MaxRetries { // the rules have changed since it was received
		meta.MaxRetries = &retries
	}
	waits := held || row.DepsLeft > 0 || row.DepFailed != ""
	var throttled *ledger.Throttled
	if !waits {
		if meta.Slot, throttled, err = b.turn(row); err != nil {
			return err
		}
		meta.Ready = throttled == nil
	}
	actor := "gate"
	switch basis {
	case "operator":
		actor = b.p.opts.Actor
	case "auditor":
		actor = row.DecidedBy
	}
	b.jobEvent(actor, job.JobApproved, j.ID, trace, "approved", meta, &intake)
	if throttled != nil {
		b.throttle("gate", row, *throttled)
	}
	if held {
		return b.join(j.ID, trace, holder)
	}
	return b.failed
}

// join makes a job share the outcome of the one that holds its key.
func (b *batch) join(id, trace string, holder indexRow) error {
	b.jobEvent("gate", job.JobDeduplicated, id, trace, "approved", ledger.Deduplicated{Of: holder.ID}, nil)
	if holder.Status.Final() {
		return b.endJoined(id, trace, holder)
	}
	return b.failed
}

// keyHolder finds the job that a new one with the same key shares its outcome with. The gates have made sure that their
// payloads are the same.
func (b *batch) keyHolder(r *rules.Rules, j job.Job) (indexRow, bool, error) {
	if j.IdempotencyKey == j.ID {
		return indexRow{}, false, nil
	}
	row, ok, err := b.tx.KeyHolder(j.Source, j.IdempotencyKey)
	if err != nil || !ok || row.ID == j.ID || row.ID == j.Revises {
		return indexRow{}, false, err
	}
	if !keyFree(r, row, b.now) {
		return row, true, nil
	}
	b.freeKey("gate", row, j.ID)
	return indexRow{}, false, b.failed
}

// freeKey takes the key from a job that has no more use for it, so that another one has it.
func (b *batch) freeKey(actor string, holder indexRow, next string) {
	b.jobEvent(actor, job.KeyExpired, holder.ID, holder.TraceID, holder.Zone, ledger.KeyLapsed{Key: holder.Key, For: next}, nil)
}

// keyFree reports whether others may have the key of its holder: that has failed for good, so that there is no outcome to share, or
// it ended very long ago.
func keyFree(r *rules.Rules, holder indexRow, now time.Time) bool {
	if holder.Status == job.StatusFailed {
		return true
	}
	held := time.Duration(r.Config.Limits.KeySeconds) * time.Second
	return held > 0 && holder.Status.Final() && !now.Before(holder.CompletedAt.Add(held))
}

// turn says whether a job that waits for nothing else may become ready, and in which rate window it is counted; or else what
// it waits for, which counts it instead. One that has been counted is not counted again.
func (b *batch) turn(row indexRow) (window string, wait *ledger.Throttled, err error) {
	var until time.Time
	if !counted(row) {
		if window, until, err = b.slot(row.Bucket); err != nil {
			return "", nil, err
		}
		if !until.IsZero() {
			return "", &ledger.Throttled{Until: job.FormatTime(until)}, nil
		}
	}
	taken, err := b.laneTaken(row)
	if err != nil || !taken {
		return window, nil, err
	}
	return "", &ledger.Throttled{Lane: true, Slot: window}, nil
}

// laneTaken reports whether a job has to wait for another one with its concurrency key.
func (b *batch) laneTaken(row indexRow) (bool, error) {
	if row.Lane == "" {
		return false, nil
	}
	return b.tx.LaneTaken(row.Source, row.Lane)
}

// repetition says whether a job may be run again when nobody knows what became of an attempt, and how often it is started again
// after a failure where its proposal does not say so.
func repetition(r *rules.Rules, p job.Payload) (safe bool, retries int) {
	k, ok := r.Gates.Kind(p.Kind)
	if !ok {
		return false, 0
	}
	params, err := k.Parse(p.Params)
	if err != nil {
		return false, 0
	}
	if exec, ok := params.(kind.Exec); ok {
		rule := r.Gates.Exec(exec.Argv)
		safe, retries = rule.RerunSafe, rule.Retries
	} else {
		safe, retries = k.RerunSafeFor(params), k.RetriesFor(params)
	}
	if most := r.Config.Limits.MaxRetries; most > 0 {
		retries = min(retries, most)
	}
	return safe, retries
}
