package pipeline

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/index"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// Whoever proposes something while the many files of another source are taken in is received soon, not after the last of them,
// whether or not the folder was there before. It is counted how many others come first, and not how long that takes.
func TestFloodHoldsNobodyUp(t *testing.T) {
	for _, known := range []bool{true, false} {
		t.Run(fmt.Sprint("folder known ", known), func(t *testing.T) {
			const files = 1500
			w := newWorld(t)
			if known {
				w.drop("other", "first.json", noop("first", ""))
			}
			for i := range files {
				w.drop("flood", fmt.Sprintf("f%d.json", i), noop(fmt.Sprintf("f%d", i), ""))
			}
			came := false
			s, err := w.p.takeIn(t.Context(), GateOptions{pulse: func(context.Context) error {
				if !came {
					came = true
					w.drop("other", "newcomer.json", noop("newcomer", ""))
				}
				return nil
			}}, nil)
			w.check(err)
			if want := files + 1 + map[bool]int{true: 1}[known]; s.Received != want || s.Deferred != 0 {
				t.Errorf("received %d and deferred %d, want %d and 0", s.Received, s.Deferred, want)
			}
			before := 0
			if err := w.p.view(t.Context(), func(r *index.Reader) error {
				before = 0
				return r.Events(index.EventFilter{Event: string(job.ProposalReceived)}, func(ev ledger.Event) error {
					if ev.JobID == "newcomer" {
						return errFound
					}
					before++
					return nil
				})
			}); !errors.Is(err, errFound) {
				t.Errorf("the newcomer was not received: %v", err)
			}
			if before > 500 {
				t.Errorf("%d proposals were received before the newcomer, who came behind the first batch", before)
			}
		})
	}
}
