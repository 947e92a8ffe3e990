package sandbox

import (
	"bytes"
	"os"
	"strconv"
	"sync/atomic"
)

// ownPeak is the largest resident set of this process, in bytes, as it was read last. It only grows.
var ownPeak atomic.Int64

// peak makes of the maxrss of a process that was waited for the largest resident set that it, or one of its own, is known to
// have had, in bytes; 0 is unknown. A process begins its life as a second name of our memory, and Linux carries the peak of
// that over the exec: below it nobody can tell what was the job's. What the kernel counts may differ by a few megabytes
// from one moment to the next, so that a bit more than ours is not believed either.
func peak(maxrss int64) int64 {
	if maxrss <= withSlack(ownPeak.Load()) {
		return 0 // ours can only have grown since it was read, so that this costs small jobs nothing
	}
	status, err := os.ReadFile("/proc/self/status")
	own := highWater(status)
	if err != nil || own == 0 {
		return 0
	}
	ownPeak.Store(own)
	if maxrss <= withSlack(own) {
		return 0
	}
	return maxrss
}

func withSlack(n int64) int64 { return n + n/8 }

// highWater is VmHWM of a status file of /proc, in bytes; 0 where it has none.
func highWater(status []byte) int64 {
	_, rest, ok := bytes.Cut(status, []byte("\nVmHWM:"))
	if !ok {
		return 0
	}
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	kib, err := strconv.ParseInt(string(bytes.TrimSpace(bytes.TrimSuffix(line, []byte("kB")))), 10, 64)
	if err != nil {
		return 0
	}
	return kib << 10
}
