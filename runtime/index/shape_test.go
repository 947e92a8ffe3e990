package index

import (
	"errors"
	"strings"
	"testing"
)

// What a database is made of is checked as well as what is in it: one without an index would be found at the next claim.
func TestCheckSchema(t *testing.T) {
	f := newFixture(t)
	if err := f.db.CheckSchema(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{
		"DROP INDEX jobs_claim",
		"CREATE TRIGGER mine AFTER INSERT ON jobs BEGIN DELETE FROM jobs; END",
		"ALTER TABLE hosts ADD COLUMN mine TEXT",
	} {
		f := newFixture(t)
		c, err := f.db.take()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Exec(sql); err != nil {
			t.Fatal(err)
		}
		f.db.give(c)
		var garbage *GarbageError
		if err := f.db.CheckSchema(t.Context()); !errors.As(err, &garbage) || !strings.Contains(err.Error(), f.db.Path()) {
			t.Errorf("%s: %v", sql, err)
		}
	}
}

func TestUnreadablePosition(t *testing.T) {
	f := newFixture(t)
	c, err := f.db.take()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Exec("INSERT INTO position (one, position) VALUES (1, 'garbage') ON CONFLICT DO UPDATE SET position = 'garbage'"); err != nil {
		t.Fatal(err)
	}
	f.db.give(c)
	var garbage *GarbageError
	err = f.db.View(t.Context(), func(r *Reader) error { _, err := r.Position(); return err })
	if !errors.As(err, &garbage) {
		t.Errorf("%v", err)
	}
}
