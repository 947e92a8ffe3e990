package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// The queue that is drained.
const (
	drainSources = 7
	drainParts   = 10 // of the jobs, in the order of their ends
	drainSeed    = 1

	drainProposal = `{"id":"drain-%d","priority":%d,"depends_on":[%s],"payload":{"kind":"noop","params":{}}}` + "\n"
)

// measureDrain fills a queue with jobs of many sources, with random priorities and dependencies, and lets one tick run them
// all. What a job costs while the queue is long is compared with what it costs when hardly anything waits any more and all
// the history lies behind it.
func measureDrain(ctx context.Context, b *bench) error {
	n := b.size.drained
	s, err := b.newSpace(ctx, "drain", 2)
	if err != nil {
		return err
	}
	err = s.configure(func(config map[string]any) { // dependencies across sources
		config["gates"].(map[string]any)["cross_source_dependencies"] = []any{map[string]any{"from": "*", "to": "*"}}
	})
	if err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(drainSeed, drainSeed))
	deps := 0
	proposals := make([]strings.Builder, drainSources)
	for i := range n {
		var waits []string
		for range max(0, random.IntN(8)-4) { // none for five in eight
			if i > 0 {
				if id := fmt.Sprintf(`"drain-%d"`, random.IntN(i)); !slices.Contains(waits, id) {
					waits = append(waits, id)
				}
			}
		}
		deps += len(waits)
		fmt.Fprintf(&proposals[random.IntN(drainSources)], drainProposal, i, random.IntN(4), strings.Join(waits, ","))
	}
	for i := range proposals {
		if err := s.submit(ctx, proposals[i].String(), "--source", drainSource(i)); err != nil {
			return err
		}
	}
	var gate, tick costs
	if err := timed(ctx, &gate, s.command("gate")); err != nil {
		return err
	}
	meter := &cpuMeter{}
	drain := s.command("tick", "--linger", "0s")
	drain.started = meter.follow
	if err := timed(ctx, &tick, drain); err != nil {
		return err
	}
	if err := s.completed(n); err != nil {
		return err
	}
	ends, err := s.ends()
	if err != nil {
		return err
	}
	if len(ends) != n {
		return fmt.Errorf("%d jobs ended in the ledger; there were %d", len(ends), n)
	}
	b.report.line("%d noop jobs of %d sources with random priorities and %d dependencies, in the queue; one tick", n, drainSources, deps)
	b.report.row("sheratan gate", gate.wall, fmt.Sprintf("%.0f/s", perSecond(n, gate.wall.median())))
	b.report.row("sheratan tick", tick.wall, fmt.Sprintf("%.0f/s", perSecond(n, tick.wall.median())))
	parts := make(series, drainParts)
	for i := range parts {
		from, to := ends[i*n/drainParts], ends[(i+1)*n/drainParts-1]
		parts[i] = meter.at(to) - meter.at(from)
		which := fmt.Sprintf("jobs %d to %d", i*n/drainParts+1, (i+1)*n/drainParts)
		b.report.line("%-44s %10s  CPU %s", which, short(to.Sub(from)), short(parts[i]))
	}
	b.report.growth("CPU of the last three tenths : of the first", float64(parts[drainParts-3:].median()), float64(parts[:3].median()))
	return nil
}

// cpuMeter knows what processor time a process had used when.
type cpuMeter struct {
	when []time.Time
	used []time.Duration
}

// follow looks at the process until it ends.
func (m *cpuMeter) follow(pid int) {
	for {
		cpu, err := processCPU(pid)
		if err != nil {
			return
		}
		m.when, m.used = append(m.when, time.Now()), append(m.used, cpu)
		time.Sleep(10 * time.Millisecond)
	}
}

// at is the processor time that had been used at a moment.
func (m *cpuMeter) at(t time.Time) time.Duration {
	i := sort.Search(len(m.when), func(i int) bool { return m.when[i].After(t) })
	if i == 0 {
		return 0
	}
	return m.used[i-1]
}

func drainSource(i int) string { return fmt.Sprintf("source-%d", i) }

// ends returns when the jobs of the workspace were completed, in order.
func (s space) ends() (list []time.Time, err error) {
	log, err := ledger.Open(s.Outbox(), nil)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	err = log.Scan(0, func(e *ledger.Event, _ []byte) error {
		if e.Event != job.JobCompleted {
			return nil
		}
		at, err := job.ParseTime(e.Timestamp)
		list = append(list, at)
		return err
	})
	return list, err
}
