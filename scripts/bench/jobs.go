package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/sheratan/sheratan/hosts/sandbox"
)

// measureJobs compares a tick over many small jobs, from inbox to committed ledger, with xargs, which only starts them: in
// the sandbox at the level that init chose, and without one.
func measureJobs(ctx context.Context, b *bench) error {
	n := b.size.jobs
	best := levelsHere()[len(levelsHere())-1]
	confined, err := b.newSpaceAt(ctx, "jobs", 2, best)
	if err != nil {
		return err
	}
	free, err := b.newSpaceAt(ctx, "jobs-free", 2, sandbox.LevelNone)
	if err != nil {
		return err
	}
	var tick, bare, xargs costs
	for range b.size.jobRounds {
		for s, c := range map[space]*costs{confined: &tick, free: &bare} {
			if err := s.submit(ctx, strings.Repeat(execTrue, n)); err != nil {
				return err
			}
			if err := timed(ctx, c, s.command("tick", "--linger", "0s")); err != nil {
				return err
			}
		}
		if err := timed(ctx, &xargs, command{stdin: strings.Repeat("\n", n), args: []string{"xargs", "-P2", "-d", "\n", "-n1", "true"}}); err != nil {
			return err
		}
	}
	for _, s := range []space{confined, free} {
		if err := s.completed(n * b.size.jobRounds); err != nil {
			return err
		}
	}
	rate := func(c costs) string {
		return fmt.Sprintf("%.0f/s, CPU %s", perSecond(n, c.wall.median()), short(c.cpu.median()))
	}
	b.report.line("%d exec jobs running true, two slots, from inbox to committed ledger; %d rounds in turn", n, b.size.jobRounds)
	b.report.row("sheratan tick, sandbox "+string(best), tick.wall, rate(tick))
	b.report.row("sheratan tick, sandbox none", bare.wall, rate(bare))
	b.report.row("xargs -P2 -n1 true", xargs.wall, rate(xargs))
	share := 100 * ratioOf(xargs.wall, tick.wall)
	b.report.ratio("rate in the sandbox : rate of xargs", fmt.Sprintf("%.0f %%", share), "aim ≥ 60 %", share >= 60)
	share = 100 * ratioOf(xargs.wall, bare.wall)
	b.report.ratio("rate without : rate of xargs", fmt.Sprintf("%.0f %%", share), "aim ≥ 80 %", share >= 80)
	b.report.line("%-44s %10.2f", "CPU of sheratan in the sandbox : of xargs", ratioOf(tick.cpu, xargs.cpu))
	return nil
}

// timed runs a command and adds what it took to c.
func timed(ctx context.Context, c *costs, cmd command) error {
	s, err := cmd.time(ctx)
	if err == nil {
		c.add(s)
	}
	return err
}
