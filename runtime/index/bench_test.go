package index

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/ledger"
)

func rawMeta(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

const digest = "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"

// life returns the meta of the usual events of a job, except the first.
var lifeAt = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func event(seq int64, name job.EventName, id string, meta json.RawMessage) *ledger.Event {
	return &ledger.Event{V: 1, Seq: seq, ID: uuid.NewString(), Timestamp: job.FormatTime(lifeAt), Actor: "uid:1000", Event: name,
		JobID: id, TraceID: id, Zone: "approved", ArtifactPath: "outbox/documents/000/000/000000000.jsonl", ArtifactSHA256: digest,
		Meta: meta, Prev: digest}
}

func BenchmarkApplyLife(b *testing.B) {
	for _, batch := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("jobs=%d", batch), func(b *testing.B) {
			db, err := Open(filepath.Join(b.TempDir(), "index.db"))
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			seq := int64(0)
			events := 0
			run := func(evs []*ledger.Event) {
				tx, err := db.Begin(b.Context())
				if err != nil {
					b.Fatal(err)
				}
				for _, ev := range evs {
					if err := tx.Apply(ev, nil); err != nil {
						b.Fatal(err)
					}
				}
				if err := tx.SetPosition(ledger.Position{Size: seq}); err != nil {
					b.Fatal(err)
				}
				if err := tx.Commit(); err != nil {
					b.Fatal(err)
				}
				events += len(evs)
			}
			loc := ledger.Located{Offset: 123456, Bytes: 789}
			var spent time.Duration
			for n := 0; n < b.N; n += batch {
				var one, two, three []*ledger.Event
				token := uuid.NewString()
				for i := range batch {
					id := uuid.NewString()
					add := func(to *[]*ledger.Event, name job.EventName, m any) {
						*to = append(*to, event(seq, name, id, rawMeta(m)))
						seq++
					}
					add(&one, job.ProposalReceived, ledger.Received{Located: loc, Source: "operator", Bucket: "operator", Kind: "exec", Priority: 2,
						TimeoutSeconds: 300, MaxRetries: 3, Backoff: "exponential", Key: id, PayloadSHA256: digest, Token: token, Line: i + 1})
					add(&one, job.GatesReported, ledger.Gated{Located: loc, Rules: digest, Verdict: "PASS", NextAction: "ALLOW",
						Gates: map[string]string{"G0": "PASS", "G1": "PASS", "G2": "PASS", "G3": "PASS", "G4": "PASS"}})
					add(&one, job.JobApproved, ledger.Approved{Located: loc, Basis: "gates", Rules: digest, Rerun: true, DueAt: job.FormatTime(lifeAt), Ready: true})
					add(&two, job.JobDispatched, ledger.Dispatched{Host: "local", Attempt: 1, LeaseUntil: job.FormatTime(lifeAt),
						Runner: &ledger.Runner{Boot: digest[:36], PID: 4711, Start: 123456789}})
					add(&three, job.JobStarted, ledger.Started{Attempt: 1, StartedAt: job.FormatTime(lifeAt)})
					add(&three, job.JobCompleted, ledger.Ended{Located: loc, Attempt: 1, CompletedAt: job.FormatTime(lifeAt)})
				}
				start := time.Now()
				run(one)
				run(two)
				run(three)
				spent += time.Since(start)
			}
			b.ReportMetric(float64(spent.Microseconds())/float64(events), "µs/event")
			b.ReportMetric(0, "ns/op")
		})
	}
}
