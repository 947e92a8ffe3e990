package index

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// Difference is a row in which two indexes do not agree.
type Difference struct {
	Table string
	Key   string
	Want  string // the columns that differ, as Dump prints them; "" where there is no such row
	Got   string
}

func (d Difference) String() string {
	switch {
	case d.Want == "":
		return fmt.Sprintf("%s %s: must not be there: %s", d.Table, d.Key, d.Got)
	case d.Got == "":
		return fmt.Sprintf("%s %s: is missing: %s", d.Table, d.Key, d.Want)
	default:
		return fmt.Sprintf("%s %s: %s, and must be %s", d.Table, d.Key, d.Got, d.Want)
	}
}

// compareTables returns up to limit rows in which got differs from want. Those of the events are known already. progress is called
// at the beginning and then now and then with the number of rows that were compared; it may be nil.
func compareTables(want, got *Reader, events []Difference, limit int, progress func(int64)) ([]Difference, error) {
	rows := &counter{progress: progress}
	rows.report()
	if err := errors.Join(want.sync(), want.syncCounts(), got.sync(), got.syncCounts()); err != nil {
		return nil, err
	}
	var diffs []Difference
	for _, table := range tables {
		if table.name == eventTable {
			diffs = append(diffs, events[:min(len(events), limit-len(diffs))]...)
			continue
		}
		a, err := want.dumpTable(table.name, table.columns, table.key)
		if err != nil {
			return nil, err
		}
		b, err := got.dumpTable(table.name, table.columns, table.key)
		if err != nil {
			return nil, errors.Join(err, a.close())
		}
		diffs = compareRows(table.name, a, b, diffs, limit, rows)
		if err := errors.Join(a.close(), b.close()); err != nil {
			return nil, err
		}
	}
	return diffs, nil
}

// counter counts rows for a progress function.
type counter struct {
	n        int64
	progress func(int64)
}

func (c *counter) next() {
	if c.n++; c.n%progressEvery == 0 {
		c.report()
	}
}

func (c *counter) report() {
	if c.progress != nil {
		c.progress(c.n)
	}
}

func compareRows(table string, want, got *tableRows, diffs []Difference, limit int, rows *counter) []Difference {
	inWant, inGot := want.next(), got.next()
	for (inWant || inGot) && len(diffs) < limit {
		rows.next()
		order := 0
		if inWant && inGot {
			order = slices.CompareFunc(want.key(), got.key(), compareValues)
		}
		switch {
		case !inGot || order < 0:
			diffs = append(diffs, Difference{Table: table, Key: printKey(want.key()), Want: want.text()})
			inWant = want.next()
		case !inWant || order > 0:
			diffs = append(diffs, Difference{Table: table, Key: printKey(got.key()), Got: got.text()})
			inGot = got.next()
		default:
			if w, g := differentColumns(want, got); w != "" {
				diffs = append(diffs, Difference{Table: table, Key: printKey(want.key()), Want: w, Got: g})
			}
			inWant, inGot = want.next(), got.next()
		}
	}
	return diffs
}

// differentColumns prints the columns that two rows of a table do not have in common, separated by spaces.
func differentColumns(want, got *tableRows) (string, string) {
	var w, g []byte
	for i := range want.names {
		if compareValues(want.values[i], got.values[i]) == 0 {
			continue
		}
		if len(w) > 0 {
			w, g = append(w, ' '), append(g, ' ')
		}
		w, g = want.appendColumn(w, i), got.appendColumn(g, i)
	}
	return string(w), string(g)
}

// compareValues orders values as SQLite does: numbers before texts. What is neither, which damage alone can make, differs from
// all that an index has.
func compareValues(a, b any) int {
	switch x := a.(type) {
	case int64:
		if y, ok := b.(int64); ok {
			return cmp.Compare(x, y)
		}
		return -1
	case []byte:
		if y, ok := b.([]byte); ok {
			return bytes.Compare(x, y)
		}
		return 1
	default:
		return 1
	}
}

func printKey(key []any) string {
	var b []byte
	for i, k := range key {
		if i > 0 {
			b = append(b, ' ')
		}
		if text, ok := k.([]byte); ok {
			b = append(b, text...)
		} else {
			b = fmt.Append(b, k)
		}
	}
	return string(b)
}
