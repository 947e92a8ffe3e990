package ledger

// The types below are the meta objects of the events, one for each event that has any. Their fields have a fixed or
// bounded size; whatever can grow lies in a document, which the event names by its digest.

// Located says where the document of an event lies in the segment named by artifact_path.
type Located struct {
	Offset int64 `json:"offset"`
	Bytes  int64 `json:"bytes"` // without the newline
}

// Received is the meta of PROPOSAL_RECEIVED. The document is the intake.
type Received struct {
	Located
	Source         string `json:"source"`
	Bucket         string `json:"bucket"` // the rate bucket: the source, or * where it has no entry of its own
	Kind           string `json:"kind"`   // "" where the proposal has none that is a valid identifier
	Priority       int    `json:"priority"`
	TimeoutSeconds int    `json:"timeout_seconds"`
	MaxRetries     int    `json:"max_retries"`
	Backoff        string `json:"retry_backoff"`
	Key            string `json:"key"`
	PayloadSHA256  string `json:"payload_sha256"`
	DependsOn      int    `json:"depends_on"` // how many; their ids are in the document
	ConcurrencyKey string `json:"concurrency_key,omitempty"`
	OnDepFailure   string `json:"on_dependency_failure,omitempty"` // "" is fail
	TaskID         string `json:"task_id,omitempty"`
	MissionID      string `json:"mission_id,omitempty"`
	Member         bool   `json:"member,omitempty"` // it is one of the jobs that the mission was submitted with
	Revises        string `json:"revises,omitempty"`
	ParentID       string `json:"parent,omitempty"`
	Depth          int    `json:"depth,omitempty"`
	Token          string `json:"token"`
	Line           int    `json:"line,omitempty"`
}

// Gated is the meta of GATES_REPORTED. The document is the report.
type Gated struct {
	Located
	Rules      string            `json:"rules"` // digest of the rules in force
	Verdict    string            `json:"verdict"`
	NextAction string            `json:"next_action"`
	Gates      map[string]string `json:"gates"` // G0 … G4 to their status
}

// Approved is the meta of JOB_APPROVED. artifact_sha256 is the digest of the intake that was approved.
type Approved struct {
	Located
	Basis string `json:"basis"`            // gates, operator or auditor
	Rules string `json:"rules"`            // digest of the rules under which it was approved
	Rerun bool   `json:"rerun"`            // safe to run again when the outcome of an attempt is unknown
	DueAt string `json:"due_at"`           // acceptance plus the target of the priority
	Ready bool   `json:"ready"`            // may be claimed at once
	Slot  string `json:"window,omitempty"` // the rate window that it was counted in; "" is not counted

	MaxRetries *int `json:"max_retries,omitempty"` // where they are others than when the job was received
}

// Blocked is the meta of JOB_BLOCKED.
type Blocked struct {
	NextAction string `json:"next_action"`
	Code       string `json:"code"` // of the strictest reason
}

// AuditAsked is the meta of AUDIT_REQUESTED. The artifact is the request. Whoever asks has until Until to say what came of it.
type AuditAsked struct {
	Located
	Document string `json:"document"` // digest of the intake that it is about
	Report   string `json:"report"`   // digest of the gates' report on it
	Attempt  int    `json:"attempt"`  // from 1
	Until    string `json:"until"`
	Replay   bool   `json:"replay,omitempty"` // an operator had given up attempts taken up again
}

// Audited is the meta of AUDIT_REPORTED. The artifact is the auditor's report.
type Audited struct {
	Located
	Document   string `json:"document"` // digest of the intake that was decided on
	Report     string `json:"report"`   // digest of the gates' report on it
	Attempt    int    `json:"attempt"`
	Decision   string `json:"decision"`          // ALLOW, MANUAL_REVIEW or PAUSE
	Severity   string `json:"severity"`          // as the auditor sees it
	NextAction string `json:"next_action"`       // what the decision comes to
	Patched    string `json:"patched,omitempty"` // digest of the intake that its suggestions make, where they are followed
}

// AuditMissed is the meta of AUDIT_FAILED.
type AuditMissed struct {
	Document string `json:"document"`
	Attempt  int    `json:"attempt"` // how many have failed now
	Reason   string `json:"reason"`
	NextAt   string `json:"next_at,omitempty"` // when to ask again; "" is not by itself
}

// Patched is the meta of JOB_PATCHED: the job as it is from here on, with the digest of the intake that it had. The artifact is
// the new one. Only what a proposal may say can differ.
type Patched struct {
	Received
	Before string `json:"before"`
}

// Waived is the meta of FINDING_WAIVED. It never has what was found: the digests are salted, and the salt lies beside the original.
type Waived struct {
	Document string `json:"document"` // digest of the intake in the documents, from which the finding was taken out
	Original string `json:"original"` // salted digest of the intake with it
	Code     string `json:"code"`
	Pointer  string `json:"pointer"` // as far as a line can carry it; the digest of the finding has all of it
	Format   string `json:"format"`
	Finding  string `json:"finding"` // salted digest of code, pointer and the bytes that were found
	Reason   string `json:"reason"`
	TTY      bool   `json:"tty,omitempty"` // confirmed on a terminal
}

// Decided is the meta of OPERATOR_APPROVED and OPERATOR_REJECTED.
type Decided struct {
	Document string `json:"document"` // digest of the intake that was decided on
	Report   string `json:"report"`   // digest of the report that it was decided on
	Reason   string `json:"reason,omitempty"`
	TTY      bool   `json:"tty,omitempty"` // confirmed on a terminal
}

// Revised is the meta of JOB_REVISED, an event of the old job. Those who depend on it wait for the revision from here on.
type Revised struct {
	Revision   string `json:"revision"`             // id of the new job
	Dependents int    `json:"dependents,omitempty"` // how many they are
}

// Deduplicated is the meta of JOB_DEDUPLICATED. Of is the job that holds the key. With Resubmitted, the proposal repeated
// the id of the job that this event is about, and there is no new job.
type Deduplicated struct {
	Of          string `json:"of"`
	Resubmitted bool   `json:"resubmitted,omitempty"`
}

// Ready is the meta of JOB_READY.
type Ready struct {
	Slot string `json:"window,omitempty"` // the rate window that it was counted in; "" is not counted
}

// Throttled is the meta of JOB_THROTTLED. The job becomes ready, and is counted, in a window that begins at Until or later; or
// with Lane when the jobs with the same concurrency key let it, and Slot is the window that it was counted in.
type Throttled struct {
	Until string `json:"until"`
	Lane  bool   `json:"lane,omitempty"`
	Slot  string `json:"window,omitempty"`
}

// KeyLapsed is the meta of KEY_EXPIRED, an event of the job that held the key.
type KeyLapsed struct {
	Key string `json:"key"`
	For string `json:"for"` // id of the job that may have it now
}

// Runner names a process on a host so that it cannot be mistaken for another: boot id, pid, start time in clock ticks.
type Runner struct {
	Boot  string `json:"boot"`
	PID   int    `json:"pid"`
	Start int64  `json:"start"`
}

// Dispatched is the meta of JOB_DISPATCHED (a host was chosen; with Runner, also taken by that process) and of
// JOB_LEASED (taken by Runner). The document of JOB_DISPATCHED has the bids; jobs that were chosen for alike share one.
type Dispatched struct {
	Offset     int64   `json:"offset,omitempty"` // as in Located
	Bytes      int64   `json:"bytes,omitempty"`
	Host       string  `json:"host"`
	Attempt    int     `json:"attempt"` // from 1
	LeaseUntil string  `json:"lease_until"`
	WaitedMS   int64   `json:"waited_ms,omitempty"` // since it became ready, of JOB_DISPATCHED
	Runner     *Runner `json:"runner,omitempty"`
}

// Started is the meta of JOB_STARTED. It may be written after the start, together with what followed; StartedAt is when
// it was.
type Started struct {
	Attempt   int    `json:"attempt"`
	StartedAt string `json:"started_at"`
}

// Ended is the meta of JOB_ATTEMPT_FAILED, JOB_COMPLETED and JOB_FAILED. The document is the result, where there is one.
type Ended struct {
	Located
	Attempt        int    `json:"attempt,omitempty"`
	ExitCode       int    `json:"exit_code"`
	Code           string `json:"code,omitempty"`  // TIMEOUT, EXIT, SIGNAL, REFUSED, DEPENDENCY_FAILED, …
	Error          string `json:"error,omitempty"` // one line, at most 200 bytes, redacted
	CompletedAt    string `json:"completed_at,omitempty"`
	Kept           int64  `json:"kept,omitempty"` // bytes of the output files and artifacts that the result names, at least 1 where there are any
	DeduplicatedOf string `json:"deduplicated_of,omitempty"`
}

// RetryScheduled is the meta of JOB_RETRY_SCHEDULED. With Operator, somebody asked for it: the count starts over.
type RetryScheduled struct {
	Retry    int    `json:"retry"`
	WakeAt   string `json:"wake_at"`
	Operator bool   `json:"operator,omitempty"`
}

// Cancelled is the meta of JOB_CANCELLED.
type Cancelled struct {
	Reason string `json:"reason,omitempty"`
	Code   string `json:"code,omitempty"` // DEPENDENCY_SKIPPED, INTERRUPTED, …; "" is CANCELLED
}

// Unknown is the meta of OUTCOME_UNKNOWN and LEASE_EXPIRED.
type Unknown struct {
	Attempt int    `json:"attempt"`
	Reason  string `json:"reason"`          // runner-died, reboot, returned, expired, host-fault, interrupted, paused
	Kept    int64  `json:"kept,omitempty"`  // bytes of output files that it left, which no result names
	Error   string `json:"error,omitempty"` // of a machine that could not start it: nothing of it ran
}

// HostMeta is the meta of HOST_ENROLLED, HOST_ONLINE, HOST_OFFLINE and HOST_DRAINED.
type HostMeta struct {
	Located
	Host          string `json:"host"`
	MaxConcurrent int    `json:"max_concurrent"`
}

// Configured is the meta of CONFIG_LOADED. The document is the effective configuration.
type Configured struct {
	Located
	Rules  string `json:"rules"`            // its digest, which reports name
	Commit string `json:"commit,omitempty"` // of config/, where that is in git
}

// PausedMeta is the meta of PAUSED and RESUMED. Source "" is all of them.
type PausedMeta struct {
	Source string `json:"source"`
	Reason string `json:"reason,omitempty"`
	Kill   bool   `json:"kill,omitempty"`
}

// Deferred is the meta of INTAKE_DEFERRED.
type Deferred struct {
	Source string `json:"source"`
	Reason string `json:"reason"`
}

// MissionSubmitted is the meta of MISSION_SUBMITTED. The document is the run.
type MissionSubmitted struct {
	Located
	Mission string `json:"mission"`
	Tasks   int    `json:"tasks"`
}

// MissionTurned is the meta of MISSION_CANCELLED and MISSION_RETRIED.
type MissionTurned struct {
	Mission string `json:"mission"`
	Reason  string `json:"reason,omitempty"`
}

// MissionEnded is the meta of MISSION_ENDED.
type MissionEnded struct {
	Mission string `json:"mission"`
	Done    bool   `json:"done"`
	Reason  string `json:"reason"`
}

// Torn is the meta of TORN_TAIL_MOVED.
type Torn struct {
	Segment string `json:"segment"`
	Bytes   int64  `json:"bytes"`
	SHA256  string `json:"sha256"`
}

// TickMeta is the meta of TICK.
type TickMeta struct {
	Received   int `json:"received"`
	Approved   int `json:"approved"`
	Blocked    int `json:"blocked"`
	Dispatched int `json:"dispatched"`
	Completed  int `json:"completed"`
	Failed     int `json:"failed"`
}

// Removed is the meta of DOCUMENT_REMOVED. artifact_path and artifact_sha256 are those of what was removed: a document, and
// Located says where it lay, or an output file or artifact. Verify does not look for it any more.
type Removed struct {
	Located
	Reason string `json:"reason"`         // retention: age, retention: size, or what an operator said
	Of     int64  `json:"of,omitempty"`   // number of the event whose result names the file
	Last   bool   `json:"last,omitempty"` // nothing else that this result names is left
}
