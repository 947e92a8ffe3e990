package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/sheratan/sheratan/hosts/sandbox"
)

// measureFlood times `submit --wait -- true` of the operator while very many files of another source lie in the inbox, each of them a
// job that runs true: where nobody else is at work, and beside a loop that has begun with them.
func measureFlood(ctx context.Context, b *bench) error {
	levels := []sandbox.Level{sandbox.LevelNone}
	if slices.Contains(levelsHere(), sandbox.LevelRestricted) {
		levels = append(levels, sandbox.LevelRestricted)
	}
	b.report.line("submit --wait -- true of another source, %d rounds, two slots", b.size.floodRounds)
	for _, level := range levels {
		for _, n := range append([]int{0}, b.size.floods...) {
			for _, loop := range []bool{false, true} {
				name := fmt.Sprintf("flood-%s-%d-%t", level, n, loop)
				took, err := b.floodOf(ctx, name, n, level, loop)
				if err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
				beside := "alone"
				if loop {
					beside = "beside a loop"
				}
				b.report.row(fmt.Sprintf("%d files, level %s, %s", n, level, beside), took)
				b.report.ratio("  the slowest", short(took.high()), "aim < 2 s", took.high() < 2*time.Second)
			}
		}
	}
	return nil
}

func (b *bench) floodOf(ctx context.Context, name string, n int, level sandbox.Level, loop bool) (took series, err error) {
	s, err := b.newSpaceAt(ctx, name, 2, level)
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(s.Root())
	dir := s.InboxOf("flood")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	for i := range n {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("f%06d.json", i)), []byte(execTrue), 0o600); err != nil {
			return nil, err
		}
	}
	if loop {
		c := exec.CommandContext(ctx, s.bin, "tick", "--loop")
		c.Dir = s.Root()
		if err := c.Start(); err != nil {
			return nil, err
		}
		defer func() {
			c.Process.Signal(syscall.SIGTERM)
			err = errors.Join(err, c.Wait())
		}()
		for left := n; n > 0 && left == n; time.Sleep(10 * time.Millisecond) {
			if left, _, err = s.CountInbox(n); err != nil {
				return nil, err
			}
		}
	}
	for range b.size.floodRounds {
		if left, _, err := s.CountInbox(1); err != nil || n > 0 && left == 0 && len(took) > 0 {
			return took, err // a short flood is over
		}
		spent, err := s.command("submit", "--wait", "--", "true").time(ctx)
		if err != nil {
			return nil, err
		}
		took = append(took, spent.wall)
	}
	return took, nil
}
