package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/sheratan/sheratan/gates"
	"github.com/sheratan/sheratan/hosts"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/pipeline/kind"
	"github.com/sheratan/sheratan/pipeline/rules"
	"github.com/sheratan/sheratan/schemas"
)

// measureGates finds how many proposals one core takes through the gates: by themselves, in a dry run, and with
// everything that belongs to it, from the inbox to the committed ledger.
func measureGates(ctx context.Context, b *bench) error {
	n := b.size.proposals
	s, err := b.newSpace(ctx, "gates", 2)
	if err != nil {
		return err
	}
	proposals := strings.Repeat(kilobyte(), n)
	file := filepath.Join(b.scratch, "proposals.jsonl")
	if err := os.WriteFile(file, []byte(proposals), 0o600); err != nil {
		return err
	}
	pure, closeRules, err := pureGates(ctx, s)
	if err != nil {
		return err
	}
	defer closeRules()
	var alone, dry, full costs
	for range b.size.gateRounds {
		took, err := pure(n)
		if err != nil {
			return err
		}
		alone.add(took)
		if err := timed(ctx, &dry, onOneCore(s.command("gate", "--dry-run", "--json", file))); err != nil {
			return err
		}
		if err := s.submit(ctx, proposals); err != nil {
			return err
		}
		if err := timed(ctx, &full, onOneCore(s.command("gate", "--json"))); err != nil {
			return err
		}
	}
	b.report.line("%d proposals of 1,024 bytes through G0 to G4, on one core; %d rounds in turn", n, b.size.gateRounds)
	for _, row := range []struct {
		name string
		took costs
	}{
		{"parse and evaluate, in one process", alone},
		{"sheratan gate --dry-run", dry},
		{"sheratan gate, inbox to committed ledger", full},
	} {
		b.report.row(row.name, row.took.wall, fmt.Sprintf("CPU %s", short(row.took.cpu.median())))
		b.rate(n, row.took)
	}
	return nil
}

// rate prints the rate of n proposals in the time of c beside the aim.
func (b *bench) rate(n int, c costs) {
	rate := perSecond(n, c.wall.median())
	b.report.ratio("", fmt.Sprintf("%.0f/s", rate), fmt.Sprintf("(%.0f/s of CPU) aim ≥ 5000/s", perSecond(n, c.cpu.median())), rate >= 5000)
}

// onOneCore confines a command to one core, by taskset where that is there, and its Go code in any case.
func onOneCore(c command) command {
	c.env = append(c.env, "GOMAXPROCS=1")
	if path, err := exec.LookPath("taskset"); err == nil {
		c.args = append([]string{path, "-c", "0"}, c.args...)
	}
	return c
}

// pureGates returns a function that parses and judges n proposals on one core of this process.
func pureGates(ctx context.Context, s space) (func(n int) (spent, error), func(), error) {
	r, err := rules.Load(ctx, s.Workspace, rules.Options{})
	if err != nil {
		return nil, nil, err
	}
	var offered []string
	for _, k := range kind.Builtin() {
		offered = append(offered, k.Capabilities...)
	}
	facts := gates.Facts{Hosts: [][]string{hosts.LocalHost(hosts.Local, 2, offered).Capabilities}}
	raw := []byte(strings.TrimSpace(kilobyte()))
	intake := job.Intake{Schema: job.SchemaIntake, JobID: "bench", ReceivedAt: job.FormatTime(time.Now()),
		Provenance: job.Provenance{Zone: job.ZoneInbox, Source: "operator"}}
	one := func() error {
		value, canonical, err := schemas.ParseCanonical(raw, r.ParseLimits())
		if err != nil {
			return err
		}
		in := intake
		in.Proposal = canonical
		report := r.Gates.Evaluate(ctx, gates.Input{Intake: in, Value: value, Facts: facts})
		if !report.Approved() {
			return fmt.Errorf("the proposal of the benchmark is not approved: %+v", report)
		}
		return nil
	}
	return func(n int) (spent, error) {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
		before, start := ownCPU(), time.Now()
		for range n {
			if err := one(); err != nil {
				return spent{}, err
			}
		}
		return spent{wall: time.Since(start), cpu: ownCPU() - before}, nil
	}, func() { r.Close() }, nil
}
