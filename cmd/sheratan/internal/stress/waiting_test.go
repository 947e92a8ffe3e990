package stress_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestWaiting: a source with very many jobs that wait for something unknown does not slow another source's jobs.
func TestWaiting(t *testing.T) {
	n, jobs := 10_000, 100
	if long {
		n = 100_000 // as many as the queue of a source takes
	}
	s := newSite(t, 4)
	m := &mix{s: s, want: map[string]want{}}
	before := s.batchTimes(m, jobs)

	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"id":"w%06d","depends_on":["nobody"],"payload":{"kind":"noop","params":{}}}`+"\n", i)
	}
	s.put("waiter/many.ready.jsonl", b.String())
	// The source that waits must not hold up the other one while it is being taken in, either.
	taking := s.start("", "tick")
	s.until("taken up", 20*time.Second, func() bool { return len(s.inbox()) == 0 })
	s.must("submit", "--id", "meanwhile", "--source", "agent", "--kind", "noop")
	took := s.until("completed", time.Minute, func() bool { s.must("tick"); return s.status("meanwhile") == "completed" })
	t.Logf("a job that came while %d were taken in took %v", n, took)
	if code := taking.wait(); code != 0 {
		t.Fatalf("tick: exit %d: %s", code, taking.err.String())
	}

	after := s.batchTimes(m, jobs)
	t.Logf("%d jobs took %v, and %v beside %d that wait", jobs, before, after, n)
	if ratio := float64(slices.Min(after)) / float64(slices.Min(before)); ratio > 3 {
		t.Errorf("%d jobs of another source take %.1f times as long beside %d that wait", jobs, ratio, n)
	}
	if out := s.must("status", "--json"); !strings.Contains(out, fmt.Sprintf(`"pending":%d`, n)) {
		t.Errorf("status: %s", out)
	}
	for _, complaint := range s.inspect(expectation{jobs: m.known(), alive: true}) {
		t.Error(complaint)
	}
}

// batchTimes runs some batches of jobs, and returns how long the ticks took that did it.
func (s *site) batchTimes(m *mix, jobs int) []time.Duration {
	s.t.Helper()
	var times []time.Duration
	for range 4 {
		var b strings.Builder
		for i := range jobs {
			id := fmt.Sprintf("o%06d", m.n)
			m.n++
			m.want[id] = want{fate: safe}
			kind := `{"kind":"noop","params":{}}`
			if i%5 == 0 {
				kind = `{"kind":"exec","params":{"argv":["true"]}}`
			}
			fmt.Fprintf(&b, `{"id":%q,"payload":%s}`+"\n", id, kind)
		}
		s.put(fmt.Sprintf("agent/other-%d.ready.jsonl", m.n), b.String())
		start := time.Now()
		s.must("tick")
		times = append(times, time.Since(start))
	}
	return times
}

// TestLargeInbox: a loop that is taking in a very large file still ends what was cancelled.
func TestLargeInbox(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2)
	loop := s.start("", "tick", "--loop", "--interval", "50ms")
	s.must("submit", "--id", "long", "--", "sleep", "3600")
	s.until("running", 20*time.Second, s.running("long"))
	var b strings.Builder
	for range 20_000 {
		b.WriteString(`{"depends_on":["nobody"],"payload":{"kind":"noop","params":{}}}` + "\n")
	}
	s.put("waiter/many.ready.jsonl", b.String())
	s.until("taken up", 20*time.Second, func() bool { return len(s.inbox()) == 0 })
	s.must("cancel", "long")
	if took := s.until("ended", 20*time.Second, func() bool { return len(s.jobProcesses()) == 0 }); took > 2*promptly {
		t.Errorf("cancel took %v", took) // at most about as long as a batch of a thousand
	}
	if names, err := os.ReadDir(s.path(".sheratan", "claimed")); err != nil || len(names) == 0 {
		t.Logf("the file was taken in before the job was cancelled (%v)", err)
	}
	loop.Process.Signal(syscall.SIGTERM)
	if code := loop.wait(); code != 0 {
		t.Errorf("loop: exit %d: %s", code, loop.err.String())
	}
}

// TestFlood: whoever waits for a job of his own while very many files of another source lie in the inbox waits for few of them,
// whether somebody takes them in meanwhile or he is the only one at work. It is counted how many events come between his proposal and
// its end, which tells what the machine made him wait for and not how fast it is; scripts/bench has the seconds.
func TestFlood(t *testing.T) {
	n := 4000
	if long {
		n = 100_000
	}
	for _, loop := range []bool{false, true} {
		t.Run(fmt.Sprint("loop ", loop), func(t *testing.T) {
			s := newSite(t, 2)
			dir := s.path("inbox", "flood")
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			for i := range n {
				s.put(fmt.Sprintf("flood/f%06d.json", i), `{"payload":{"kind":"exec","params":{"argv":["true"]}}}`)
			}
			if loop {
				p := s.start("", "tick", "--loop")
				defer func() {
					p.Process.Signal(syscall.SIGTERM)
					if code := p.wait(); code != 0 {
						t.Errorf("loop: exit %d: %s", code, p.err.String())
					}
				}()
				s.until("begun", patience, func() bool { return len(s.inbox()) < n })
			}
			for _, id := range []string{"first", "second"} {
				start := time.Now()
				s.must("submit", "--id", id, "--wait", "--", "true")
				took := time.Since(start)
				waits := s.between(id)
				t.Logf("%s: %v, %d events", id, took.Round(time.Millisecond), waits)
				if waits > floodEvents {
					t.Errorf("%d events came between the proposal of %s and its end, which is more than %d", waits, id, floodEvents)
				}
			}
			if left := len(s.inbox()); left == 0 {
				t.Error("there is no flood any more, and nothing was shown")
			}
		})
	}
}

// floodEvents is what may come between a proposal and its end: what is written about two batches of a thousand jobs that come in,
// and about the five hundred that a process leases ahead.
const floodEvents = 2*3*1000 + 6*500

// between counts the events from the first of a job to the one that completed it.
func (s *site) between(id string) int {
	s.t.Helper()
	var first, last, n int
	for _, ev := range lines[event](s.t, s.must("ledger", "log", "--json")) {
		n++
		if ev.JobID != id {
			continue
		}
		if first == 0 {
			first = n
		}
		if ev.Event == "JOB_COMPLETED" {
			last = n
		}
	}
	if first == 0 || last == 0 {
		s.t.Fatalf("%s has no first event, or no end", id)
	}
	return last - first
}
