package agent

import (
	"os/exec"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
)

// BenchmarkTrue executes `true` as a job, two at a time, and reports the rate beside that of xargs -P2 in the same run.
func BenchmarkTrue(b *testing.B) {
	path, err := exec.LookPath("true")
	if err != nil {
		b.Skip(err)
	}
	f := newFixture(b, func(o *Options) {
		o.Resolve = func(job.Job, string, []string) (string, string, error) { return path, "0", nil }
	})
	j := newJob(b, "j", "exec", object{"argv": []string{"true"}}, 10)
	parallel(b, func(i int64) {
		j := j
		j.ID = "job-" + strconv.FormatInt(i, 10)
		if r := f.Attempt(b.Context(), j, 1); r.Status != job.StatusCompleted {
			b.Error(dump(r))
		}
		if err := Forget(f.opt.WorkDir, j.ID, 1); err != nil {
			b.Error(err)
		}
	})
	rate := float64(b.N) / b.Elapsed().Seconds()
	b.ReportMetric(rate, "jobs/s")
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

// BenchmarkRead reads a small file, two at a time.
func BenchmarkRead(b *testing.B) {
	f := newFixture(b)
	put(b, f.ws+"/work/f", "hello")
	j := newJob(b, "j", "file_read", object{"path": "f"}, 10)
	parallel(b, func(i int64) {
		j := j
		j.ID = "job-" + strconv.FormatInt(i, 10)
		if r := f.Attempt(b.Context(), j, 1); r.Status != job.StatusCompleted {
			b.Error(dump(r))
		}
	})
}

// BenchmarkSync syncs the outputs of a batch.
func BenchmarkSync(b *testing.B) {
	f := newFixture(b)
	j := newJob(b, "j", "exec", object{"argv": []string{"echo", "hello"}}, 10)
	const batch = 100
	for b.Loop() {
		var results []job.Result
		for i := range batch {
			j.ID = strconv.Itoa(i)
			results = append(results, f.Attempt(b.Context(), j, 1))
		}
		start := time.Now()
		if err := Sync(f.ws, results); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(time.Since(start).Microseconds())/batch, "µs-sync/job")
	}
}

// parallel calls run two at a time, and reports the processor time that this process itself took for it.
func parallel(b *testing.B, run func(i int64)) {
	var next atomic.Int64
	done := make(chan bool)
	var before, after syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	b.ResetTimer()
	for range 2 {
		go func() {
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				run(i)
			}
			done <- true
		}()
	}
	<-done
	<-done
	b.StopTimer()
	syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	cpu := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
	b.ReportMetric(float64(cpu)/1000/float64(b.N), "µs-own-cpu/job")
}
