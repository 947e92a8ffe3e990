package index

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
)

// JobFilter selects jobs. What is zero does not matter.
type JobFilter struct {
	Status  []job.Status // any of these
	Zone    string
	Source  string
	Kind    string
	Mission string // that its proposal names
	Member  string // mission to which it counts
	Trace   string
	Since   time.Time // something happened to it at or after this time
	Until   time.Time // nothing happened to it at or after this time
	Newest  bool      // the newest first, otherwise in the order of arrival
	After   *int64    // go on behind the job with this Seq, in the order that was asked for
	Limit   int       // at most this many; 0 is all
	Shown   *Held     // Status is as it is shown: what this holds is throttled, and not pending; nil is as it is
}

// List returns the jobs that a filter selects.
func (r *Reader) List(f JobFilter) ([]Row, error) {
	if err := r.sync(); err != nil {
		return nil, err
	}
	if len(f.Status) == 0 {
		return r.listOne(f, "", false)
	}
	// One query for each status, each along its index, are cheaper than one over all jobs: those that are not over are few.
	var rows []Row
	for i, status := range f.Status {
		if slices.Contains(f.Status[:i], status) {
			continue
		}
		more, err := r.listOne(f, status, false)
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
		if status == job.StatusThrottled && f.Shown != nil {
			if more, err = r.listOne(f, job.StatusPending, true); err != nil {
				return nil, err
			}
			rows = append(rows, more...)
		}
	}
	slices.SortFunc(rows, func(a, b Row) int {
		if f.Newest {
			a, b = b, a
		}
		return cmp.Compare(a.Seq, b.Seq)
	})
	if f.Limit > 0 && len(rows) > f.Limit {
		rows = rows[:f.Limit]
	}
	return rows, nil
}

// listOne lists the jobs of one status, "" being any; held asks for those of the pending that are shown as throttled.
func (r *Reader) listOne(f JobFilter, status job.Status, held bool) ([]Row, error) {
	var q query
	q.equal("status", string(status))
	if f.Shown != nil && status == job.StatusPending {
		switch sql, values := f.Shown.condition(); {
		case sql == "" && held:
			return nil, nil
		case held:
			q.where(sql, values...)
		case sql != "":
			q.where("NOT ("+sql+")", values...)
		}
	}
	q.equal("zone", f.Zone)
	q.equal("source", f.Source)
	q.equal("kind", f.Kind)
	q.equal("mission_id", f.Mission)
	q.equal("member_of", f.Member)
	if f.Trace != "" {
		q.where("(id = ? AND trace_id = ? OR trace_id = ? AND trace_id <> id)", f.Trace, f.Trace, f.Trace)
	}
	if !f.Since.IsZero() {
		if err := r.changedSince(&q, f.Since); err != nil {
			return nil, err
		}
	}
	if !f.Until.IsZero() {
		q.where("updated_at < ?", f.Until)
	}
	order := "seq"
	if f.Newest {
		order = "seq DESC"
	}
	if f.After != nil {
		if f.Newest {
			q.where("seq < ?", *f.After)
		} else {
			q.where("seq > ?", *f.After)
		}
	}
	return r.c.rows(selectRows+q.sql()+" ORDER BY "+order+q.limit(f.Limit), q.values...)
}

// fewEvents is how many events are worth looking through for the jobs that they are about.
const fewEvents = 100_000

// changedSince asks for the jobs that something happened to at or after t. They are found through the events since then, unless
// those are so many that looking at the jobs is cheaper.
func (r *Reader) changedSince(q *query, t time.Time) error {
	first, err := r.FirstAt(t)
	if err != nil {
		return err
	}
	q.where("updated_at >= ?", t)
	next, err := r.nextSeq()
	if err != nil {
		return err
	}
	if next-first <= fewEvents {
		q.where("seq IN (SELECT job FROM ledger_events WHERE seq >= ?)", first)
	}
	return nil
}

// ByToken returns the jobs that came from one claimed inbox file, in the order of its lines.
func (r *Reader) ByToken(token string) ([]Row, error) {
	if err := r.sync(); err != nil {
		return nil, err
	}
	return r.c.rows(selectRows+"WHERE token = ? ORDER BY line, seq", token)
}

// LastLine returns the highest line of a claimed inbox file that was received; 0 is none.
func (r *Reader) LastLine(token string) (int, error) {
	if err := r.sync(); err != nil {
		return 0, err
	}
	return r.number("SELECT coalesce(max(line), 0) FROM jobs WHERE token = ?", token)
}

// query collects the conditions of a question. There are few shapes of questions, so that the number of statements that are
// kept prepared is bounded.
type query struct {
	conditions []string
	values     []any
}

func (q *query) where(condition string, values ...any) {
	q.conditions = append(q.conditions, condition)
	q.values = append(q.values, values...)
}

// equal asks for one value of a column, if there is one. A column with a partial index gets the condition of that as well.
func (q *query) equal(column, value string) {
	if value == "" {
		return
	}
	if column == "mission_id" || column == "member_of" {
		q.where(column + " <> ''")
	}
	q.where(column+" = ?", value)
}

func (q *query) sql() string {
	if len(q.conditions) == 0 {
		return ""
	}
	return "WHERE " + strings.Join(q.conditions, " AND ")
}

func (q *query) limit(n int) string {
	if n <= 0 {
		return ""
	}
	q.values = append(q.values, n)
	return " LIMIT ?"
}
