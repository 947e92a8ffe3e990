package main

import (
	"context"
	"fmt"
	"strings"
)

// measureJobs compares a tick over many small jobs, from inbox to committed ledger, with xargs, which only starts them.
func measureJobs(ctx context.Context, b *bench) error {
	n := b.size.jobs
	s, err := b.newSpace(ctx, "jobs", 2)
	if err != nil {
		return err
	}
	var tick, xargs costs
	for range b.size.jobRounds {
		if err := s.submit(ctx, strings.Repeat(execTrue, n)); err != nil {
			return err
		}
		if err := timed(ctx, &tick, s.command("tick", "--linger", "0s")); err != nil {
			return err
		}
		if err := timed(ctx, &xargs, command{stdin: strings.Repeat("\n", n), args: []string{"xargs", "-P2", "-d", "\n", "-n1", "true"}}); err != nil {
			return err
		}
	}
	if err := s.completed(n * b.size.jobRounds); err != nil {
		return err
	}
	rate := func(c costs) string {
		return fmt.Sprintf("%.0f/s, CPU %s", perSecond(n, c.wall.median()), short(c.cpu.median()))
	}
	b.report.line("%d exec jobs running true, two slots, from inbox to committed ledger; %d rounds in turn", n, b.size.jobRounds)
	b.report.row("sheratan tick", tick.wall, rate(tick))
	b.report.row("xargs -P2 -n1 true", xargs.wall, rate(xargs))
	share := 100 * float64(xargs.wall.median()) / float64(tick.wall.median())
	b.report.ratio("rate of sheratan : rate of xargs", fmt.Sprintf("%.0f %%", share), "aim ≥ 80 %", share >= 80)
	b.report.line("%-44s %10.2f", "CPU of sheratan : CPU of xargs", float64(tick.cpu.median())/float64(xargs.cpu.median()))
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
