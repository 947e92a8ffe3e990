package sandbox

import (
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// BenchmarkTrue runs `true` two at a time, and reports the rate beside that of xargs -P2 measured in the same run.
func BenchmarkTrue(b *testing.B) {
	path, err := exec.LookPath("true")
	if err != nil {
		b.Skip(err)
	}
	dir := b.TempDir()
	run := func() {
		c := &Cmd{Path: path, Argv: []string{"true"}, Dir: dir, Env: []string{"PATH=/usr/bin:/bin"},
			Stdout: &Capture{Path: filepath.Join(dir, "o")}, Stderr: &Capture{Path: filepath.Join(dir, "e")},
			Timeout: time.Minute}
		if r, err := c.Run(b.Context()); err != nil || r.ExitCode != 0 {
			b.Error(r, err)
		}
	}
	work := make(chan int)
	done := make(chan bool)
	for range 2 {
		go func() {
			for range work {
				run()
			}
			done <- true
		}()
	}
	b.ResetTimer()
	for i := range b.N {
		work <- i
	}
	close(work)
	<-done
	<-done
	rate := float64(b.N) / b.Elapsed().Seconds()
	b.StopTimer()
	b.ReportMetric(rate, "runs/s")
	if xargs, err := exec.LookPath("xargs"); err == nil && b.N >= 1000 {
		start := time.Now()
		if err := exec.Command("sh", "-c", "seq 2000 | "+xargs+" -P2 -n1 true").Run(); err != nil {
			b.Fatal(err)
		}
		base := 2000 / time.Since(start).Seconds()
		b.ReportMetric(base, "xargs/s")
		b.ReportMetric(100*rate/base, "%xargs")
	}
}
