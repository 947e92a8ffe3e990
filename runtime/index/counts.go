package index

import (
	"fmt"

	"github.com/sheratan/sheratan/pipeline/job"
)

// population is a set of jobs that are counted together.
type population struct{ bucket, source string }

// tally is a row of counts, or a change to one.
type tally struct {
	inbox, ready, inFlight int
	status                 [numStatuses]int
	dispatched             int64 // number of the last event that dispatched one of them; in a change, 0 where none did
}

// statusColumns are the columns of counts that are named after a status, in the order of tally.status.
var statusColumns = [numStatuses]job.Status{job.StatusPending, job.StatusThrottled, job.StatusRunning, job.StatusCompleted,
	job.StatusFailed, job.StatusQuarantined, job.StatusCancelled}

const numStatuses = 7

func statusColumn(s job.Status) int {
	for i, c := range statusColumns {
		if c == s {
			return i
		}
	}
	return -1
}

// count adds sign times the job r to the counts. What changes and is changed back costs nothing.
func (tx *Tx) count(r *Row, sign int) {
	if r.Status == "" {
		return
	}
	if r.MemberOf != "" {
		tx.countMember(r, sign)
	}
	t := tx.tally(r)
	t.status[statusColumn(r.Status)] += sign
	if r.Zone == zoneInbox {
		t.inbox += sign
	}
	if r.Ready {
		t.ready += sign
	}
	if r.inFlight() {
		t.inFlight += sign
	}
}

// tally is what changes of the counts of those that a job is counted with.
func (tx *Tx) tally(r *Row) *tally {
	p := population{r.Bucket, r.Source}
	t := tx.tallies[p]
	if t == nil {
		t = &tally{}
		tx.tallies[p] = t
	}
	return t
}

const (
	updateCounts = `UPDATE counts SET inbox = inbox + ?3, ready = ready + ?4, in_flight = in_flight + ?5,
    pending = pending + ?6, throttled = throttled + ?7, running = running + ?8, completed = completed + ?9,
    failed = failed + ?10, quarantined = quarantined + ?11, cancelled = cancelled + ?12, dispatched = max(dispatched, ?13)
  WHERE bucket = ?1 AND source = ?2`
	insertCounts = `INSERT INTO counts (bucket, source, inbox, ready, in_flight,
    pending, throttled, running, completed, failed, quarantined, cancelled, dispatched) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
)

func (tx *Tx) flushCounts() error {
	for p, t := range tx.tallies {
		if *t == (tally{}) {
			continue
		}
		// Not one INSERT … ON CONFLICT: the CHECKs would see a negative change as a row.
		err := tx.writeCounts(updateCounts, p, t)
		if err == nil && tx.c.Changes() == 0 {
			err = tx.writeCounts(insertCounts, p, t)
		}
		if err != nil {
			return tx.fail(fmt.Errorf("counts of %s: %w", p.source, err))
		}
		*t = tally{}
	}
	return tx.fail(tx.flushMissions())
}

func (tx *Tx) writeCounts(sql string, p population, t *tally) error {
	s, err := tx.c.prepare(sql)
	if err != nil {
		return err
	}
	s.n, s.err = 0, nil
	s.bindText(p.bucket)
	s.bindText(p.source)
	for _, n := range append([]int{t.inbox, t.ready, t.inFlight}, t.status[:]...) {
		s.bindInt(int64(n))
	}
	s.bindInt(t.dispatched)
	if s.err != nil {
		return s.err
	}
	return s.Exec()
}

// Count says how many jobs of a source there are.
type Count struct {
	Bucket   string
	Source   string
	Status   map[job.Status]int
	Inbox    int // of the pending: not gated yet
	Ready    int // of the pending: may be claimed
	InFlight int // leased or running
}

// Queued returns how many jobs of the source have not ended and are not blocked.
func (c Count) Queued() int {
	return c.Status[job.StatusPending] + c.Status[job.StatusThrottled] + c.Status[job.StatusRunning]
}

// Counts returns the counts of all sources, in the order of their buckets and names. A source whose jobs were received
// under different configurations can be in two buckets.
func (r *Reader) Counts() ([]Count, error) { return r.countsWhere("") }

// CountsOf returns the counts of one source, over all of its buckets.
func (r *Reader) CountsOf(source string) (Count, error) {
	sum := Count{Source: source, Status: map[job.Status]int{}}
	counts, err := r.countsWhere("WHERE source = ? ", source)
	for _, c := range counts {
		sum.Bucket = c.Bucket
		sum.Inbox += c.Inbox
		sum.Ready += c.Ready
		sum.InFlight += c.InFlight
		for s, n := range c.Status {
			sum.Status[s] += n
		}
	}
	return sum, err
}

func (r *Reader) countsWhere(where string, values ...any) ([]Count, error) {
	if err := r.syncCounts(); err != nil {
		return nil, err
	}
	var counts []Count
	err := r.c.each("SELECT bucket, source, inbox, ready, in_flight, pending, throttled, running, completed, failed, "+
		"quarantined, cancelled FROM counts "+where+"ORDER BY bucket, source", func(s *stmt) error {
		c := Count{Bucket: s.ColumnText(0), Source: s.ColumnText(1), Inbox: s.ColumnInt(2), Ready: s.ColumnInt(3),
			InFlight: s.ColumnInt(4), Status: make(map[job.Status]int, numStatuses)}
		for i, status := range statusColumns {
			c.Status[status] = s.ColumnInt(5 + i)
		}
		counts = append(counts, c)
		return nil
	}, values...)
	return counts, err
}
