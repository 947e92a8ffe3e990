package index

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/ncruces/go-sqlite3"
)

// Dump writes everything that follows from the events as text: a line for each row, the name of its table first, then the
// columns with their names, separated by tabs. Two indexes of the same ledger give the same bytes.
func (r *Reader) Dump(w io.Writer) error {
	if err := errors.Join(r.sync(), r.syncCounts()); err != nil {
		return err
	}
	for _, table := range tables {
		rows, err := r.dumpTable(table.name, table.columns, table.key)
		if err != nil {
			return err
		}
		for rows.next() {
			if _, err := fmt.Fprintf(w, "%s\t%s\n", table.name, rows.text); err != nil {
				return errors.Join(err, rows.close())
			}
		}
		if err := rows.close(); err != nil {
			return err
		}
	}
	return nil
}

// Digest returns the SHA-256 of the dump in lower-case hex.
func (r *Reader) Digest() (string, error) {
	h := sha256.New()
	if err := r.Dump(h); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// tableRows goes through a table in the order of its key.
type tableRows struct {
	s     *stmt
	keys  int // how many of the columns, counted from the end, are the key
	names []string
	key   []any // int64 or string
	text  string
	err   error
}

func (r *Reader) dumpTable(name, columns, key string) (*tableRows, error) {
	s, err := r.c.prepare("SELECT " + columns + ", " + key + " FROM " + name + " ORDER BY " + key)
	if err != nil {
		return nil, err
	}
	return &tableRows{s: s, keys: strings.Count(key, ",") + 1, names: strings.Split(columns, ", ")}, nil
}

// next goes to the next row and reports whether there is one.
func (t *tableRows) next() bool {
	t.key, t.text = nil, ""
	if t.err != nil || !t.s.Step() {
		return false
	}
	var b strings.Builder
	for i, name := range t.names {
		if i > 0 {
			b.WriteByte('\t')
		}
		b.WriteString(name)
		b.WriteByte('=')
		if t.s.ColumnType(i) == sqlite3.TEXT {
			b.WriteString(strconv.Quote(t.s.ColumnText(i)))
		} else {
			b.WriteString(strconv.FormatInt(t.s.ColumnInt64(i), 10))
		}
	}
	t.text = b.String()
	for i := len(t.names); i < len(t.names)+t.keys; i++ {
		if t.s.ColumnType(i) == sqlite3.TEXT {
			t.key = append(t.key, t.s.ColumnText(i))
		} else {
			t.key = append(t.key, t.s.ColumnInt64(i))
		}
	}
	return true
}

func (t *tableRows) close() error { return t.s.end(t.err) }
