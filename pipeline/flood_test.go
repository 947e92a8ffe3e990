package pipeline

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/index"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// Whoever proposes something while the many proposals of another source are taken in is received soon, not after the last of them,
// whether or not the folder was there before, and also where they are the lines of one file. It is counted how many others come first,
// and not how long that takes.
func TestFloodHoldsNobodyUp(t *testing.T) {
	for name, c := range map[string]struct{ known, lines bool }{
		"files": {}, "files, folder known": {known: true}, "lines": {lines: true}, "lines, folder known": {known: true, lines: true},
	} {
		t.Run(name, func(t *testing.T) {
			const files = 1500
			w := newWorld(t)
			if c.known {
				w.drop("other", "first.json", noop("first", ""))
			}
			var lines strings.Builder
			for i := range files {
				text := noop(fmt.Sprintf("f%d", i), "")
				if c.lines {
					lines.WriteString(text + "\n")
				} else {
					w.drop("flood", fmt.Sprintf("f%d.json", i), text)
				}
			}
			if c.lines {
				w.drop("flood", "all.ready.jsonl", lines.String())
			}
			came := 0
			s, err := w.p.takeIn(t.Context(), GateOptions{pulse: func(context.Context, bool) (bool, error) {
				if came++; came == 1 {
					w.drop("other", "newcomer.json", noop("newcomer", ""))
					w.drop("third", "few.ready.jsonl", noop("few1", "")+"\n"+noop("few2", ""))
				}
				return true, nil
			}}, nil)
			w.check(err)
			if want := files + 3 + map[bool]int{true: 1}[c.known]; s.Received != want || s.Deferred != 0 {
				t.Errorf("received %d and deferred %d, want %d and 0", s.Received, s.Deferred, want)
			}
			for _, id := range []string{"newcomer", "few2"} {
				before := 0
				if err := w.p.view(t.Context(), func(r *index.Reader) error {
					before = 0
					return r.Events(index.EventFilter{Event: string(job.ProposalReceived)}, func(ev ledger.Event) error {
						if ev.JobID == id {
							return errFound
						}
						before++
						return nil
					})
				}); !errors.Is(err, errFound) {
					t.Errorf("%s was not received: %v", id, err)
				}
				if before > 500 {
					t.Errorf("%d proposals were received before %s, which came behind the first batch", before, id)
				}
			}
		})
	}
}

// Whoever waits for a job of his own does not wait for the flood of another source: neither for what of it lies in the inbox nor for
// what is in the queue before his job. It is counted how much of the flood came first, and not how long that took.
func TestWaitIsNotForTheFlood(t *testing.T) {
	for where, slots := range map[string]int{"inbox": 5, "queue": 1} {
		t.Run(where, func(t *testing.T) {
			const flood = 2000
			w := newWorld(t)
			w.with(`"max_jobs_per_minute": 10, "max_concurrent_jobs": 5, "max_priority": "high"},
    "operator": {`, `"max_jobs_per_minute": 0, "max_concurrent_jobs": 0, "max_priority": "high"},
    "operator": {`)
			text, err := os.ReadFile(w.ws.Config())
			w.check(err)
			w.write(w.ws.Config(), strings.Replace(string(text), `"operators"`, fmt.Sprintf(`"host": {"max_concurrent": %d}, "operators"`, slots), 1))
			for i := range flood {
				w.drop("flood", fmt.Sprintf("f%d.json", i), noop(fmt.Sprintf("f%d", i), ""))
			}
			if where == "queue" {
				w.gate()
			}
			arrivals, err := w.p.Arrivals(t.Context())
			w.check(err)
			for i := range 3 {
				list, err := w.p.Submit(t.Context(), "operator", []Draft{{Name: "test", Data: []byte(noop(fmt.Sprint("mine", i), ""))}})
				w.check(err)
				arrivals.Expect(list[0])
			}
			ends := 0
			w.check(arrivals.Wait(t.Context(), WaitOptions{Drive: true}, func(r job.Result) error {
				ends++
				if r.Status != job.StatusCompleted {
					t.Errorf("%+v", r)
				}
				return nil
			}))
			completed, received := 0, 0
			w.check(w.p.view(t.Context(), func(r *index.Reader) error {
				c, err := r.CountsOf("flood")
				completed = c.Status[job.StatusCompleted]
				for _, n := range c.Status {
					received += n
				}
				return err
			}))
			if ends != 3 || completed > 1000 || where == "inbox" && received > 1000 {
				t.Errorf("%d of 3 ended when %d of the flood had completed and %d were received", ends, completed, received)
			}
			// Nothing of the flood is lost, or waits in the hands of the process that left it.
			w.tick()
			for _, id := range []string{"f0", fmt.Sprint("f", flood-1)} {
				w.is(id, job.StatusCompleted, "")
			}
			if names, err := os.ReadDir(w.ws.ClaimedDir()); err != nil || len(names) > 0 {
				t.Errorf("%d claims are left: %v", len(names), err)
			}
			w.verify()
		})
	}
}

// Whoever waits for a job of his own begins none of another source while his own can run: he would wait for that one too, and his Ctrl-C
// would end it.
func TestWaitBeginsNothingOfOthers(t *testing.T) {
	w := newWorld(t)
	w.drop("other", "slow.json", exec("slow", "", "sleep", "50"))
	w.drop("other", "first.json", exec("first", "", "true"))
	w.gate()
	arrivals, err := w.p.Arrivals(t.Context())
	w.check(err)
	list, err := w.p.Submit(t.Context(), "operator", []Draft{{Name: "test", Data: []byte(exec("mine", `"depends_on": ["first"],`, "true"))}})
	w.check(err)
	arrivals.Expect(list[0])
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	w.check(arrivals.Wait(ctx, WaitOptions{Drive: true}, func(job.Result) error { return nil }))
	w.is("first", job.StatusCompleted, "")
	w.is("mine", job.StatusCompleted, "")
	if row := w.row("slow"); row.Attempt != 0 || row.Status != job.StatusPending {
		t.Errorf("slow is %s after %d attempts", row.Status, row.Attempt)
	}
	w.verify()
}

// Where a job of somebody else runs when those that are waited for are over, their results are there at once, the reason of the delay is
// told, and an interruption is no failure of the wait.
func TestWaitForOthersIsTold(t *testing.T) {
	w := newWorld(t)
	w.drop("other", "slow.json", exec("slow", "", "sleep", "50"))
	w.gate()
	arrivals, err := w.p.Arrivals(t.Context())
	w.check(err)
	// Before the second attempt nothing of its own can run, so that the tick takes what there is.
	list, err := w.p.Submit(t.Context(), "operator", []Draft{{Name: "test", Data: []byte(exec("mine", `"max_retries": 1,`, "false"))}})
	w.check(err)
	arrivals.Expect(list[0])
	ctx, interrupt := context.WithCancelCause(t.Context())
	hurry := make(chan struct{})
	w.p.opts.Hurry = hurry
	var told []string
	after := time.AfterFunc(40*time.Second, func() { interrupt(errors.New("nothing was told")) })
	defer after.Stop()
	err = arrivals.Wait(ctx, WaitOptions{Drive: true, Others: func(n int) {
		told = append(told, fmt.Sprint(n, " of others"))
		interrupt(ErrInterrupted)
		close(hurry)
	}}, func(r job.Result) error { told = append(told, r.JobID+" "+string(r.Status)); return nil })
	if err != nil || strings.Join(told, ", ") != "mine failed, 1 of others" {
		t.Errorf("told %q, %v", told, err)
	}
	w.is("slow", job.StatusPending, "cancelled")
	w.warned = nil
	w.verify()
}
