// Package job holds the documents that travel through Sheratan: proposals, intakes, jobs, gate reports and results,
// and the table of states a job can be in. It has no behaviour beyond that: no files, no clock, no database.
package job

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
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
	DefaultMaxRetries     = 3
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

// Priority is the class of a job; the smaller, the more urgent.
type Priority int

// The four priorities.
const (
	PriorityCritical Priority = iota
	PriorityHigh
	PriorityNormal
	PriorityLow
)

var priorityNames = [...]string{"critical", "high", "normal", "low"}

// String returns the name of p.
func (p Priority) String() string {
	if p < 0 || int(p) >= len(priorityNames) {
		return fmt.Sprintf("priority(%d)", int(p))
	}
	return priorityNames[p]
}

// ParsePriority accepts a name or a number from 0 to 3.
func ParsePriority(s string) (Priority, error) {
	for i, n := range priorityNames {
		if s == n || s == fmt.Sprint(i) {
			return Priority(i), nil
		}
	}
	return 0, fmt.Errorf("priority %q is none of critical, high, normal, low, 0 to 3", s)
}

// UnmarshalJSON accepts a name or a number from 0 to 3.
func (p *Priority) UnmarshalJSON(b []byte) error {
	s := string(b)
	if len(b) > 0 && b[0] == '"' {
		if err := json.Unmarshal(b, &s); err != nil {
			return err
		}
	}
	v, err := ParsePriority(s)
	if err != nil {
		return err
	}
	*p = v
	return nil
}

// Target is how long a job of this priority should wait at most before it starts. Within the claim order it is added
// to the time of acceptance, and so it is also how jobs age: an old low one overtakes a new normal one.
func (p Priority) Target() time.Duration {
	switch p {
	case PriorityCritical:
		return 0
	case PriorityHigh:
		return time.Minute
	case PriorityNormal:
		return 5 * time.Minute
	default:
		return time.Hour
	}
}

// Class is the first part of the claim order: 0 for critical jobs, which go before everything, 1 for all others, which
// are ordered by acceptance plus Target.
func (p Priority) Class() int {
	if p == PriorityCritical {
		return 0
	}
	return 1
}

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

// Payload says what to do: a kind and its parameters.
type Payload struct {
	Kind   string          `json:"kind"`
	Params json.RawMessage `json:"params"`
}

// Proposal is what a proposer may say. Pointers tell "left out" from "zero".
type Proposal struct {
	Schema               string     `json:"$schema,omitempty"`
	ID                   string     `json:"id,omitempty"`
	IdempotencyKey       string     `json:"idempotency_key,omitempty"`
	Source               string     `json:"source,omitempty"`
	Priority             *Priority  `json:"priority,omitempty"`
	TimeoutSeconds       *int       `json:"timeout_seconds,omitempty"`
	MaxRetries           *int       `json:"max_retries,omitempty"`
	RetryBackoff         Backoff    `json:"retry_backoff,omitempty"`
	RetryJitter          Jitter     `json:"retry_jitter,omitempty"`
	RetryOn              []int      `json:"retry_on,omitempty"`
	NoRetryOn            []int      `json:"no_retry_on,omitempty"`
	ConcurrencyKey       string     `json:"concurrency_key,omitempty"`
	DependsOn            []string   `json:"depends_on,omitempty"`
	OnDependencyFailure  OnFailure  `json:"on_dependency_failure,omitempty"`
	RequiredCapabilities []string   `json:"required_capabilities,omitempty"`
	TaskID               string     `json:"task_id,omitempty"`
	MissionID            string     `json:"mission_id,omitempty"`
	Outputs              []Declared `json:"outputs,omitempty"`
	Payload              Payload    `json:"payload"`
}

// Provenance says where a proposal came from. The intake stamps it; nothing in it is taken from the proposal.
type Provenance struct {
	Zone      string `json:"zone"`                 // inbox, operator or output
	Source    string `json:"source"`               // the inbox folder, or operator
	File      string `json:"file,omitempty"`       // the name of the inbox file, escaped to printable ASCII
	Line      int    `json:"line,omitempty"`       // in a .jsonl file, from 1
	OwnerUID  int    `json:"owner_uid"`            // of the inbox file; -1 where it is not known
	Token     string `json:"token"`                // of the claim
	MissionID string `json:"mission_id,omitempty"` // to which it counts as one of its jobs
	ParentID  string `json:"parent_job_id,omitempty"`
	Depth     int    `json:"depth"` // 0 for what a person or agent proposed, parent + 1 for what came out of a job
	Signer    string `json:"signer,omitempty"`
}

// Zones of provenance.
const (
	ZoneInbox    = "inbox"
	ZoneOperator = "operator"
	ZoneOutput   = "output"
)

// Raw keeps a proposal that could not be parsed.
type Raw struct {
	SHA256 string `json:"sha256"` // of all bytes; where there are more than a gigabyte, of those that were read
	Bytes  int64  `json:"bytes"`
	Base64 string `json:"base64,omitempty"` // absent where the bytes are too many; they lie in queue/blocked/ID/raw
}

// Intake is one proposal as it was received. Its digest is what the ledger approves: everything that runs is derived
// from it by New and from nothing else. Exactly one of Proposal and Raw is set.
type Intake struct {
	Schema     string          `json:"$schema"`
	JobID      string          `json:"job_id"`
	ReceivedAt string          `json:"received_at"`
	Provenance Provenance      `json:"provenance"`
	Revises    string          `json:"revises,omitempty"`
	Key        string          `json:"inherited_key,omitempty"` // of the job that this one revises
	Proposal   json.RawMessage `json:"proposal,omitempty"`
	Raw        *Raw            `json:"raw,omitempty"`
	Redacted   bool            `json:"redacted,omitempty"` // credentials were taken out of Proposal: it can never run
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
// proposal got wrong was reported by the gates, and a field that cannot be used takes its default.
func New(in Intake, p Proposal) Job {
	j := Job{
		Schema:         SchemaJob,
		ID:             in.JobID,
		IdempotencyKey: p.IdempotencyKey,
		Source:         in.Provenance.Source,
		ClaimedSource:  p.Source,
		Priority:       DefaultPriority,
		TimeoutSeconds: DefaultTimeoutSeconds,
		MaxRetries:     DefaultMaxRetries,
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
