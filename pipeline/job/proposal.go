package job

import (
	"encoding/json"
)

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
	Redacted   bool            `json:"redacted,omitempty"` // credentials were taken out of Proposal: this is not what would run
}
