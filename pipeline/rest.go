package pipeline

import (
	"slices"
	"sync"
	"time"

	"github.com/sheratan/sheratan/runtime/index"
)

// rest is how this process holds back where its machine could not start a job. It is about the machine, and so is not in the
// ledger but for the lease that was given back: another process may find the machine in order again.
//
// Nothing is leased for a moment, longer with each fault that follows upon another; then one job at a time, until one
// starts. A job whose own start failed, which may lie in its files, waits longer, and keeps nobody else from starting.
type rest struct {
	mu     sync.Mutex
	faults int       // since a job was started last
	since  time.Time // the first of them
	until  time.Time
	jobs   map[string]jobRest
}

type jobRest struct {
	faults int
	until  time.Time
}

// Pauses after the first fault. Each further one doubles them, up to the longest.
const (
	hostRest    = 50 * time.Millisecond
	hostRestMax = 10 * time.Second
	ownRest     = 250 * time.Millisecond
	ownRestMax  = time.Minute
)

func pause(first, most time.Duration, faults int) time.Duration {
	return min(most, first<<min(faults-1, 20))
}

// fault notes that the machine could not start a job.
func (h *rest) fault(id string, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.faults++; h.faults == 1 {
		h.since = now
	}
	h.until = now.Add(pause(hostRest, hostRestMax, h.faults))
	if h.jobs == nil {
		h.jobs = map[string]jobRest{}
	}
	own := h.jobs[id]
	own.faults++
	own.until = now.Add(pause(ownRest, ownRestMax, own.faults))
	h.jobs[id] = own
}

// started notes that the machine could start one.
func (h *rest) started(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.faults, h.until = 0, time.Time{}
	delete(h.jobs, id)
}

// room is how many of n jobs may be leased now.
func (h *rest) room(n int, now time.Time) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.faults == 0:
		return n
	case now.Before(h.until):
		return 0
	}
	return min(n, 1)
}

// claim is the head of the queue without the jobs that rest.
func (h *rest) claim(r *index.Reader, n int, now time.Time) ([]indexRow, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.jobs) == 0 || n == 0 {
		return r.Claim(n)
	}
	rows, err := r.Claim(n + len(h.jobs))
	awake := rows[:0]
	for _, row := range rows {
		if !now.Before(h.jobs[row.ID].until) && len(awake) < n {
			awake = append(awake, row)
		}
	}
	return awake, err
}

// claimIDs is up to n of these jobs, in their order, without those that rest.
func (h *rest) claimIDs(r *index.Reader, ids []string, n int, now time.Time) ([]indexRow, error) {
	if len(ids) == 0 || n == 0 {
		return nil, nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	awake := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return now.Before(h.jobs[id].until) })
	rows, err := r.ClaimIDs(awake)
	return rows[:min(n, len(rows))], err
}

// next is when it is worth trying again, where some job could not be started and the first fault of this row of faults was
// less than patience ago. The zero time is never.
func (h *rest) next(now time.Time, patience time.Duration) (at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.faults == 0 || now.Sub(h.since) > patience {
		return at
	}
	for _, own := range h.jobs {
		if at.IsZero() || own.until.Before(at) {
			at = own.until
		}
	}
	if at.Before(h.until) {
		at = h.until
	}
	return at
}
