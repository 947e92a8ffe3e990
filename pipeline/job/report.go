package job

import "encoding/json"

// GateStatus is what a gate says, from the mildest to the strictest.
type GateStatus string

// The gate statuses, in rising order.
const (
	Pass  GateStatus = "PASS"
	Warn  GateStatus = "WARN"
	Fail  GateStatus = "FAIL"
	Pause GateStatus = "PAUSE"
)

// NextAction is what has to happen before a job may run, from the mildest to the strictest.
type NextAction string

// The next actions, in rising order.
const (
	Allow              NextAction = "ALLOW"
	RequireLLM2        NextAction = "REQUIRE_LLM2"
	RequireOperatorAck NextAction = "REQUIRE_OPERATOR_ACK"
	Quarantine         NextAction = "QUARANTINE"
)

var (
	gateStatusOrder = map[GateStatus]int{Pass: 0, Warn: 1, Fail: 2, Pause: 3}
	nextActionOrder = map[NextAction]int{Allow: 0, RequireLLM2: 1, RequireOperatorAck: 2, Quarantine: 3}
)

// Stricter returns the stricter of two gate statuses; an unknown one counts as the strictest.
func (s GateStatus) Stricter(t GateStatus) GateStatus {
	if rank(gateStatusOrder, t) > rank(gateStatusOrder, s) {
		return t
	}
	return s
}

// Stricter returns the stricter of two next actions; an unknown one counts as the strictest.
func (a NextAction) Stricter(b NextAction) NextAction {
	if rank(nextActionOrder, b) > rank(nextActionOrder, a) {
		return b
	}
	return a
}

func rank[T comparable](order map[T]int, v T) int {
	if n, ok := order[v]; ok {
		return n
	}
	return len(order)
}

// Level says who may overrule a reason. It is set outside the rule that gives it.
type Level string

// The levels: a warning; an operator may allow it and is named in the ledger; nobody may.
const (
	Advisory Level = "advisory"
	Soft     Level = "soft"
	Hard     Level = "hard"
)

// Reason is one finding of a gate.
type Reason struct {
	Code     string `json:"code"`    // UPPER_SNAKE, stable
	Message  string `json:"message"` // for people, one line
	Pointer  string `json:"pointer"` // RFC 6901, into the proposal; "" is all of it
	Level    Level  `json:"level"`
	Waivable bool   `json:"waivable"` // by the second opinion
}

// Patch is one RFC 6902 operation that would mend a finding.
type Patch struct {
	Op    string          `json:"op"`
	Path  string          `json:"path"`
	From  string          `json:"from,omitempty"`
	Value json.RawMessage `json:"value,omitempty"`
}

// GateReport is the finding of one gate.
type GateReport struct {
	GateID      string         `json:"gate_id"` // G0 … G4
	Status      GateStatus     `json:"status"`
	Severity    string         `json:"severity"` // none, low, medium, high, critical
	Reasons     []Reason       `json:"reasons"`
	Evidence    map[string]any `json:"evidence"`
	Suggestions []Patch        `json:"suggestions"`
	NextAction  NextAction     `json:"next_action"`
}

// Report is what all gates said of one job under one set of rules.
type Report struct {
	Schema         string       `json:"$schema"`
	JobID          string       `json:"job_id"`
	DocumentSHA256 string       `json:"document_sha256"` // of the intake
	RulesSHA256    string       `json:"rules_sha256"`
	Verdict        GateStatus   `json:"verdict"`
	NextAction     NextAction   `json:"next_action"`
	Gates          []GateReport `json:"gates"`
}

// Approved reports whether the job may run on the strength of the gates alone.
func (r Report) Approved() bool {
	return r.NextAction == Allow && (r.Verdict == Pass || r.Verdict == Warn)
}

// Overridable reports whether an operator may allow what the gates did not: no reason is hard.
func (r Report) Overridable() bool {
	if r.Verdict == Pause || len(r.Gates) == 0 {
		return false
	}
	for _, g := range r.Gates {
		for _, reason := range g.Reasons {
			if reason.Level != Advisory && reason.Level != Soft {
				return false
			}
		}
	}
	return true
}
