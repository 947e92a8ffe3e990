// Package job holds the documents that travel through Sheratan: proposals, intakes, jobs, gate reports and results,
// and the table of states a job can be in. It has no behaviour beyond that: no files, no clock, no database.
package job

import (
	"cmp"
	"encoding/json"
	"strings"
	"time"
)

// Schema names, the value of "$schema" in each document.
const (
	SchemaProposal = "sheratan.proposal/v1"
	SchemaIntake   = "sheratan.intake/v1"
	SchemaJob      = "sheratan.job/v1"
	SchemaReport   = "sheratan.report/v1"
	SchemaResult   = "sheratan.result/v1"
	SchemaReply    = "sheratan.reply/v1"
)

// Defaults of the fields that a proposal may leave out.
const (
	DefaultPriority       = PriorityNormal
	DefaultTimeoutSeconds = 300
	DefaultMaxRetries     = 3 // of what is safe to run again; anything else has none
	DefaultBackoff        = BackoffExponential
)

// TimeFormat is RFC 3339 in UTC with microseconds, the form of every time in documents and events.
const TimeFormat = "2006-01-02T15:04:05.000000Z"

// FormatTime prints t in TimeFormat.
func FormatTime(t time.Time) string { return t.UTC().Format(TimeFormat) }

// ParseTime parses what FormatTime prints; any RFC 3339 time is accepted.
func ParseTime(s string) (time.Time, error) { return time.Parse(time.RFC3339Nano, s) }

const maxID = 64

// ValidID reports whether s may be used as an identifier (of a job, source, host, mission, task, or key) and so come
// near a file name: 1 to 64 characters of [A-Za-z0-9._-] that start with a letter or digit, and do not end in .json or
// .jsonl, which the command line takes for files.
func ValidID(s string) bool {
	// By hand: it is asked some thirty times in the life of a job, and a regular expression was one percent of a tick.
	if s == "" || len(s) > maxID || strings.HasSuffix(s, ".json") || strings.HasSuffix(s, ".jsonl") {
		return false
	}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case '0' <= c && c <= '9', 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z':
		case i > 0 && (c == '.' || c == '_' || c == '-'):
		default:
			return false
		}
	}
	return true
}

// Job is the state of a job with everything that is known of it.
type Job struct {
	Schema               string     `json:"$schema"`
	ID                   string     `json:"id"`
	IdempotencyKey       string     `json:"idempotency_key"`
	Source               string     `json:"source"`
	ClaimedSource        string     `json:"claimed_source,omitempty"`
	Priority             Priority   `json:"priority"`
	TimeoutSeconds       int        `json:"timeout_seconds"`
	MaxRetries           int        `json:"max_retries"`
	RetryBackoff         Backoff    `json:"retry_backoff"`
	RetryJitter          Jitter     `json:"retry_jitter,omitempty"`
	RetryOn              []int      `json:"retry_on,omitempty"`
	NoRetryOn            []int      `json:"no_retry_on,omitempty"`
	ConcurrencyKey       string     `json:"concurrency_key,omitempty"`
	DependsOn            []string   `json:"depends_on"`
	OnDependencyFailure  OnFailure  `json:"on_dependency_failure"`
	RequiredCapabilities []string   `json:"required_capabilities"`
	TaskID               string     `json:"task_id,omitempty"`
	MissionID            string     `json:"mission_id,omitempty"`
	Revises              string     `json:"revises,omitempty"`
	Outputs              []Declared `json:"outputs,omitempty"`
	Payload              Payload    `json:"payload"`
	Provenance           Provenance `json:"provenance"`
	CreatedAt            string     `json:"created_at"`

	// Hidden are values that nothing may repeat which the job leaves. They are in no document.
	Hidden []string `json:"-"`

	State
}

// State is the part of a job that changes. The index knows it, by applying events.
type State struct {
	UpdatedAt            string          `json:"updated_at"`
	Status               Status          `json:"status"`
	RetryCount           int             `json:"retry_count"`
	LastRetryAt          string          `json:"last_retry_at,omitempty"`
	Host                 string          `json:"host,omitempty"`
	LeaseUntil           string          `json:"lease_until,omitempty"`
	Result               json.RawMessage `json:"result,omitempty"`
	Error                string          `json:"error,omitempty"`
	GateDecisions        []GateReport    `json:"gate_decisions,omitempty"`
	AuditDecision        json.RawMessage `json:"audit_decision,omitempty"`
	WaitedMS             int64           `json:"waited_ms,omitempty"` // of the last attempt, from being ready to being dispatched
	ExecutedBy           string          `json:"executed_by,omitempty"`
	ExecutionStartedAt   string          `json:"execution_started_at,omitempty"`
	ExecutionCompletedAt string          `json:"execution_completed_at,omitempty"`
}

// New derives the job from its intake and the proposal parsed out of it, filling in the defaults. It is total: what the
// proposal got wrong was reported by the gates, and a field that cannot be used takes its default. MaxRetries stays 0 where the
// proposal does not say it: what it is then depends on the rules.
func New(in Intake, p Proposal) Job {
	j := Job{
		Schema:         SchemaJob,
		ID:             in.JobID,
		IdempotencyKey: p.IdempotencyKey,
		Source:         in.Provenance.Source,
		ClaimedSource:  p.Source,
		Priority:       DefaultPriority,
		TimeoutSeconds: DefaultTimeoutSeconds,
		RetryBackoff:   DefaultBackoff,
		RetryJitter:    p.RetryJitter,
		RetryOn:        p.RetryOn,
		NoRetryOn:      p.NoRetryOn,
		ConcurrencyKey: p.ConcurrencyKey,
		DependsOn:      append([]string{}, p.DependsOn...),
		TaskID:         p.TaskID,

		OnDependencyFailure: p.OnDependencyFailure.OrDefault(),
		MissionID:           cmp.Or(in.Provenance.MissionID, p.MissionID),
		Revises:             in.Revises,
		Outputs:             p.Outputs,
		Payload:             p.Payload,
		Provenance:          in.Provenance,
		CreatedAt:           in.ReceivedAt,
		State:               State{UpdatedAt: in.ReceivedAt, Status: StatusPending},
	}
	j.RequiredCapabilities = append([]string{}, p.RequiredCapabilities...)
	if p.Priority != nil {
		j.Priority = *p.Priority
	}
	if p.TimeoutSeconds != nil {
		j.TimeoutSeconds = *p.TimeoutSeconds
	}
	if p.MaxRetries != nil {
		j.MaxRetries = *p.MaxRetries
	}
	if p.RetryBackoff != "" {
		j.RetryBackoff = p.RetryBackoff
	}
	if in.Key != "" {
		j.IdempotencyKey = in.Key
	}
	if j.IdempotencyKey == "" {
		j.IdempotencyKey = in.JobID
	}
	if j.Payload.Params == nil {
		j.Payload.Params = json.RawMessage("{}")
	}
	return j
}
