package job

import (
	"slices"
	"time"
)

// Backoff names how the waits between retries grow.
type Backoff string

// The backoffs: 2^k or k+1 seconds before retry k = 0, 1, 2, …
const (
	BackoffExponential Backoff = "exponential"
	BackoffLinear      Backoff = "linear"
)

// Jitter says whether the waits between attempts are drawn at random.
type Jitter string

// The jitters. Full draws a wait between nothing and what the backoff comes to, so that jobs that failed together do not
// come back together.
const (
	JitterNone Jitter = "none"
	JitterFull Jitter = "full"
)

// Wait returns the pause before retry k = 0, 1, 2, … It never exceeds most, where that is not 0.
func (b Backoff) Wait(k int, most time.Duration) time.Duration {
	k = min(max(k, 0), 1<<20)
	d := time.Duration(k+1) * time.Second
	if b != BackoffLinear {
		d = time.Second << min(k, 20)
	}
	if most > 0 {
		d = min(d, most)
	}
	return d
}

// RetriesExit reports whether an attempt that ended with the exit code is worth another one.
func (j *Job) RetriesExit(code int) bool {
	return !slices.Contains(j.NoRetryOn, code) && (len(j.RetryOn) == 0 || slices.Contains(j.RetryOn, code))
}
