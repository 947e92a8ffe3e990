//go:build amd64 || arm64

package sandbox

import (
	"os"
	"runtime"
	"testing"
)

// A job that is smaller than this process must not be given its size, however large it is; one that is larger has its own.
func TestPeakIsTheJobs(t *testing.T) {
	ballast := make([]byte, 64<<20)
	for i := 0; i < len(ballast); i += os.Getpagesize() {
		ballast[i] = 1
	}
	for range 2 { // the second time from what is remembered
		if r := run(t, shell(t, "exec true")); r.MaxRSS != 0 {
			t.Errorf("true: %d bytes", r.MaxRSS)
		}
	}
	runtime.KeepAlive(ballast)
	// The shell holds the text once or a few times.
	r := run(t, shell(t, `x=$(head -c 150000000 /dev/zero | tr '\0' x); exec true`))
	if r.MaxRSS < 150_000_000 || r.MaxRSS > 2_000_000_000 {
		t.Errorf("a shell with a text of 150 MB: %d bytes", r.MaxRSS)
	}
}

// The same of a keeper, which is what a confined job is started from.
func TestPeakIsTheConfinedJobs(t *testing.T) {
	each(t, func(t *testing.T, level Level) {
		if r := run(t, confined(t, level, "exec true")); r.MaxRSS != 0 {
			t.Errorf("true: %d bytes", r.MaxRSS)
		}
		r := run(t, confined(t, level, `x=$(head -c 150000000 /dev/zero | tr '\0' x); exec true`))
		if r.MaxRSS < 150_000_000 || r.MaxRSS > 2_000_000_000 {
			t.Errorf("a shell with a text of 150 MB: %d bytes", r.MaxRSS)
		}
	})
}

func TestHighWater(t *testing.T) {
	for status, want := range map[string]int64{
		"Name:\tx\nVmHWM:\t   37012 kB\nVmRSS:\t 1 kB\n": 37012 << 10,
		"Name:\tx\nState:\tZ\n":                          0,
		"Name:\tx\nVmHWM:\t many kB\n":                   0,
		"":                                               0,
	} {
		if got := highWater([]byte(status)); got != want {
			t.Errorf("%q: %d, want %d", status, got, want)
		}
	}
	own, err := os.ReadFile("/proc/self/status")
	if err != nil || highWater(own) < 1<<20 {
		t.Errorf("own: %d, %v", highWater(own), err)
	}
}
