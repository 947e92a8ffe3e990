package sandbox

import (
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// BenchmarkTrue runs `true` two at a time at each level. Beside it, in the same run and as ratios: the same without a
// sandbox (xnone), and what xargs -P2 makes of `true` and of bwrap --unshare-all, where they are installed.
func BenchmarkTrue(b *testing.B) {
	for _, level := range []Level{LevelNone, LevelRestricted, LevelFull} {
		b.Run(string(level), func(b *testing.B) { benchmarkTrue(b, level) })
	}
}

func benchmarkTrue(b *testing.B, level Level) {
	b.ResetTimer()
	rate := trueRate(b, level, b.N)
	b.StopTimer()
	b.ReportMetric(rate, "runs/s")
	if b.N < 500 {
		return
	}
	if level != LevelNone {
		b.ReportMetric(rate/trueRate(b, LevelNone, 1000), "xnone")
	}
	beside(b, rate, "xargs", 1000, "xargs", "-P2", "-n1", "true")
	beside(b, rate, "bwrap", 500, "xargs", "-P2", "-n1", "bwrap", "--unshare-all", "--ro-bind", "/", "/", "true")
}

// trueRate runs n times `true`, two at a time, and returns how many that were each second.
func trueRate(b *testing.B, level Level, n int) float64 {
	path, err := exec.LookPath("true")
	if err != nil {
		b.Skip(err)
	}
	var keepers Keepers
	defer keepers.Close()
	command := func(dir string) error {
		c := &Cmd{Path: path, Argv: []string{"true"}, Dir: dir, Env: []string{"PATH=/usr/bin:/bin"},
			Stdout: &Capture{Path: filepath.Join(dir, "o")}, Stderr: &Capture{Path: filepath.Join(dir, "e")},
			Timeout: time.Minute, Level: level, Keepers: &keepers}
		if level != LevelNone {
			c.Confine = &Confinement{Read: SystemPaths(), Work: dir,
				Limits: Limits{Data: 1 << 30, Files: 1024, FileSize: 1 << 30, CPU: 60, Processes: 500, Disk: 1 << 30}}
		}
		_, err := c.Run(b.Context())
		return err
	}
	work := make(chan int)
	done := make(chan error)
	for range 2 {
		dir := b.TempDir()
		go func() {
			err := command(dir)
			done <- err
			for range work {
				if e := command(dir); e != nil {
					err = e
				}
			}
			done <- err
		}()
	}
	<-done
	<-done
	start := time.Now()
	for i := range n {
		work <- i
	}
	close(work)
	for range 2 {
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
	return float64(n) / time.Since(start).Seconds()
}

// BenchmarkKeeper starts `true` with a keeper for each, as for a confinement that was not used before.
func BenchmarkKeeper(b *testing.B) {
	for _, level := range []Level{LevelRestricted, LevelFull} {
		b.Run(string(level), func(b *testing.B) {
			dir := b.TempDir()
			for b.Loop() {
				c := &Cmd{Path: "/bin/true", Argv: []string{"true"}, Dir: dir, Level: level,
					Confine: &Confinement{Read: SystemPaths(), Work: dir}}
				if _, err := c.Run(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// beside reports the rate of another way to run n processes, and ours as a multiple of it.
func beside(b *testing.B, rate float64, name string, n int, argv ...string) {
	if _, err := exec.LookPath(name); err != nil {
		return
	}
	cmd := exec.Command("sh", append([]string{"-c", "seq " + strconv.Itoa(n) + ` | "$@"`, "sh"}, argv...)...)
	start := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Logf("%s: %v %s", name, err, out)
		return
	}
	base := float64(n) / time.Since(start).Seconds()
	b.ReportMetric(base, name+"/s")
	b.ReportMetric(rate/base, "x"+name)
}
