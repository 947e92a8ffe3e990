package job

// Status is the state of a job.
type Status string

// The states of a job. Each says who moves a job in and out, and what a crash leaves.
const (
	// StatusPending: received by the intake, or approved by gate, audit or approve, and not yet running. Dispatch leases
	// it, run starts it, cancel ends it. A crash leaves it pending.
	StatusPending Status = "pending"
	// StatusThrottled: approved, and over the rate of its bucket. The sweep makes it pending when its turn has come. A pending job
	// that waits only until fewer of its bucket are in flight is shown as throttled, and is pending.
	StatusThrottled Status = "throttled"
	// StatusRunning: an attempt was started. Run ends it. A crash leaves it running, and recovery finds out from the
	// lease and the start marker what became of it.
	StatusRunning Status = "running"
	// StatusCompleted: the last attempt succeeded. Final.
	StatusCompleted Status = "completed"
	// StatusFailed: the last attempt failed, or a dependency did. Retry makes it pending again.
	StatusFailed Status = "failed"
	// StatusQuarantined: in queue/blocked, because of the gates or because its outcome is unknown. Approve, audit or a
	// second gating move it to pending, reject and revise to cancelled.
	StatusQuarantined Status = "quarantined"
	// StatusCancelled: an operator ended it. Retry makes it pending again, unless it was rejected.
	StatusCancelled Status = "cancelled"
)

// Statuses lists all states.
var Statuses = []Status{StatusPending, StatusThrottled, StatusRunning, StatusCompleted, StatusFailed,
	StatusQuarantined, StatusCancelled}

// Final reports whether the job is over unless somebody takes it up again.
func (s Status) Final() bool {
	return s == StatusCompleted || s == StatusFailed || s == StatusCancelled
}

// Zone is the place of a job's file: inbox, approved, blocked or outbox. A pending job that no gate has seen yet is in
// the inbox; that is the caller's to know.
func (s Status) Zone() string {
	switch s {
	case StatusPending, StatusThrottled, StatusRunning:
		return "approved"
	case StatusQuarantined:
		return "blocked"
	default:
		return "outbox"
	}
}
