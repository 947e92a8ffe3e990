package index

import (
	"time"

	"github.com/sheratan/sheratan/runtime/ledger"
)

// Event returns the event with this number, and whether there is one.
func (r *Reader) Event(seq int64) (found ledger.Event, ok bool, err error) {
	err = r.Events(EventFilter{From: seq, To: seq + 1}, func(ev ledger.Event) error {
		found, ok = ev, ev.Seq == seq
		return nil
	})
	return found, ok, err
}

// JobsOfEvents returns the jobs that the events from the number from to before the number to are about, in the order of
// their arrival, each once.
func (r *Reader) JobsOfEvents(from, to int64) (ids []string, err error) {
	err = r.c.each(`SELECT DISTINCT job_id FROM ledger_events WHERE seq >= ? AND seq < ? AND job_id <> '' ORDER BY job`,
		func(s *stmt) error {
			ids = append(ids, s.ColumnText(0))
			return nil
		}, from, to)
	return ids, err
}

// Waking reports whether an event has to make a job ready now, or throttle it, or fail it because of a dependency.
func (r *Reader) Waking(now time.Time) (bool, error) {
	due, err := r.Due(now, 1)
	if err != nil || len(due) > 0 {
		return len(due) > 0, err
	}
	if failed, err := r.DepFailed(1); err != nil || len(failed) > 0 {
		return len(failed) > 0, err
	}
	if next, err := r.NextInLane(1); err != nil || len(next) > 0 {
		return len(next) > 0, err
	}
	opens, throttled, err := r.WindowOpens()
	return throttled && !opens.After(now), err
}
