package index

import (
	"github.com/sheratan/sheratan/runtime/ledger"
)

// Reader answers questions about one state of the index: that of a View, or that of a Tx as far as it has come.
type Reader struct {
	c  *conn
	tx *Tx // nil in a View
}

// sync writes the rows that a Tx keeps in memory, so that a query sees them.
func (r *Reader) sync() error {
	if r.tx == nil {
		return nil
	}
	return r.tx.flushRows()
}

// syncCounts does the same with the counts.
func (r *Reader) syncCounts() error {
	if r.tx == nil {
		return nil
	}
	return r.tx.flushCounts()
}

// Position returns how much of the ledger is in the index; the zero position where there is nothing.
func (r *Reader) Position() (ledger.Position, error) {
	var p ledger.Position
	text, err := r.positionText()
	if err != nil || text == "" {
		return p, err
	}
	if err := p.UnmarshalText([]byte(text)); err != nil {
		return p, &GarbageError{Path: r.c.path, Err: err}
	}
	return p, nil
}

func (r *Reader) positionText() (text string, err error) {
	_, err = r.c.one("SELECT position FROM position", func(s *stmt) error {
		text = s.ColumnText(0)
		return nil
	})
	return text, err
}

// Job returns the job with this id, and whether there is one.
func (r *Reader) Job(id string) (row Row, found bool, err error) {
	if r.tx != nil {
		e, err := r.tx.look(id)
		if err != nil || e == nil {
			return Row{}, false, err
		}
		return e.row, true, nil
	}
	found, err = r.c.one(selectByID, func(s *stmt) error { return s.scan(&row) }, id)
	return row, found, err
}

// Exists reports whether there is a job with this id.
func (r *Reader) Exists(id string) (bool, error) {
	if r.tx != nil {
		e, err := r.tx.look(id)
		return e != nil, err
	}
	return r.c.one("SELECT 1 FROM jobs WHERE id = ?", func(*stmt) error { return nil }, id)
}
