package index

import (
	"errors"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/ledger"
)

const (
	zoneInbox    = "inbox"
	zoneApproved = "approved"
)

// DocReader reads stored documents. Few events need one: PROPOSAL_RECEIVED for the ids that the job depends on, CONFIG_LOADED
// for the limits of the sources, HOST_ENROLLED and HOST_ONLINE for the capabilities.
type DocReader interface {
	Read(ledger.Ref) ([]byte, error)
}

// dirtyRows is how many changed rows are kept in memory, in a batch of any length.
const dirtyRows = 4096

// Apply changes the index by one event. It returns a *TransitionError where the state table does not allow the event and an
// *EventError where it makes no sense in itself; the index is then as it was, and the transaction can go on. After any
// other error it cannot.
func (tx *Tx) Apply(ev *ledger.Event, docs DocReader) error {
	at, err := tx.time(ev.Timestamp)
	if err != nil {
		return eventError(ev, err)
	}
	seq := int64(-1)
	switch {
	case ev.Event == job.ProposalReceived:
		seq, err = ev.Seq, tx.receive(ev, at, docs)
	case isWorkspaceEvent(ev.Event):
		seq, err = tx.applyWorkspace(ev, at, docs)
	default:
		seq, err = tx.applyJob(ev, at, docs)
	}
	if err != nil {
		return err
	}
	tx.applied = true
	if err := tx.record(ev, seq); err != nil {
		return err
	}
	if len(tx.dirty) >= dirtyRows {
		return tx.flushRows()
	}
	return nil
}

func isWorkspaceEvent(name job.EventName) bool {
	for _, e := range job.WorkspaceEvents {
		if e == name {
			return true
		}
	}
	return false
}

func eventError(ev *ledger.Event, err error) error {
	return &EventError{Seq: ev.Seq, Event: ev.Event, JobID: ev.JobID, Err: err}
}

// decode reads the meta of ev.
func decode(ev *ledger.Event, meta any) error {
	if err := ev.DecodeMeta(meta); err != nil {
		return eventError(ev, err)
	}
	return nil
}

// time parses a timestamp; those of a batch are all the same.
func (tx *Tx) time(stamp string) (time.Time, error) {
	if stamp != tx.stamp {
		at, err := job.ParseTime(stamp)
		if err != nil {
			return time.Time{}, err
		}
		tx.stamp, tx.at = stamp, at.UTC()
	}
	return tx.at, nil
}

// optionalTime parses a time out of a meta object; "" is none.
func optionalTime(ev *ledger.Event, s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := job.ParseTime(s)
	if err != nil {
		return time.Time{}, eventError(ev, err)
	}
	return t.UTC(), nil
}

// artifact returns where the document of ev lies.
func artifact(ev *ledger.Event, l ledger.Located) ledger.Ref {
	return ledger.Ref{Path: ev.ArtifactPath, Offset: l.Offset, Bytes: l.Bytes, SHA256: ev.ArtifactSHA256}
}

// applyJob changes the state of one job, and returns its number.
func (tx *Tx) applyJob(ev *ledger.Event, at time.Time, docs DocReader) (int64, error) {
	e, err := tx.load(ev.JobID)
	if err != nil {
		return 0, err
	}
	var from job.Status
	if e != nil {
		from = e.row.Status
	}
	to, ok := job.Next(ev.Event, from)
	if !ok {
		return 0, &TransitionError{JobID: ev.JobID, Event: ev.Event, From: from}
	}
	if ev.Event == job.JobPatched {
		return e.row.Seq, tx.patch(e, ev, at, docs)
	}
	if from == job.StatusQuarantined && to != from {
		if err := tx.noAudit(ev.JobID); err != nil {
			return 0, err
		}
	}
	row := e.row
	row.Status, row.UpdatedAt = to, at
	after, err := tx.transition(&row, from, ev, at)
	if err != nil {
		return 0, err
	}
	switch to {
	case job.StatusPending, job.StatusThrottled, job.StatusRunning:
	default:
		row.Zone = to.Zone()
	}
	row.LaneWaits = row.LaneWaits && to == job.StatusThrottled
	row.Ready = row.Ready && to == job.StatusPending && row.Zone == zoneApproved && row.Host == "" && row.JoinedTo == ""
	if row.Ready && !e.row.Ready {
		row.ReadyAt = at
	}
	old := e.row
	if row.Lane != "" {
		if err := tx.moveInLane(&old, &row); err != nil {
			return 0, err
		}
	}
	tx.change(e, &row)
	tx.charge(&old, &row, ev, at)
	for _, step := range after {
		if err := step(e); err != nil {
			return 0, err
		}
	}
	if ev.Event == job.JobRevised {
		return row.Seq, tx.follow(row.ID, row.RevisedBy)
	}
	if settles(from) != settles(to) {
		return row.Seq, tx.settle(&row)
	}
	return row.Seq, nil
}

// transition changes row as ev says; its status and time are those after the event already. What it returns is done
// once the row is in place.
func (tx *Tx) transition(row *Row, from job.Status, ev *ledger.Event, at time.Time) ([]func(*entry) error, error) {
	switch ev.Event {
	case job.GatesReported, job.JobApproved, job.JobBlocked, job.FindingWaived, job.OperatorApproved, job.OperatorRejected, job.JobRevised:
		return tx.judge(row, from, ev, at)
	case job.AuditRequested, job.AuditReported, job.AuditFailed:
		return nil, tx.audit(row, ev, at)
	case job.JobDeduplicated, job.KeyExpired, job.JobReady, job.JobThrottled, job.JobRetryScheduled, job.JobCancelled:
		return tx.queue(row, from, ev, at)
	default:
		return nil, tx.execute(row, from, ev, at)
	}
}

var errNoHost = errors.New("meta: no host")
