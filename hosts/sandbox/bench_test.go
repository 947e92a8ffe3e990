package sandbox

import (
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkTrue runs `true` two at a time at each level, and reports the rate beside those of xargs -P2 and of
// bwrap --unshare-all, where they are installed, measured in the same run.
func BenchmarkTrue(b *testing.B) {
	for _, level := range []Level{LevelNone, LevelRestricted, LevelFull} {
		b.Run(string(level), func(b *testing.B) { benchmarkTrue(b, level) })
	}
}

func benchmarkTrue(b *testing.B, level Level) {
	path, err := exec.LookPath("true")
	if err != nil {
		b.Skip(err)
	}
	var keepers Keepers
	defer keepers.Close()
	work := make(chan int)
	done := make(chan bool)
	var failed atomic.Pointer[string]
	for range 2 {
		dir := b.TempDir()
		go func() {
			for range work {
				c := &Cmd{Path: path, Argv: []string{"true"}, Dir: dir, Env: []string{"PATH=/usr/bin:/bin"},
					Stdout: &Capture{Path: filepath.Join(dir, "o")}, Stderr: &Capture{Path: filepath.Join(dir, "e")},
					Timeout: time.Minute, Level: level, Keepers: &keepers}
				if level != LevelNone {
					c.Confine = &Confinement{Read: SystemPaths(), Work: dir,
						Limits: Limits{Data: 1 << 30, Files: 1024, FileSize: 1 << 30, CPU: 60, Processes: 500, Disk: 1 << 30}}
				}
				if r, err := c.Run(b.Context()); err != nil || r.ExitCode != 0 {
					text := "exit status " + strconv.Itoa(r.ExitCode)
					if err != nil {
						text = err.Error()
					}
					failed.Store(&text)
				}
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
	if text := failed.Load(); text != nil {
		b.Fatal(*text)
	}
	b.ReportMetric(rate, "runs/s")
	if b.N < 500 {
		return
	}
	beside(b, rate, "xargs", 2000, "xargs", "-P2", "-n1", "true")
	beside(b, rate, "bwrap", 500, "xargs", "-P2", "-n1", "bwrap", "--unshare-all", "--ro-bind", "/", "/", "true")
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
