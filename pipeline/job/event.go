package job

import "slices"

// EventName names what happened. The list is closed: docs/LEDGER.md documents each, and a test compares the two.
type EventName string

// The events about jobs.
const (
	ProposalReceived  EventName = "PROPOSAL_RECEIVED"
	GatesReported     EventName = "GATES_REPORTED"
	JobApproved       EventName = "JOB_APPROVED"
	JobBlocked        EventName = "JOB_BLOCKED"
	AuditRequested    EventName = "AUDIT_REQUESTED"
	AuditReported     EventName = "AUDIT_REPORTED"
	AuditFailed       EventName = "AUDIT_FAILED"
	JobPatched        EventName = "JOB_PATCHED"
	FindingWaived     EventName = "FINDING_WAIVED"
	OperatorApproved  EventName = "OPERATOR_APPROVED"
	OperatorRejected  EventName = "OPERATOR_REJECTED"
	JobRevised        EventName = "JOB_REVISED"
	JobDeduplicated   EventName = "JOB_DEDUPLICATED"
	KeyExpired        EventName = "KEY_EXPIRED"
	JobReady          EventName = "JOB_READY"
	JobThrottled      EventName = "JOB_THROTTLED"
	JobDispatched     EventName = "JOB_DISPATCHED"
	JobLeased         EventName = "JOB_LEASED"
	JobStarted        EventName = "JOB_STARTED"
	JobAttemptFailed  EventName = "JOB_ATTEMPT_FAILED"
	JobRetryScheduled EventName = "JOB_RETRY_SCHEDULED"
	JobCompleted      EventName = "JOB_COMPLETED"
	JobFailed         EventName = "JOB_FAILED"
	JobCancelled      EventName = "JOB_CANCELLED"
	OutcomeUnknown    EventName = "OUTCOME_UNKNOWN"
	LeaseExpired      EventName = "LEASE_EXPIRED"
)

// The events about everything else.
const (
	HostEnrolled    EventName = "HOST_ENROLLED"
	HostOnline      EventName = "HOST_ONLINE"
	HostOffline     EventName = "HOST_OFFLINE"
	HostDrained     EventName = "HOST_DRAINED"
	HostRevoked     EventName = "HOST_REVOKED"
	HostRefused     EventName = "HOST_REFUSED"
	ConfigLoaded    EventName = "CONFIG_LOADED"
	Paused          EventName = "PAUSED"
	Resumed         EventName = "RESUMED"
	IntakeDeferred  EventName = "INTAKE_DEFERRED"
	TornTailMoved   EventName = "TORN_TAIL_MOVED"
	DocumentRemoved EventName = "DOCUMENT_REMOVED"
	Tick            EventName = "TICK"

	MissionSubmitted EventName = "MISSION_SUBMITTED"
	MissionCancelled EventName = "MISSION_CANCELLED"
	MissionRetried   EventName = "MISSION_RETRIED"
	MissionEnded     EventName = "MISSION_ENDED"
)

// WorkspaceEvents lists the events that concern no job.
var WorkspaceEvents = []EventName{HostEnrolled, HostOnline, HostOffline, HostDrained, HostRevoked, HostRefused,
	ConfigLoaded, Paused, Resumed, IntakeDeferred, TornTailMoved, DocumentRemoved, Tick,
	MissionSubmitted, MissionCancelled, MissionRetried, MissionEnded}

// Transition is one row of the state table: an event, the states in which a job may be when it happens, and the state
// that it brings the job to. From holding "" means that the job does not exist yet; To being "" that it stays as it is.
type Transition struct {
	Event EventName
	From  []Status
	To    Status
}

// Transitions is the state table of a job. The index applies no event that it does not allow.
var Transitions = []Transition{
	{ProposalReceived, []Status{""}, StatusPending},
	{GatesReported, []Status{StatusPending, StatusThrottled, StatusQuarantined}, ""},
	{JobApproved, []Status{StatusPending, StatusQuarantined}, StatusPending},
	{JobBlocked, []Status{StatusPending, StatusThrottled, StatusQuarantined}, StatusQuarantined},
	{AuditRequested, []Status{StatusQuarantined}, ""},
	{AuditReported, []Status{StatusQuarantined}, ""},
	{AuditFailed, []Status{StatusQuarantined}, ""},
	{JobPatched, []Status{StatusQuarantined}, ""},
	{FindingWaived, []Status{StatusQuarantined}, ""},
	{OperatorApproved, []Status{StatusQuarantined}, ""},
	{OperatorRejected, []Status{StatusQuarantined}, StatusCancelled},
	{JobRevised, []Status{StatusQuarantined, StatusFailed, StatusCancelled}, ""},
	{JobDeduplicated, []Status{StatusPending, StatusThrottled, StatusRunning, StatusCompleted, StatusFailed,
		StatusQuarantined, StatusCancelled}, ""},
	{KeyExpired, []Status{StatusCompleted, StatusFailed}, ""},
	{JobReady, []Status{StatusPending, StatusThrottled}, StatusPending},
	{JobThrottled, []Status{StatusPending, StatusThrottled}, StatusThrottled},
	{JobDispatched, []Status{StatusPending}, ""},
	{JobLeased, []Status{StatusPending}, ""},
	{JobStarted, []Status{StatusPending}, StatusRunning},
	{JobAttemptFailed, []Status{StatusRunning}, ""},
	{JobRetryScheduled, []Status{StatusRunning, StatusFailed, StatusCancelled}, StatusPending},
	{JobCompleted, []Status{StatusRunning, StatusPending}, StatusCompleted},
	{JobFailed, []Status{StatusRunning, StatusPending, StatusThrottled}, StatusFailed},
	{JobCancelled, []Status{StatusPending, StatusThrottled, StatusRunning, StatusQuarantined}, StatusCancelled},
	{OutcomeUnknown, []Status{StatusRunning, StatusPending}, StatusQuarantined},
	{LeaseExpired, []Status{StatusPending, StatusRunning}, StatusPending},
}

// Next returns the state to which event e brings a job that is in state from ("" where there is no such job yet), and
// whether the table allows it. An event that concerns no job is not in the table.
func Next(e EventName, from Status) (Status, bool) {
	for i := range Transitions {
		t := &Transitions[i]
		if t.Event != e {
			continue
		}
		if !slices.Contains(t.From, from) {
			return from, false
		}
		if t.To == "" {
			return from, true
		}
		return t.To, true
	}
	return from, false
}
