// Package hosts describes the processes that run jobs, and chooses one of them for a job.
package hosts

import "slices"

// Status says whether a host takes jobs.
type Status string

// The statuses. A host that has no free slot is busy, one that is drained or was not heard of is offline.
const (
	Online  Status = "online"
	Busy    Status = "busy"
	Offline Status = "offline"
)

// Schema is the value of "$schema" in a host that is a document of its own.
const Schema = "sheratan.host/v1"

// Local is the id of the host that is always there: the machine of the workspace.
const Local = "local"

// Host is one process that runs jobs, and how busy it is.
type Host struct {
	Schema        string   `json:"$schema,omitempty"` // Schema where the host is a document of its own
	ID            string   `json:"id"`
	Status        Status   `json:"status"`
	LastHeartbeat string   `json:"last_heartbeat"` // job.TimeFormat; "" where there was none
	Capabilities  []string `json:"capabilities"`   // in order, each once
	CurrentJobs   int      `json:"current_jobs"`
	MaxConcurrent int      `json:"max_concurrent"` // 0 is unlimited
}

// LocalHost returns an idle host of this machine. Its capabilities are put in order, each once.
func LocalHost(id string, maxConcurrent int, capabilities []string) Host {
	list := append([]string{}, capabilities...)
	slices.Sort(list)
	return Host{
		ID:            id,
		Status:        Online,
		Capabilities:  slices.Compact(list),
		MaxConcurrent: maxConcurrent,
	}
}

// WithJobs returns the host as it is with that many jobs: busy where no slot is left, online again where one is, and
// offline as before.
func (h Host) WithJobs(current int) Host {
	h.CurrentJobs = current
	switch {
	case h.Status == Offline:
	case h.free():
		h.Status = Online
	default:
		h.Status = Busy
	}
	return h
}

// free reports whether the host has a free slot.
func (h Host) free() bool { return h.MaxConcurrent <= 0 || h.CurrentJobs < h.MaxConcurrent }

// Load returns which part of the slots is taken: 0 where none is, 1 where all are. Without a limit there is no load.
func (h Host) Load() float64 {
	taken, slots := h.fraction()
	return float64(taken) / float64(slots)
}

// fraction returns the load as a fraction of two whole numbers.
func (h Host) fraction() (taken, slots int64) {
	if h.MaxConcurrent <= 0 {
		return 0, 1
	}
	return int64(h.CurrentJobs), int64(h.MaxConcurrent)
}

// Missing returns the capabilities of need that the host does not offer, in the order of need.
func (h Host) Missing(need []string) []string {
	var missing []string
	for _, c := range need {
		if !slices.Contains(h.Capabilities, c) && !slices.Contains(missing, c) {
			missing = append(missing, c)
		}
	}
	return missing
}
