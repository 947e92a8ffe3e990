package index

import (
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// keep remembers that an attempt left files. One that left none costs nothing here.
func (tx *Tx) keep(ev *ledger.Event, bytes int64, at time.Time) error {
	if bytes <= 0 || ev.ArtifactSHA256 == "" && ev.Event != job.OutcomeUnknown {
		return nil
	}
	return tx.c.run("INSERT INTO kept (seq, job_id, ended_at, bytes) VALUES (?, ?, ?, ?)", ev.Seq, ev.JobID, at, bytes)
}

// removed forgets a file that an attempt left, and the attempt with its last one.
func (tx *Tx) removed(ev *ledger.Event) error {
	var m ledger.Removed
	if err := decode(ev, &m); err != nil {
		return err
	}
	switch {
	case m.Of == 0:
		return nil // a document
	case m.Last:
		return tx.c.run("DELETE FROM kept WHERE seq = ?", m.Of)
	}
	return tx.c.run("UPDATE kept SET bytes = max(0, bytes - ?) WHERE seq = ?", m.Bytes, m.Of)
}

// Kept is an attempt of which files are kept.
type Kept struct {
	Seq     int64 // of the event whose result names them
	JobID   string
	EndedAt time.Time
	Bytes   int64
}

// KeptBytes returns how many bytes of output files and artifacts are kept.
func (r *Reader) KeptBytes() (n int64, err error) {
	_, err = r.c.one("SELECT coalesce(sum(bytes), 0) FROM kept", func(s *stmt) error {
		n = s.ColumnInt64(0)
		return nil
	})
	return n, err
}

// OldestKept returns the attempts of which files are kept and that ended first, behind the one with the number after.
func (r *Reader) OldestKept(after int64, limit int) (list []Kept, err error) {
	err = r.c.each("SELECT seq, job_id, ended_at, bytes FROM kept WHERE seq > ? ORDER BY seq LIMIT ?", func(s *stmt) error {
		list = append(list, Kept{s.ColumnInt64(0), s.ColumnText(1), fromMicros(s.ColumnInt64(2)), s.ColumnInt64(3)})
		return nil
	}, after, limit)
	return list, err
}
