// Command bench measures what Sheratan costs beside things that everybody knows: xargs, /bin/true, and itself with a
// thousandth of the history. docs/BENCHMARKS.md says what each line means.
//
// What is compared is measured in one run and in turn, A B A B, because two numbers from different moments of a shared
// machine say little. It builds the binary, works in a temporary folder, and removes it. It exits 0 whatever the numbers
// are, and 1 where something could not be measured.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/sheratan/sheratan/hosts/sandbox"
)

func main() {
	sandbox.Main()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench: error:", err)
		os.Exit(1)
	}
}

// measurement is one section of the output.
type measurement struct {
	name string
	run  func(context.Context, *bench) error
}

func measurements() []measurement {
	return []measurement{
		{"jobs", measureJobs},
		{"sandbox", measureSandbox},
		{"gates", measureGates},
		{"start", measureStart},
		{"queue", measureQueue},
		{"drain", measureDrain},
		{"flood", measureFlood},
		{"loop", measureLoop},
		{"commit", measureCommit},
		{"verify", measureVerify},
	}
}

// bench is what the measurements share.
type bench struct {
	bin     string // the binary that is measured
	scratch string // where workspaces are made
	size    sizes
	report  *report
}

// sizes are how much of everything is measured.
type sizes struct {
	jobs, jobRounds        int   // jobs of one tick
	proposals, gateRounds  int   // proposals of one gate
	starts                 int   // runs of each short command
	queued, queueRounds    int   // jobs in the long queue; a thousandth of it is in the short one, but at least 1,000
	drained                int   // jobs in the queue that one tick empties
	events, commitRounds   int   // events of the long history; 1,000 are in the short one
	verified, verifyRounds int   // events of the ledger that is verified; a third of them is in the short one
	looped                 int   // jobs of a loop, of which four times as many are run
	floods                 []int // files of one source in the inbox
	floodRounds            int
}

var (
	fullSizes = sizes{jobs: 2000, jobRounds: 5, proposals: 5000, gateRounds: 5, starts: 40, queued: 1_000_000, queueRounds: 7, drained: 100_000, events: 100_000, commitRounds: 15,
		floods: []int{1000, 10_000, 100_000}, floodRounds: 3, looped: 10_000, verified: 300_000, verifyRounds: 2}
	quickSizes = sizes{jobs: 400, jobRounds: 3, proposals: 1000, gateRounds: 3, starts: 10, queued: 50_000, queueRounds: 5, drained: 5000, events: 20_000, commitRounds: 7,
		floods: []int{5000}, floodRounds: 3, looped: 1000, verified: 30_000, verifyRounds: 2}
)

// largeSizes are a busy day's: 200,000 jobs in a loop, a million events.
func largeSizes() sizes {
	large := fullSizes
	large.looped, large.verified, large.verifyRounds = 50_000, 1_000_000, 1
	return large
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	quick := flags.Bool("quick", false, "smaller numbers, less than a minute")
	large := flags.Bool("large", false, "more jobs in a loop and more events to verify; an hour")
	only := flags.String("only", "", "measure only `NAME`[,NAME]: "+strings.Join(names(), ", "))
	bin := flags.String("bin", "", "measure the program at `PATH` instead of building it")
	against := flags.String("against", "", "compare with the program at `PATH`, which does the same in turn, and measure nothing else")
	keep := flags.Bool("keep", false, "leave the workspaces where they were made, and say where")
	if err := flags.Parse(args); err != nil {
		return err
	}
	chosen, err := choose(*only)
	if err != nil {
		return err
	}
	b := &bench{size: fullSizes, report: &report{w: os.Stdout}}
	if *quick {
		b.size = quickSizes
	}
	if *large {
		b.size = largeSizes()
	}
	if b.scratch, err = os.MkdirTemp("", "sheratan-bench-"); err != nil {
		return err
	}
	if *keep {
		fmt.Println("workspaces in", b.scratch)
	} else {
		defer os.RemoveAll(b.scratch)
	}
	if b.bin, err = program(ctx, *bin, b.scratch); err != nil {
		return err
	}
	fmt.Printf("%s, %d CPUs, %s/%s, load %s\n", runtime.Version(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, loadAverage())
	if *against != "" {
		other, err := filepath.Abs(*against)
		if err != nil {
			return err
		}
		return b.compare(ctx, other, chosen)
	}
	for _, m := range chosen {
		start := time.Now()
		b.report.begin(m.name)
		if err := m.run(ctx, b); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		b.report.line("measured in %.0f s, load now %s", time.Since(start).Seconds(), loadAverage())
	}
	return nil
}

func names() (list []string) {
	for _, m := range measurements() {
		list = append(list, m.name)
	}
	return list
}

func choose(only string) ([]measurement, error) {
	if only == "" {
		return measurements(), nil
	}
	var list []measurement
	for _, name := range strings.Split(only, ",") {
		n := len(list)
		for _, m := range measurements() {
			if m.name == name {
				list = append(list, m)
			}
		}
		if len(list) == n {
			return nil, fmt.Errorf("-only %s: there are %s", name, strings.Join(names(), ", "))
		}
	}
	return list, nil
}

// program returns the binary to measure, built as `make build` builds it where none is given.
func program(ctx context.Context, given, dir string) (string, error) {
	if given != "" {
		return filepath.Abs(given)
	}
	bin := filepath.Join(dir, "sheratan")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", bin, "github.com/sheratan/sheratan/cmd/sheratan")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return bin, nil
}

// loadAverage is the load average of the last minute, "unknown" where the system does not say.
func loadAverage() string {
	b, err := os.ReadFile("/proc/loadavg")
	if f := strings.Fields(string(b)); err == nil && len(f) > 0 {
		return f[0]
	}
	return "unknown"
}
