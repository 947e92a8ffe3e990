package hosts

import (
	"fmt"
	"strings"
)

// Bid is what one host had to offer for a job.
type Bid struct {
	Host     string  `json:"host"`
	Eligible bool    `json:"eligible"`
	Load     float64 `json:"load"` // the part of its slots that is taken, from 0
	Why      string  `json:"why"`  // for people: why it cannot have the job, or how busy it is
}

// Pick chooses a host for a job that needs these capabilities: one that is online, has a free slot and offers all of
// them; of several the least loaded, then the one with the fewest jobs, then the first by id. The order of the hosts
// does not matter. It returns the zero Host where none can take the job. The bids are in the order of the hosts; reason says in
// one line why this host, or why none.
func Pick(hosts []Host, need []string) (chosen Host, bids []Bid, reason string) {
	bids = make([]Bid, len(hosts))
	best := -1
	eligible := 0
	for i, h := range hosts {
		bids[i] = bid(h, need)
		if !bids[i].Eligible {
			continue
		}
		eligible++
		if best < 0 || before(h, hosts[best]) {
			best = i
		}
	}
	switch {
	case best < 0:
		return Host{}, bids, refusal(bids)
	case eligible == 1:
		reason = fmt.Sprintf("%s is the only host that can take it: %s", hosts[best].ID, bids[best].Why)
	default:
		reason = fmt.Sprintf("%s is the least loaded of %d hosts that can take it: %s", hosts[best].ID, eligible, bids[best].Why)
	}
	return hosts[best], bids, reason
}

func bid(h Host, need []string) Bid {
	b := Bid{Host: h.ID, Load: h.Load()}
	missing := h.Missing(need)
	switch {
	case h.Status != Online && h.Status != Busy:
		b.Why = "is " + string(h.Status)
	case len(missing) > 0:
		b.Why = "does not offer " + strings.Join(missing, ", ")
	case !h.free():
		b.Why = fmt.Sprintf("has no free slot (%d of %d)", h.CurrentJobs, h.MaxConcurrent)
	case h.Status == Busy:
		b.Why = "is busy"
	case h.MaxConcurrent <= 0:
		b.Eligible, b.Why = true, fmt.Sprintf("%d jobs, no limit", h.CurrentJobs)
	default:
		b.Eligible, b.Why = true, fmt.Sprintf("%d of %d slots taken", h.CurrentJobs, h.MaxConcurrent)
	}
	return b
}

// before orders hosts that can take a job. Loads are compared as fractions: equal ones need not be equal as
// floating-point numbers.
func before(a, b Host) bool {
	takenA, slotsA := a.fraction()
	takenB, slotsB := b.fraction()
	switch x, y := takenA*slotsB, takenB*slotsA; {
	case x != y:
		return x < y
	case a.CurrentJobs != b.CurrentJobs:
		return a.CurrentJobs < b.CurrentJobs
	default:
		return a.ID < b.ID
	}
}

// refusal says why nobody can take the job.
func refusal(bids []Bid) string {
	if len(bids) == 0 {
		return "there is no host"
	}
	const most = 3
	parts := make([]string, 0, most+1)
	for _, b := range bids {
		if len(parts) == most {
			parts = append(parts, fmt.Sprintf("and %d more", len(bids)-most))
			break
		}
		parts = append(parts, b.Host+" "+b.Why)
	}
	return "no host can take it: " + strings.Join(parts, "; ")
}
