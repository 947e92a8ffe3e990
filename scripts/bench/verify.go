package main

import (
	"context"
	"fmt"
	"runtime"
	"strconv"

	"github.com/sheratan/sheratan/runtime/durable"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// writtenJobs is how many lives are written at once: a segment then has about a hundred lines, as in a workspace that is in use.
const writtenJobs = 20

// What is asked of a verification on one core, in events a second.
const (
	chainAim     = 100_000 // form, order and chain of the lines
	documentsAim = 40_000  // with the documents that they name
)

// readings are the commands that are timed. The second goes by what the first has remembered.
var readings = []struct {
	name string
	args []string
}{
	{"ledger verify", []string{"ledger", "verify"}},
	{"ledger verify --since last", []string{"ledger", "verify", "--since", "last"}},
	{"index check", []string{"index", "check"}},
	{"index rebuild", []string{"index", "rebuild"}},
	{"jobs --json", []string{"jobs", "--json"}},
}

// archive is a workspace with a long history in which nothing happens any more.
type archive struct {
	space
	events int
	costs  []costs // of each of the readings
	memory []int64 // that each of them had at its largest, in bytes
}

// measureVerify times what reads a whole ledger, and looks at the memory that it takes for one that is three times as long.
func measureVerify(ctx context.Context, b *bench) error {
	archives := []*archive{{events: b.size.verified / 3}, {events: b.size.verified}}
	for _, a := range archives {
		a.costs, a.memory = make([]costs, len(readings)), make([]int64, len(readings))
		if err := a.fill(ctx, b); err != nil {
			return err
		}
	}
	short, long := archives[0], archives[1]
	b.report.line("%d and %d events, %d rounds; processor time", short.events, long.events, b.size.verifyRounds)
	if err := long.lines(ctx, b); err != nil {
		return err
	}
	for range b.size.verifyRounds {
		for _, a := range archives {
			if err := a.read(ctx); err != nil {
				return err
			}
		}
	}
	for i, r := range readings {
		median := long.costs[i].cpu.median()
		b.report.row(r.name, long.costs[i].cpu, fmt.Sprintf("%.0f events/s", perSecond(long.events, median)),
			fmt.Sprintf("%d MB, %d MB with the short one", long.memory[i]>>20, short.memory[i]>>20))
	}
	b.report.growth("memory of ledger verify, long : short", float64(long.memory[0]), float64(short.memory[0]))
	return nil
}

// fill writes the ledger and its documents without waiting for the disk, and lets the program make index and git.
func (a *archive) fill(ctx context.Context, b *bench) error {
	var err error
	if a.space, err = b.newSpace(ctx, "verify-"+strconv.Itoa(a.events), 2); err != nil {
		return err
	}
	l, err := a.live(ctx, execTrue)
	if err != nil {
		return err
	}
	unsynced := func(op durable.Op) *durable.Fault {
		if op == durable.OpSync || op == durable.OpSyncName {
			return &durable.Fault{}
		}
		return nil
	}
	log, err := ledger.Open(a.Outbox(), unsynced)
	if err != nil {
		return err
	}
	defer log.Close()
	docs, err := ledger.OpenDocuments(a.Outbox(), unsynced)
	if err != nil {
		return err
	}
	defer docs.Close()
	pos, _, err := log.Tail(ledger.Position{}, func(*ledger.Event, []byte, ledger.Position) error { return nil })
	if err != nil {
		return err
	}
	for pos.Size < int64(a.events) {
		if err := ctx.Err(); err != nil {
			return err
		}
		events, err := l.copies(docs, writtenJobs)
		if err != nil {
			return err
		}
		batch := ledger.NewBatch(pos)
		for i := range events {
			if err := batch.Add(&events[i]); err != nil {
				return err
			}
		}
		if pos, err = log.Write(batch); err != nil {
			return err
		}
	}
	a.events = int(pos.Size)
	return a.command("tick").run(ctx)
}

// lines times the ledger alone, in this process and on one core.
func (a *archive) lines(ctx context.Context, b *bench) error {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	log, err := ledger.Open(a.Outbox(), nil)
	if err != nil {
		return err
	}
	defer log.Close()
	for _, m := range []struct {
		name      string
		documents bool
		aim       float64
	}{{"form, order and chain", false, chainAim}, {"with the documents", true, documentsAim}} {
		var cpu series
		for range b.size.verifyRounds {
			start := ownCPU()
			pos, err := log.Verify(ctx, ledger.VerifyOptions{Documents: m.documents}, func(f ledger.Finding) error {
				return fmt.Errorf("%s: %s", f.Code, f.Message)
			})
			if err != nil {
				return err
			}
			if pos.Size < int64(a.events) {
				return fmt.Errorf("%d events were verified of %d", pos.Size, a.events)
			}
			cpu = append(cpu, ownCPU()-start)
		}
		rate := perSecond(a.events, cpu.median())
		b.report.ratio(m.name, fmt.Sprintf("%.0f/s", rate), fmt.Sprintf("aim %.0f events/s on one core", m.aim), rate >= m.aim)
	}
	return nil
}

// read runs each of the commands once. One that finds something fails.
func (a *archive) read(ctx context.Context) error {
	for i, r := range readings {
		c := a.command(r.args...)
		c.env = []string{"GOMAXPROCS=1"}
		s, err := c.time(ctx)
		if err != nil {
			return err
		}
		a.costs[i].add(s)
		a.memory[i] = max(a.memory[i], s.memory)
	}
	return nil
}
