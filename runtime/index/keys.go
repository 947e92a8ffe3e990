package index

import "fmt"

// A key belongs, per source, to the first approved job that carries it. Blocked, rejected and cancelled jobs hold none; a
// failed one keeps it until a revision of it, or another job with the key, is approved. One whose outcome is unknown keeps it as well, although it is blocked: it
// may have done what a second job with the key must not do again.

// takeKey lets a job have its key, if that is free or held by the failed job that it revises.
func (tx *Tx) takeKey(e *entry) error {
	if e.row.HoldsKey || e.row.Key == "" {
		return nil
	}
	holder, err := tx.holder(e.row.Source, e.row.Key)
	if err != nil {
		return err
	}
	if holder != nil {
		if holder.row.ID != e.row.Revises || settles(holder.row.Status) != broken {
			return nil
		}
		if err := tx.dropKey(holder); err != nil {
			return err
		}
	}
	if e.row.Key != e.row.ID {
		err := tx.c.run("INSERT INTO keys (source, key, holder) VALUES (?, ?, ?)", e.row.Source, e.row.Key, e.row.ID)
		if err != nil {
			return fmt.Errorf("job %s: key %s: %w", e.row.ID, e.row.Key, err)
		}
	}
	e.row.HoldsKey = true
	tx.touch(e)
	return nil
}

// dropKey frees the key that a job holds.
func (tx *Tx) dropKey(e *entry) error {
	if !e.row.HoldsKey {
		return nil
	}
	if e.row.Key != e.row.ID {
		if err := tx.c.run("DELETE FROM keys WHERE source = ? AND key = ?", e.row.Source, e.row.Key); err != nil {
			return fmt.Errorf("job %s: key %s: %w", e.row.ID, e.row.Key, err)
		}
	}
	e.row.HoldsKey = false
	tx.touch(e)
	return nil
}

// holder returns the job that holds a key, or nil.
func (tx *Tx) holder(source, key string) (*entry, error) {
	id, err := tx.holderID(source, key)
	if err != nil {
		return nil, err
	}
	e, err := tx.load(id)
	if err != nil || e == nil || !holds(&e.row, source, key) {
		return nil, err
	}
	return e, nil
}

func holds(r *Row, source, key string) bool { return r.HoldsKey && r.Source == source && r.Key == key }

// holderID returns the id of the job that holds a key if any does.
func (r *Reader) holderID(source, key string) (id string, err error) {
	id = key // unless a proposal chose the key, the job is named by it
	_, err = r.c.one("SELECT holder FROM keys WHERE source = ? AND key = ?", func(s *stmt) error {
		id = s.ColumnText(0)
		return nil
	}, source, key)
	return id, err
}

// KeyHolder returns the job that holds an idempotency key of a source, and whether there is one.
func (r *Reader) KeyHolder(source, key string) (Row, bool, error) {
	id, err := r.holderID(source, key)
	if err != nil {
		return Row{}, false, err
	}
	row, found, err := r.Job(id)
	if err != nil || !found || !holds(&row, source, key) {
		return Row{}, false, err
	}
	return row, true, nil
}
