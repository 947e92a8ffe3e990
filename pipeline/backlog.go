package pipeline

import (
	"context"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/index"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// deferredEvery is how often an intake that leaves proposals in the inbox says so in the ledger.
const deferredEvery = 10 * time.Second

// queueFull is why proposals stay in the inbox, as the ledger says it.
const queueFull = "queue full"

// full reports whether a source has as many jobs waiting as the limits allow it. The index is asked once for each portion of
// the scan; what was taken in since is counted on top.
func (in *intake) full(ctx context.Context, source string) (bool, error) {
	limit := in.rules.Config.Limits.QueueDepth
	if limit == 0 {
		return false, nil
	}
	n, known := in.queued[source]
	if !known {
		err := in.p.view(ctx, func(r *index.Reader) error {
			count, err := r.CountsOf(source)
			n = count.Queued()
			return err
		})
		if err != nil {
			return true, err
		}
		for _, c := range in.cands { // not in the index yet
			if c.intake.Provenance.Source == source {
				n++
			}
		}
		in.queued[source] = n
	}
	return n >= limit, nil
}

// reportDeferred says in the ledger that a full queue leaves proposals in the inbox, every ten seconds at most.
func (p *Pipeline) reportDeferred(ctx context.Context, deferred map[string]string) error {
	full := map[string]bool{}
	for source, reason := range deferred {
		if reason == queueFull {
			full[source] = true
		}
	}
	if len(full) == 0 {
		return nil
	}
	return p.transact(ctx, func(b *batch) error {
		last, err := b.lastEvent(job.IntakeDeferred)
		if err != nil || b.now.Sub(last) < deferredEvery {
			return err
		}
		for source := range full {
			b.workspaceEvent("gate", job.IntakeDeferred, ledger.Deferred{Source: bounded(source), Reason: queueFull}, nil)
		}
		return nil
	})
}

// lastEvent is when an event of this name was last written; the zero time is never.
func (b *batch) lastEvent(name job.EventName) (at time.Time, err error) {
	err = b.tx.Events(index.EventFilter{Event: string(name), Reverse: true, Limit: 1, Since: b.now.Add(-deferredEvery)}, func(ev ledger.Event) error {
		at, err = job.ParseTime(ev.Timestamp)
		return err
	})
	return at, err
}
