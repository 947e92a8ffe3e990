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

// measureDrain fills two queues with jobs of many sources, with random priorities and dependencies, and lets one tick run
// all of each: a short one, and one that is ten times as long.
func measureDrain(ctx context.Context, b *bench) error {
	few, err := b.drain(ctx, "drain-short", b.size.drained/10)
	if err != nil {
		return err
	}
	many, err := b.drain(ctx, "drain-long", b.size.drained)
	if err != nil {
		return err
	}
	b.report.line("noop jobs of %d sources with random priorities and dependencies, all in the queue; one tick", drainSources)
	for _, d := range []*drained{few, many} {
		b.report.line("%-44s %10s  %.0f/s, CPU %s a job", fmt.Sprintf("%d jobs, %d dependencies", d.jobs, d.deps),
			short(d.spent.wall), perSecond(d.jobs, d.spent.wall), short(d.perJob()))
	}
	for i := range drainParts {
		from, to := i*many.jobs/drainParts, (i+1)*many.jobs/drainParts
		wall, cpu := many.part(from, to)
		b.report.line("%-44s %10s  CPU %s a job", fmt.Sprintf("jobs %d to %d of the long one", from+1, to), short(wall),
			short(cpu/time.Duration(to-from)))
	}
	b.report.growth("CPU of a job, long : short", float64(many.perJob()), float64(few.perJob()))
	return nil
}

// drained is a queue that was emptied.
type drained struct {
	jobs, deps int
	spent      spent
	meter      cpuMeter
	ends       []time.Time // of the jobs, in order
}

func (d *drained) perJob() time.Duration { return d.spent.cpu / time.Duration(d.jobs) }

// part is what passed and was used from the end of job number from to that of job number to.
func (d *drained) part(from, to int) (wall, cpu time.Duration) {
	begin, end := d.ends[from], d.ends[to-1]
	return end.Sub(begin), d.meter.at(end) - d.meter.at(begin)
}

func (b *bench) drain(ctx context.Context, name string, n int) (*drained, error) {
	s, err := b.newSpace(ctx, name, 2)
	if err != nil {
		return nil, err
	}
	err = s.configure(func(config map[string]any) {
		config["gates"].(map[string]any)["cross_source_dependencies"] = []any{map[string]any{"from": "*", "to": "*"}}
	})
	if err != nil {
		return nil, err
	}
	d := &drained{jobs: n}
	for i, proposals := range d.proposals() {
		if err := s.submit(ctx, proposals, "--source", fmt.Sprintf("source-%d", i)); err != nil {
			return nil, err
		}
	}
	if err := s.command("gate").run(ctx); err != nil {
		return nil, err
	}
	tick := s.command("tick", "--linger", "0s")
	tick.started = d.meter.follow
	if d.spent, err = tick.time(ctx); err != nil {
		return nil, err
	}
	if err := s.completed(n); err != nil {
		return nil, err
	}
	if d.ends, err = s.ends(); err == nil && len(d.ends) != n {
		err = fmt.Errorf("%d jobs ended in the ledger; there were %d", len(d.ends), n)
	}
	return d, err
}

// proposals are those of each source. Three jobs in eight depend on one to three that came before them.
func (d *drained) proposals() []string {
	random := rand.New(rand.NewPCG(drainSeed, drainSeed))
	lines := make([]strings.Builder, drainSources)
	for i := range d.jobs {
		var waits []string
		for range max(0, random.IntN(8)-4) {
			if id := fmt.Sprintf(`"drain-%d"`, random.IntN(max(i, 1))); i > 0 && !slices.Contains(waits, id) {
				waits = append(waits, id)
			}
		}
		d.deps += len(waits)
		fmt.Fprintf(&lines[random.IntN(drainSources)], drainProposal, i, random.IntN(4), strings.Join(waits, ","))
	}
	texts := make([]string, len(lines))
	for i := range lines {
		texts[i] = lines[i].String()
	}
	return texts
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
