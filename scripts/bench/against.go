package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sheratan/sheratan/hosts/sandbox"
)

// workload is something that both of two binaries do, each in a workspace of its own.
type workload struct {
	section string // of the measurements that it is like
	name    string
	rounds  int
	prepare func(context.Context, *bench) (round func() (spent, error), err error)
}

// againstRounds is how often each binary does what takes seconds.
const againstRounds = 7

func workloads(size sizes) []workload {
	var list []workload
	for _, level := range levelsHere() {
		list = append(list, workload{"jobs", fmt.Sprintf("tick, %d jobs of true, sandbox %s", size.jobs, level), againstRounds, ticks(level, size.jobs)})
	}
	list = append(list, workload{"jobs", "tick, one job of true", size.starts, ticks("", 1)})
	for _, args := range [][]string{{"version"}, {"status"}, {"submit", "--", "true"}} {
		list = append(list, workload{"start", strings.Join(args, " "), size.starts, runs(args...)})
	}
	return append(list,
		workload{"gates", fmt.Sprintf("gate --dry-run, %d proposals of 1 KB", size.proposals), againstRounds, dryRuns(size.proposals)},
		workload{"gates", fmt.Sprintf("gate, %d proposals of 1 KB", size.proposals), againstRounds, gatings(size.proposals)},
		workload{"drain", fmt.Sprintf("tick, %d noop jobs of %d sources", size.drained/10, drainSources), againstRounds, drains(size.drained / 10)},
	)
}

// compare has two binaries do the same in turn, and prints what the one that is measured takes, in parts of what the other takes.
func (b *bench) compare(ctx context.Context, other string, only []measurement) error {
	sides := [2]*bench{b, {bin: other, scratch: filepath.Join(b.scratch, "other"), size: b.size, report: b.report}}
	if err := os.Mkdir(sides[1].scratch, 0o700); err != nil {
		return err
	}
	b.report.line("%s : %s, each round in turn; ratios of the medians, by the clock and of processor time", b.bin, other)
	for _, w := range workloads(b.size) {
		if !slices.ContainsFunc(only, func(m measurement) bool { return m.name == w.section }) {
			continue
		}
		var rounds [2]func() (spent, error)
		var took [2]costs
		for i, side := range sides {
			var err error
			if rounds[i], err = w.prepare(ctx, side); err != nil {
				return fmt.Errorf("%s: %s: %w", w.name, side.bin, err)
			}
		}
		for n := range w.rounds {
			for k := range sides {
				i := (n + k) % 2 // who is first has it a little harder, or easier
				s, err := rounds[i]()
				if err != nil {
					return fmt.Errorf("%s: %s: %w", w.name, sides[i].bin, err)
				}
				took[i].add(s)
			}
		}
		wall, cpu := ratioOf(took[0].wall, took[1].wall), ratioOf(took[0].cpu, took[1].cpu)
		b.report.ratio(w.name, fmt.Sprintf("%.2f %.2f", wall, cpu), fmt.Sprintf("(%s, CPU %s; %d rounds, load %s) aim ≤ 1.05", short(took[0].wall.median()),
			short(took[0].cpu.median()), w.rounds, loadAverage()), cpu <= 1.05)
	}
	return nil
}

// ticks are ticks over n jobs of true, which are in the inbox when the clock starts.
func ticks(level sandbox.Level, n int) func(context.Context, *bench) (func() (spent, error), error) {
	return func(ctx context.Context, b *bench) (func() (spent, error), error) {
		s, err := b.newSpaceAt(ctx, fmt.Sprintf("ticks-%s-%d", level, n), 2, level)
		return func() (spent, error) {
			if err := s.submit(ctx, strings.Repeat(execTrue, n)); err != nil {
				return spent{}, err
			}
			return s.command("tick", "--linger", "0s").time(ctx)
		}, err
	}
}

// runs are runs of a command in a workspace with some history.
func runs(args ...string) func(context.Context, *bench) (func() (spent, error), error) {
	return func(ctx context.Context, b *bench) (func() (spent, error), error) {
		s, err := b.newSpace(ctx, "runs-"+args[0], 2)
		if err == nil {
			err = s.submit(ctx, strings.Repeat(noop, 100))
		}
		if err == nil {
			err = s.command("tick").run(ctx)
		}
		return func() (spent, error) { return s.command(args...).time(ctx) }, err
	}
}

func dryRuns(n int) func(context.Context, *bench) (func() (spent, error), error) {
	return func(ctx context.Context, b *bench) (func() (spent, error), error) {
		s, err := b.newSpace(ctx, "dry-runs", 2)
		file := filepath.Join(b.scratch, "proposals.jsonl")
		if err == nil {
			err = os.WriteFile(file, []byte(strings.Repeat(kilobyte(), n)), 0o600)
		}
		return func() (spent, error) { return onOneCore(s.command("gate", "--dry-run", "--json", file)).time(ctx) }, err
	}
}

func gatings(n int) func(context.Context, *bench) (func() (spent, error), error) {
	return func(ctx context.Context, b *bench) (func() (spent, error), error) {
		s, err := b.newSpace(ctx, "gatings", 2)
		return func() (spent, error) {
			if err := s.submit(ctx, strings.Repeat(kilobyte(), n)); err != nil {
				return spent{}, err
			}
			return onOneCore(s.command("gate", "--json")).time(ctx)
		}, err
	}
}

func drains(n int) func(context.Context, *bench) (func() (spent, error), error) {
	return func(ctx context.Context, b *bench) (func() (spent, error), error) {
		round := 0
		return func() (spent, error) {
			round++
			d, err := b.drain(ctx, fmt.Sprintf("drains-%d", round), n)
			if err != nil {
				return spent{}, err
			}
			return d.spent, nil
		}, nil
	}
}
