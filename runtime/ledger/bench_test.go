package ledger

import (
	"fmt"
	"testing"

	"github.com/sheratan/sheratan/runtime/durable"
)

func BenchmarkAppendLine(b *testing.B) {
	e := sample(7)
	e.V, e.ID, e.Prev = 1, "0191b7a0-0000-8000-8000-000000000001", zeros
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.AppendLine(buf); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseLine(b *testing.B) {
	e := sample(7)
	e.V, e.ID, e.Prev = 1, "0191b7a0-0000-8000-8000-000000000001", zeros
	line, _ := e.AppendLine(nil)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseLine(line); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNewMeta(b *testing.B) {
	m := Received{Located: Located{1234, 567}, Source: "agent", Bucket: "*", Kind: "exec", Priority: 2, TimeoutSeconds: 300,
		MaxRetries: 3, Backoff: "exponential", Key: "k", PayloadSHA256: zeros, Token: "0191b7a0~agent~job-1.json"}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := NewMeta(m); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNext(b *testing.B) {
	line := make([]byte, 500)
	pos := Position{}
	b.ReportAllocs()
	for b.Loop() {
		pos = pos.Next(line)
	}
}

// BenchmarkBatch is the cost of a line in a batch of 6,000: printing, chaining, and the share of the commit. The last of
// them counts the processor only, with the syncs left out.
func BenchmarkBatch(b *testing.B) {
	for name, faults := range map[string]durable.Faults{"synced": nil, "unsynced": func(op durable.Op) *durable.Fault {
		if op == durable.OpSync || op == durable.OpSyncName {
			return &durable.Fault{}
		}
		return nil
	}} {
		b.Run(name, func(b *testing.B) {
			l := open(b, newOutbox(b), faults)
			const lines = 6000
			events := make([]Event, lines)
			for i := range events {
				events[i] = sample(int64(i))
			}
			pos := Position{}
			b.ReportAllocs()
			for b.Loop() {
				batch := NewBatch(pos)
				for i := range events {
					events[i].ID = ""
					if err := batch.Add(&events[i]); err != nil {
						b.Fatal(err)
					}
				}
				var err error
				if pos, err = l.Write(batch); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(pos.Size), "ns/line")
		})
	}
}

// BenchmarkCommit is the cost of a commit of one line, and of the look at the ledger before it, with histories of
// different lengths. They should not differ.
func BenchmarkCommit(b *testing.B) {
	for _, history := range []int{0, 1000, 200_000} {
		b.Run(fmt.Sprint(history), func(b *testing.B) {
			l := open(b, newOutbox(b), nil)
			pos := Position{}
			for pos.Size < int64(history) {
				pos = write(b, l, pos, 200)[0]
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, end, torn, err := tail(l, pos); err != nil || torn != nil || !end.Equal(pos) {
					b.Fatal(torn, err)
				}
				pos = write(b, l, pos, 1)[0]
			}
		})
	}
}

func BenchmarkDocuments(b *testing.B) {
	d := openDocuments(b, newOutbox(b), nil)
	docs := make([][]byte, 1000)
	for i := range docs {
		docs[i] = document(i, 700)
	}
	b.ReportAllocs()
	for b.Loop() {
		refs, err := d.Append(docs)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := d.Read(refs[500]); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(docs)), "ns/document")
}
