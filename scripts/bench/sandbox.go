package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/sheratan/sheratan/hosts/sandbox"
)

// measureSandbox starts `true`, two at a time, at each level of the sandbox, and beside it what xargs makes of `true` and
// of bwrap. What is measured is the sandbox alone: no gates, no ledger.
func measureSandbox(ctx context.Context, b *bench) error {
	n := b.size.jobs
	took := map[string]*series{}
	levels := levelsHere()
	var bwrap *series
	hasBwrap := hasProgram("bwrap")
	for range b.size.jobRounds {
		for _, level := range levels {
			d, err := startTrue(ctx, b.scratch, level, n)
			if err != nil {
				return err
			}
			add(took, string(level), d)
		}
		for name, argv := range map[string][]string{"xargs": {"true"}, "bwrap": {"bwrap", "--unshare-all", "--ro-bind", "/", "/", "true"}} {
			count := n
			if name == "bwrap" {
				if !hasBwrap {
					continue
				}
				count = n / 4
			}
			args := append([]string{"xargs", "-P2", "-d", "\n", "-n1"}, argv...)
			s, err := command{stdin: strings.Repeat("\n", count), args: args}.time(ctx)
			if err != nil {
				return err
			}
			add(took, name, s.wall*time.Duration(n)/time.Duration(count))
		}
	}
	b.report.line("true started and ended %d times, two at a time; %d rounds in turn", n, b.size.jobRounds)
	for _, level := range levels {
		b.report.row("sandbox, level "+string(level), *took[string(level)], rateOf(n, *took[string(level)]))
	}
	b.report.row("xargs -P2 -n1 true", *took["xargs"], rateOf(n, *took["xargs"]))
	if bwrap = took["bwrap"]; bwrap != nil {
		b.report.row("xargs -P2 -n1 bwrap --unshare-all true", *bwrap, rateOf(n, *bwrap))
	} else {
		b.report.line("bwrap is not installed, so that nothing is compared with it")
	}
	strongest := took[string(levels[len(levels)-1])]
	if len(levels) == 1 {
		b.report.line("this machine has no sandbox: sheratan doctor tells why")
		return nil
	}
	name := string(levels[len(levels)-1])
	share := 100 * ratioOf(*took["none"], *strongest)
	b.report.ratio("rate at "+name+" : rate at none", fmt.Sprintf("%.0f %%", share), "aim ≥ 60 %", share >= 60)
	if bwrap != nil {
		aim := 3.5
		if os.Geteuid() != 0 {
			aim = 2.5
		}
		times := ratioOf(*bwrap, *strongest)
		b.report.ratio("rate at "+name+" : rate of bwrap", fmt.Sprintf("%.2f", times), fmt.Sprintf("aim ≥ %.1f", aim), times >= aim)
	}
	return nil
}

// levelsHere are the levels that this machine gives, from the weakest.
func levelsHere() []sandbox.Level {
	all := []sandbox.Level{sandbox.LevelNone, sandbox.LevelRestricted, sandbox.LevelFull}
	for i, l := range all {
		if l == sandbox.Probe().Level {
			return all[:i+1]
		}
	}
	return all[:1]
}

func hasProgram(name string) bool {
	_, err := exec.LookPath(name)
	return err == nil
}

func add(to map[string]*series, name string, d time.Duration) {
	if to[name] == nil {
		to[name] = &series{}
	}
	*to[name] = append(*to[name], d)
}

func rateOf(n int, s series) string { return fmt.Sprintf("%.0f/s", perSecond(n, s.median())) }

// ratioOf is how many times as fast b is as a.
func ratioOf(a, b series) float64 { return float64(a.median()) / float64(b.median()) }

// startTrue runs `true` n times, two at a time, and returns what that took. Each of the two has a folder and a keeper,
// which are there before the clock starts, as they are for all but the first jobs of a tick.
func startTrue(ctx context.Context, scratch string, level sandbox.Level, n int) (time.Duration, error) {
	path, err := exec.LookPath("true")
	if err != nil {
		return 0, err
	}
	var keepers sandbox.Keepers
	defer keepers.Close()
	once := func(dir string) error {
		c := &sandbox.Cmd{Path: path, Argv: []string{"true"}, Dir: dir, Env: []string{"PATH=/usr/bin:/bin"},
			Stdout: &sandbox.Capture{Path: filepath.Join(dir, "o")}, Stderr: &sandbox.Capture{Path: filepath.Join(dir, "e")},
			Timeout: time.Minute, Level: level}
		if level != sandbox.LevelNone {
			c.Keepers = &keepers
			c.Confine = &sandbox.Confinement{Read: sandbox.SystemPaths(), Work: dir,
				Limits: sandbox.Limits{Files: 4096, FileSize: 8 << 30, Processes: 4096, Disk: 8 << 30}}
		}
		report, err := c.Run(ctx)
		if err == nil && report.ExitCode != 0 {
			err = fmt.Errorf("true at the level %s: %+v", level, report)
		}
		return err
	}
	dirs := make([]string, 2)
	for i := range dirs {
		if dirs[i], err = os.MkdirTemp(scratch, "job-"); err != nil {
			return 0, err
		}
	}
	both := func(times int) error {
		var wg sync.WaitGroup
		errs := make([]error, len(dirs))
		for i, dir := range dirs {
			wg.Go(func() {
				for range times {
					if errs[i] = once(dir); errs[i] != nil {
						return
					}
				}
			})
		}
		wg.Wait()
		if errs[0] != nil {
			return errs[0]
		}
		return errs[1]
	}
	if err := both(1); err != nil {
		return 0, err
	}
	start := time.Now()
	err = both(n / 2)
	return time.Since(start), err
}
