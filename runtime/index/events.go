package index

import (
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// EventFilter selects events. What is zero does not matter.
type EventFilter struct {
	Job     string
	Event   string
	Actor   string
	Trace   string
	Since   time.Time // at or after
	Until   time.Time // before
	From    int64     // first sequence number
	To      int64     // behind the last sequence number
	Reverse bool      // the newest first
	Limit   int       // at most this many; 0 is all
}

// Events calls fn for each event that a filter selects, in the order of the ledger or in reverse. fn must not ask r.
func (r *Reader) Events(f EventFilter, fn func(ledger.Event) error) error {
	if f.Job != "" || f.Trace != "" { // the events themselves are not kept in memory
		if err := r.sync(); err != nil {
			return err
		}
	}
	q, err := r.eventQuery(f)
	if err != nil {
		return err
	}
	order := " ORDER BY seq"
	if f.Reverse {
		order += " DESC"
	}
	return r.c.each(`SELECT seq, v, event, timestamp, actor, job_id, trace_id, zone, id, artifact_path, artifact_sha256, prev, meta
  FROM ledger_events `+q.sql()+order+q.limit(f.Limit), func(s *stmt) error {
		return fn(ledger.Event{Seq: s.ColumnInt64(0), V: s.ColumnInt(1), Event: job.EventName(s.ColumnText(2)),
			Timestamp: s.ColumnText(3), Actor: s.ColumnText(4), JobID: s.ColumnText(5), TraceID: s.ColumnText(6), Zone: s.ColumnText(7),
			ID: s.ColumnText(8), ArtifactPath: s.ColumnText(9), ArtifactSHA256: s.ColumnText(10), Prev: s.ColumnText(11),
			Meta: s.ColumnBlob(12, nil)})
	}, q.values...)
}

func (r *Reader) eventQuery(f EventFilter) (*query, error) {
	q := &query{}
	if f.Job != "" {
		q.where("job = (SELECT seq FROM jobs WHERE id = ?) AND job_id = ?", f.Job, f.Job)
	}
	if f.Trace != "" {
		// The events of the jobs of the trace, and those of no job.
		q.where(`job IN (SELECT seq FROM jobs WHERE id = ? OR trace_id = ? AND trace_id <> id UNION ALL SELECT -1) AND trace_id = ?`,
			f.Trace, f.Trace, f.Trace)
	}
	q.equal("event", f.Event)
	if f.Job == "" && f.Trace == "" && isWorkspaceEvent(job.EventName(f.Event)) && f.Event != string(job.DocumentRemoved) {
		q.where("job = -1") // as the index of these few says
	}
	q.equal("actor", f.Actor)
	from, to := f.From, f.To
	// Timestamps never go back along the ledger, so that a time is a place in it.
	if !f.Since.IsZero() {
		seq, err := r.FirstAt(f.Since)
		if err != nil {
			return nil, err
		}
		from = max(from, seq)
	}
	if !f.Until.IsZero() {
		seq, err := r.FirstAt(f.Until)
		if err != nil {
			return nil, err
		}
		if to == 0 || seq < to {
			to = seq
		}
		q.where("seq < ?", to)
	} else if to > 0 {
		q.where("seq < ?", to)
	}
	if from > 0 {
		q.where("seq >= ?", from)
	}
	return q, nil
}

// FirstAt returns the number of the first event at or after t, or of the one that comes next where there is none. It reads as
// many rows as the number of events has bits.
func (r *Reader) FirstAt(t time.Time) (int64, error) {
	stamp := job.FormatTime(t)
	var low int64
	high, err := r.nextSeq()
	if err != nil {
		return 0, err
	}
	for low < high {
		mid := low + (high-low)/2
		var before bool
		if _, err := r.c.one("SELECT timestamp < ? FROM ledger_events WHERE seq = ?", func(s *stmt) error {
			before = s.ColumnBool(0)
			return nil
		}, stamp, mid); err != nil {
			return 0, err
		}
		if before {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low, nil
}

// nextSeq returns the number that the next event will have.
func (r *Reader) nextSeq() (n int64, err error) {
	_, err = r.c.one("SELECT coalesce(max(seq), -1) + 1 FROM ledger_events", func(s *stmt) error {
		n = s.ColumnInt64(0)
		return nil
	})
	return n, err
}

// EventByID returns the event with this id, and whether there is one. It looks through the events from the newest.
func (r *Reader) EventByID(id string) (found ledger.Event, ok bool, err error) {
	seq := int64(-1)
	if ok, err = r.c.one("SELECT seq FROM ledger_events WHERE id = ? ORDER BY seq DESC LIMIT 1", func(s *stmt) error {
		seq = s.ColumnInt64(0)
		return nil
	}, id); err != nil || !ok {
		return found, false, err
	}
	return found, true, r.Events(EventFilter{From: seq, To: seq + 1}, func(ev ledger.Event) error {
		found = ev
		return nil
	})
}
