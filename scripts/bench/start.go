package main

import (
	"context"
	"fmt"
	"strings"
)

// measureStart times short commands beside a program that does nothing.
func measureStart(ctx context.Context, b *bench) error {
	s, err := b.newSpace(ctx, "start", 2)
	if err != nil {
		return err
	}
	// Some history, so that status has something to count.
	if err := s.submit(ctx, strings.Repeat(noop, 100)); err != nil {
		return err
	}
	if err := s.command("tick").run(ctx); err != nil {
		return err
	}
	commands := []struct {
		name string
		cmd  command
		took costs
	}{
		{name: "true", cmd: command{args: []string{"true"}}},
		{name: "sheratan version", cmd: s.command("version")},
		{name: "sheratan status", cmd: s.command("status")},
		{name: "sheratan submit -- true", cmd: s.command("submit", "--", "true")},
	}
	for range b.size.starts {
		for i := range commands {
			if err := timed(ctx, &commands[i].took, commands[i].cmd); err != nil {
				return err
			}
		}
	}
	b.report.line("start to end of one process; %d runs of each in turn", b.size.starts)
	base := commands[0].took.wall.median()
	for _, c := range commands {
		b.report.row(c.name, c.took.wall, fmt.Sprintf("CPU %s, %.1f times true", short(c.took.cpu.median()), float64(c.took.wall.median())/float64(base)))
	}
	return nil
}
