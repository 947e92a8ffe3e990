package index

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
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

// Compare returns up to limit rows in which got differs from want.
func Compare(want, got *Reader, limit int) ([]Difference, error) {
	if err := errors.Join(want.sync(), want.syncCounts(), got.sync(), got.syncCounts()); err != nil {
		return nil, err
	}
	var diffs []Difference
	for _, table := range tables {
		a, err := want.dumpTable(table.name, table.columns, table.key)
		if err != nil {
			return nil, err
		}
		b, err := got.dumpTable(table.name, table.columns, table.key)
		if err != nil {
			return nil, errors.Join(err, a.close())
		}
		diffs = compareRows(table.name, a, b, diffs, limit)
		if err := errors.Join(a.close(), b.close()); err != nil {
			return nil, err
		}
	}
	return diffs, nil
}

func compareRows(table string, want, got *tableRows, diffs []Difference, limit int) []Difference {
	inWant, inGot := want.next(), got.next()
	for (inWant || inGot) && len(diffs) < limit {
		order := compareKeys(want.key, got.key)
		switch {
		case !inGot || inWant && order < 0:
			diffs = append(diffs, Difference{Table: table, Key: printKey(want.key), Want: want.text})
			inWant = want.next()
		case !inWant || order > 0:
			diffs = append(diffs, Difference{Table: table, Key: printKey(got.key), Got: got.text})
			inGot = got.next()
		default:
			if want.text != got.text {
				w, g := onlyDifferent(want.text, got.text)
				diffs = append(diffs, Difference{Table: table, Key: printKey(want.key), Want: w, Got: g})
			}
			inWant, inGot = want.next(), got.next()
		}
	}
	return diffs
}

// onlyDifferent leaves out the columns that are the same.
func onlyDifferent(want, got string) (string, string) {
	w, g := strings.Split(want, "\t"), strings.Split(got, "\t")
	var a, b []string
	for i := range min(len(w), len(g)) {
		if w[i] != g[i] {
			a, b = append(a, w[i]), append(b, g[i])
		}
	}
	return strings.Join(a, " "), strings.Join(b, " ")
}

func compareKeys(a, b []any) int {
	for i := range min(len(a), len(b)) {
		var c int
		switch x := a[i].(type) {
		case int64:
			y, _ := b[i].(int64)
			c = cmp.Compare(x, y)
		case string:
			y, _ := b[i].(string)
			c = cmp.Compare(x, y)
		}
		if c != 0 {
			return c
		}
	}
	return 0
}

func printKey(key []any) string {
	var parts []string
	for _, k := range key {
		parts = append(parts, fmt.Sprint(k))
	}
	return strings.Join(parts, " ")
}
