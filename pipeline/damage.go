package pipeline

import (
	"errors"
	"time"

	"github.com/sheratan/sheratan/gates"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// A document that is missing, or is not what its event says, concerns the jobs that it belongs to, and nobody else: the jobs
// are blocked where they were to run, and shown without it elsewhere. ledger verify is what reports it.

// damaged reports whether err says that a document of one job cannot be read.
func damaged(err error) bool {
	var digest *ledger.DigestError
	var missing *ledger.MissingError
	return errors.As(err, &digest) || errors.As(err, &missing)
}

// missed reports whether err is damage that can be done without, and warns of it once.
func (p *Pipeline) missed(err error) bool {
	if !damaged(err) {
		return false
	}
	p.tellOnce([]string{err.Error()})
	return true
}

// remains are the intake and the proposal of a job as far as the index knows them.
func remains(row indexRow) (job.Intake, job.Proposal) {
	in := job.Intake{
		Schema: job.SchemaIntake, JobID: row.ID, ReceivedAt: stampOf(row.CreatedAt), Revises: row.Revises,
		Provenance: job.Provenance{Zone: zoneOf(row.Source), Source: row.Source, OwnerUID: -1, Token: row.Token,
			Line: row.Line, ParentID: row.ParentID, Depth: row.Depth},
	}
	if row.Key != row.ID {
		in.Key = row.Key
	}
	return in, job.Proposal{
		ID: row.ID, Priority: &row.Priority, TimeoutSeconds: &row.TimeoutSeconds, MaxRetries: &row.MaxRetries,
		RetryBackoff: row.Backoff, OnDependencyFailure: row.OnDepFailure, TaskID: row.TaskID, MissionID: row.MissionID, Payload: job.Payload{Kind: row.Kind},
	}
}

// codeNoHost is the reason of a job that an operator allowed although no host offers what it needs.
const codeNoHost = "NO_HOST"

// codeProgramChanged is the reason of a job whose program, in a root, is not the one any more that the job was approved with.
const codeProgramChanged = "PROGRAM_CHANGED"

// refuse blocks a job that waits in the queue, and tells why.
func (b *batch) refuse(row indexRow, next job.NextAction, code, reason string) (DispatchLine, error) {
	b.jobEvent("dispatch", job.JobBlocked, row.ID, row.TraceID, "blocked",
		ledger.Blocked{NextAction: string(next), Code: code}, nil)
	row.Status, row.Host, row.LeaseUntil = job.StatusQuarantined, "", time.Time{}
	line := dispatchLine(row)
	line.Reason = reason
	return line, b.failed
}

// refuseDamaged blocks a job of which a document cannot be read.
func (b *batch) refuseDamaged(row indexRow, err error) (DispatchLine, error) {
	b.p.missed(err)
	return b.refuse(row, job.Quarantine, gates.CodePipelineError, err.Error())
}
