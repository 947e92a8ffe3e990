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
			if _, err := fmt.Fprintf(w, "%s\t%s\n", table.name, rows.text()); err != nil {
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
	s      *stmt
	names  []string
	values []any // of the columns, and then of the key: int64, []byte for a text (valid until next is called), or what damage made of it
	err    error
}

func (r *Reader) dumpTable(name, columns, key string) (*tableRows, error) {
	s, err := r.c.prepare("SELECT " + columns + ", " + key + " FROM " + name + " ORDER BY " + key)
	if err != nil {
		return nil, err
	}
	return &tableRows{s: s, names: strings.Split(columns, ", "), values: make([]any, s.ColumnCount())}, nil
}

// notText is a value that has the bytes of a text and is none, in a column that was damaged.
type notText string

// next goes to the next row and reports whether there is one.
func (t *tableRows) next() bool {
	if t.err != nil || !t.s.Step() {
		return false
	}
	if t.err = t.s.ColumnsRaw(t.values...); t.err != nil {
		return false
	}
	for i, v := range t.values {
		if b, ok := v.([]byte); ok && t.s.ColumnType(i) != sqlite3.TEXT {
			t.values[i] = notText(b)
		}
	}
	return true
}

// key returns the values of the key.
func (t *tableRows) key() []any { return t.values[len(t.names):] }

// text prints the row: its columns with their names, separated by tabs.
func (t *tableRows) text() string {
	var b []byte
	for i := range t.names {
		if i > 0 {
			b = append(b, '\t')
		}
		b = t.appendColumn(b, i)
	}
	return string(b)
}

func (t *tableRows) appendColumn(b []byte, i int) []byte {
	b = append(append(b, t.names[i]...), '=')
	switch v := t.values[i].(type) {
	case int64:
		return strconv.AppendInt(b, v, 10)
	case []byte:
		return strconv.AppendQuote(b, string(v))
	default:
		return fmt.Appendf(b, "%T(%v)", v, v)
	}
}

func (t *tableRows) close() error { return t.s.end(t.err) }
