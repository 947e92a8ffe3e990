package index

import (
	"strings"

	"github.com/sheratan/sheratan/runtime/ledger"
)

// The events themselves, for those who ask what happened. Nothing that Apply does depends on them.
const (
	eventTable   = "ledger_events"
	eventColumns = "seq, job, v, event, timestamp, actor, job_id, trace_id, zone, id, artifact_path, artifact_sha256, prev, meta"
)

var insertEvent = "INSERT INTO " + eventTable + " (" + eventColumns + ") VALUES (?" + strings.Repeat(", ?", strings.Count(eventColumns, ",")) + ")"

// eventRow returns the row of an event that concerns the job with the number job: the numbers, which come first, and the texts.
func eventRow(ev *ledger.Event, job int64) (numbers [3]int64, texts [11]string) {
	meta := "{}"
	if len(ev.Meta) > 0 {
		meta = string(ev.Meta)
	}
	return [...]int64{ev.Seq, job, int64(ev.V)}, [...]string{string(ev.Event), ev.Timestamp, ev.Actor, ev.JobID, ev.TraceID, ev.Zone, ev.ID,
		ev.ArtifactPath, ev.ArtifactSHA256, ev.Prev, meta}
}

// record keeps the event itself.
func (tx *Tx) record(ev *ledger.Event, job int64) error {
	if tx.events != nil {
		tx.events.next(ev, job)
		return nil
	}
	s, err := tx.c.prepare(insertEvent)
	if err != nil {
		return err
	}
	s.n, s.err = 0, nil
	numbers, texts := eventRow(ev, job)
	for _, n := range numbers {
		s.bindInt(n)
	}
	for _, text := range texts {
		s.bindText(text)
	}
	if s.err == nil {
		s.err = s.Exec()
	}
	return tx.fail(s.err)
}

// eventComparer compares the events of an index with those that the ledger has, one after the other as they are applied: to store
// them a second time would cost more than all the rest of a check.
type eventComparer struct {
	got   *tableRows
	inGot bool
	limit int
	diffs []Difference
}

func newEventComparer(got *Reader, limit int) (*eventComparer, error) {
	if err := got.sync(); err != nil {
		return nil, err
	}
	rows, err := got.dumpTable(eventTable, eventColumns, "seq")
	if err != nil {
		return nil, err
	}
	return &eventComparer{got: rows, inGot: rows.next(), limit: limit}, nil
}

// next compares the row of the next event of the ledger.
func (c *eventComparer) next(ev *ledger.Event, job int64) {
	if len(c.diffs) >= c.limit {
		return
	}
	numbers, texts := eventRow(ev, job)
	if c.inGot && c.same(numbers[:], texts[:]) {
		c.inGot = c.got.next()
		return
	}
	want := &tableRows{names: c.got.names}
	for _, n := range numbers {
		want.values = append(want.values, n)
	}
	for _, text := range texts {
		want.values = append(want.values, []byte(text))
	}
	want.values = append(want.values, ev.Seq) // the key
	c.differ(want)
}

func (c *eventComparer) same(numbers []int64, texts []string) bool {
	for i, v := range c.got.values[:len(c.got.names)] {
		switch v := v.(type) {
		case int64:
			if i >= len(numbers) || v != numbers[i] {
				return false
			}
		case []byte:
			if i < len(numbers) || string(v) != texts[i-len(numbers)] {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// differ notes how the row that the ledger makes differs from those that are there.
func (c *eventComparer) differ(want *tableRows) {
	for c.inGot && len(c.diffs) < c.limit {
		order := compareValues(want.key()[0], c.got.key()[0])
		if order < 0 {
			break
		}
		if order == 0 {
			if w, g := differentColumns(want, c.got); w != "" {
				c.diffs = append(c.diffs, Difference{Table: eventTable, Key: printKey(want.key()), Want: w, Got: g})
			}
			c.inGot = c.got.next()
			return
		}
		c.surplus()
	}
	if len(c.diffs) < c.limit {
		c.diffs = append(c.diffs, Difference{Table: eventTable, Key: printKey(want.key()), Want: want.text()})
	}
}

// surplus notes a row that the ledger does not make.
func (c *eventComparer) surplus() {
	c.diffs = append(c.diffs, Difference{Table: eventTable, Key: printKey(c.got.key()), Got: c.got.text()})
	c.inGot = c.got.next()
}

// end notes what is left when the ledger is at its end.
func (c *eventComparer) end() error {
	for c.inGot && len(c.diffs) < c.limit {
		c.surplus()
	}
	return c.got.close()
}
