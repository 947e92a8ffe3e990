package index

import (
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// Row is what the index knows of a job: everything but the content of its documents.
type Row struct {
	Seq int64 // number of its PROPOSAL_RECEIVED; jobs are numbered by arrival, with gaps
	ID  string
	Origin
	Spec
	Judgement
	Queue
	Execution
}

// Origin says where a job came from.
type Origin struct {
	Source    string
	Bucket    string // the rate bucket it belongs to
	Token     string // of the claim of its inbox file
	Line      int    // in that file, from 1; 0 where it held one proposal
	TraceID   string
	TaskID    string
	MissionID string
	ParentID  string
	Depth     int
	Revises   string
	CreatedAt time.Time
	Intake    ledger.Ref
}

// Spec is what a job asks for.
type Spec struct {
	Kind           string
	Priority       job.Priority
	TimeoutSeconds int
	MaxRetries     int
	Backoff        job.Backoff
	Key            string
	PayloadSHA256  string
	Lane           string // its concurrency key
}

// Judgement is what gates, auditor and operator made of a job.
type Judgement struct {
	Report     ledger.Ref // of the last gating
	Rules      string     // digest of the rules it was last gated or approved under
	Verdict    job.GateStatus
	NextAction job.NextAction
	Basis      string    // of the approval: gates, operator or auditor
	DecidedBy  string    // actor of the last decision
	AcceptedAt time.Time // zero where it was never approved, or blocked since
	Rerun      bool      // safe to run again when the outcome of an attempt is unknown
}

// Queue is the place of a job among the others.
type Queue struct {
	Status    job.Status
	Zone      string // inbox, approved, blocked or outbox
	UpdatedAt time.Time
	Ready     bool      // may be claimed: approved, pending, without a lease
	ReadyAt   time.Time // when it became ready last
	DueAt     time.Time // the order of claims within a class
	WakeAt    time.Time // when to make it ready; zero is as soon as its dependencies allow
	DepsLeft  int       // dependencies that are not completed
	DepFailed string    // the first of them, by name, that failed or was cancelled
	LaneWaits bool      // for the jobs with the same concurrency key
	HoldsKey  bool
	JoinedTo  string // the job whose end it shares
	RevisedBy string
}

// Execution is the last attempt of a job.
type Execution struct {
	Attempt     int    // its number, from 1; 0 before the first
	Host        string // that holds the lease; "" without one
	LeaseUntil  time.Time
	Runner      ledger.Runner
	WaitedMS    int64 // from being ready to that attempt
	RetryCount  int
	LastRetryAt time.Time
	ExecutedBy  string // the host of the last attempt that started
	StartedAt   time.Time
	CompletedAt time.Time
	ExitCode    int
	Error       string
	ErrorCode   string
	Result      ledger.Ref
}

// Leased reports whether a host holds the job.
func (r *Row) Leased() bool { return r.Host != "" }

// inFlight reports whether the job counts towards max_concurrent_jobs of its bucket.
func (r *Row) inFlight() bool { return r.Host != "" || r.Status == job.StatusRunning }

// A visitor is handed each column of a row in turn. One list of columns thereby makes the SQL, binds and scans.
type visitor interface {
	text(column string, p *string)
	int(column string, p *int)
	int64(column string, p *int64)
	bool(column string, p *bool)
	time(column string, p *time.Time)
}

// visit hands all columns of r to v, in the order of the table.
func (r *Row) visit(v visitor) {
	r.visitFixed(v)
	v.int("deps_left", &r.DepsLeft)
	v.text("dep_failed", &r.DepFailed)
	r.visitMoving(v)
}

// visitFixed hands those columns to v that never change.
func (r *Row) visitFixed(v visitor) {
	v.int64("seq", &r.Seq)
	v.text("id", &r.ID)
	v.text("source", &r.Source)
	v.text("bucket", &r.Bucket)
	v.text("kind", &r.Kind)
	v.int("priority", (*int)(&r.Priority))
	class := r.Priority.Class()
	v.int("class", &class)
	v.int("timeout_seconds", &r.TimeoutSeconds)
	v.int("max_retries", &r.MaxRetries)
	v.text("retry_backoff", (*string)(&r.Backoff))
	v.text("idempotency_key", &r.Key)
	v.text("payload_sha256", &r.PayloadSHA256)
	v.text("concurrency_key", &r.Lane)
	v.text("task_id", &r.TaskID)
	v.text("mission_id", &r.MissionID)
	v.text("trace_id", &r.TraceID)
	v.text("parent_id", &r.ParentID)
	v.int("depth", &r.Depth)
	v.text("revises", &r.Revises)
	v.text("token", &r.Token)
	v.int("line", &r.Line)
	v.time("created_at", &r.CreatedAt)
	v.text("intake_path", &r.Intake.Path)
	v.int64("intake_offset", &r.Intake.Offset)
	v.int64("intake_bytes", &r.Intake.Bytes)
	v.text("intake_sha256", &r.Intake.SHA256)
}

// visitMoving hands those columns to v that events about the job change. deps_left and dep_failed are not among them: they
// follow from other jobs, and are changed by one statement for many rows.
func (r *Row) visitMoving(v visitor) {
	v.text("status", (*string)(&r.Status))
	v.text("zone", &r.Zone)
	v.time("updated_at", &r.UpdatedAt)
	v.text("rules_sha256", &r.Rules)
	v.text("verdict", (*string)(&r.Verdict))
	v.text("next_action", (*string)(&r.NextAction))
	v.text("basis", &r.Basis)
	v.text("decided_by", &r.DecidedBy)
	v.time("accepted_at", &r.AcceptedAt)
	v.bool("rerun", &r.Rerun)
	v.text("report_path", &r.Report.Path)
	v.int64("report_offset", &r.Report.Offset)
	v.int64("report_bytes", &r.Report.Bytes)
	v.text("report_sha256", &r.Report.SHA256)
	v.bool("ready", &r.Ready)
	v.time("ready_at", &r.ReadyAt)
	v.time("due_at", &r.DueAt)
	v.time("wake_at", &r.WakeAt)
	v.bool("lane_waits", &r.LaneWaits)
	v.bool("holds_key", &r.HoldsKey)
	v.text("joined_to", &r.JoinedTo)
	v.text("revised_by", &r.RevisedBy)
	v.int("attempt", &r.Attempt)
	v.text("host", &r.Host)
	v.time("lease_until", &r.LeaseUntil)
	v.text("runner_boot", &r.Runner.Boot)
	v.int("runner_pid", &r.Runner.PID)
	v.int64("runner_start", &r.Runner.Start)
	v.int64("waited_ms", &r.WaitedMS)
	v.int("retry_count", &r.RetryCount)
	v.time("last_retry_at", &r.LastRetryAt)
	v.text("executed_by", &r.ExecutedBy)
	v.time("execution_started_at", &r.StartedAt)
	v.time("execution_completed_at", &r.CompletedAt)
	v.int("exit_code", &r.ExitCode)
	v.text("error", &r.Error)
	v.text("error_code", &r.ErrorCode)
	v.text("result_path", &r.Result.Path)
	v.int64("result_offset", &r.Result.Offset)
	v.int64("result_bytes", &r.Result.Bytes)
	v.text("result_sha256", &r.Result.SHA256)
}
