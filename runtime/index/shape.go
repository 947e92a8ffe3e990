package index

import (
	"context"
	"errors"
)

// compareSchemas lists the tables, indexes and triggers in which two databases do not agree.
func compareSchemas(want, got *Reader) (diffs []Difference, err error) {
	a, err := want.schema()
	if err != nil {
		return nil, err
	}
	b, err := got.schema()
	if err != nil {
		return nil, err
	}
	for name, sql := range a {
		if b[name] != sql {
			diffs = append(diffs, Difference{Table: "schema", Key: name, Want: firstLine(sql), Got: firstLine(b[name])})
		}
	}
	for name, sql := range b {
		if _, known := a[name]; !known {
			diffs = append(diffs, Difference{Table: "schema", Key: name, Got: firstLine(sql)})
		}
	}
	return diffs, nil
}

// schema returns the statements that made what is in the database, by type and name.
func (r *Reader) schema() (map[string]string, error) {
	made := map[string]string{}
	err := r.c.each("SELECT type || ' ' || name, coalesce(sql, '') FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'", func(s *stmt) error {
		made[s.ColumnText(0)] = s.ColumnText(1)
		return nil
	})
	return made, err
}

// CheckSchema reports, as a *GarbageError, that the database is not made as this package makes it.
func (db *DB) CheckSchema(ctx context.Context) (err error) {
	second, err := openScratch()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, second.Close()) }()
	return db.View(ctx, func(got *Reader) error {
		return second.View(ctx, func(want *Reader) error {
			diffs, err := compareSchemas(want, got)
			if err == nil && len(diffs) > 0 {
				err = &GarbageError{Path: db.path, Err: errors.New(diffs[0].String())}
			}
			return err
		})
	})
}
