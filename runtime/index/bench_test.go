package index

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// BenchmarkApply measures the usual life of jobs in three transactions, as a tick has it: received, gated and approved;
// dispatched; started and completed. batch is how many jobs a transaction takes, history how many there were before.
func BenchmarkApply(b *testing.B) {
	for _, c := range []struct{ batch, history int }{{1, 0}, {100, 0}, {1000, 0}, {1000, 1_000_000}} {
		b.Run(fmt.Sprintf("batch=%d/history=%d", c.batch, c.history), func(b *testing.B) {
			f := newFixture(b)
			if c.history > 0 {
				f.propose("old", nil)
				f.approve("old", true)
				f.run("old")
				f.copies("old", c.history)
			}
			events := 0
			var spent time.Duration
			for n := 0; n < b.N; n += c.batch {
				for _, stage := range lives(f.h, c.batch) {
					start := time.Now()
					f.write(func(tx *Tx) {
						for i := range stage {
							if err := tx.Apply(&stage[i], f.h); err != nil {
								b.Fatal(err)
							}
						}
					})
					spent += time.Since(start)
					events += len(stage)
				}
			}
			b.ReportMetric(float64(spent.Microseconds())/float64(events), "µs/event")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// lives puts the events of n jobs behind h and returns them, one slice for each transaction.
func lives(h *history, n int) [3][]ledger.Event {
	var stages [3][]ledger.Event
	token := uuid.NewString()
	ids := make([]string, n)
	now := job.FormatTime(h.now)
	place := ledger.Located{Offset: 123456, Bytes: 789}
	add := func(stage int, name job.EventName, id string, meta any) {
		ev := h.make(name, id, meta, nil)
		ev.ID = uuid.NewString()
		ev.ArtifactPath, ev.ArtifactSHA256 = "outbox/documents/000/000/000000000.jsonl", anyDigest
		h.add(ev)
		stages[stage] = append(stages[stage], ev)
	}
	for i := range ids {
		ids[i] = uuid.NewString()
		m := received("operator")
		m.Located, m.Key, m.Token, m.Line = place, ids[i], token, i+1
		add(0, job.ProposalReceived, ids[i], m)
		add(0, job.GatesReported, ids[i], ledger.Gated{Located: place, Rules: anyDigest, Verdict: "PASS", NextAction: "ALLOW",
			Gates: map[string]string{"G0": "PASS", "G1": "PASS", "G2": "PASS", "G3": "PASS", "G4": "PASS"}})
		add(0, job.JobApproved, ids[i], approved(h.now, true))
	}
	for _, id := range ids {
		add(1, job.JobDispatched, id, leaseOf("local", 1, h.now))
	}
	for _, id := range ids {
		add(2, job.JobStarted, id, ledger.Started{Attempt: 1, StartedAt: now})
		add(2, job.JobCompleted, id, ledger.Ended{Located: place, Attempt: 1, CompletedAt: now})
	}
	return stages
}
