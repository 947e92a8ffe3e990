package cli

import (
	"io"
	"strings"
	"unicode/utf8"
)

// table prints rows in aligned columns. It is not text/tabwriter because that counts colour codes as width. Cells are
// escaped here, so callers hand over what they have.
type table struct {
	style  style
	header []string
	rows   [][]string
	width  []int
	fit    int // columns of the terminal, which the rows are cut to; 0 is without limit
}

// block is the number of rows after which a long table is printed and its column widths are fixed.
const block = 500

// widestPadded is the length of a cell from which on the other rows are not padded to it, where there is no terminal to fit: one text of
// 200 KB would make every row as long.
const widestPadded = 100

func (t *table) add(cells ...string) {
	row := make([]string, len(cells))
	for i, c := range cells {
		row[i] = escape(c)
	}
	t.rows = append(t.rows, row)
}

// full reports whether it is time to flush.
func (t *table) full() bool { return len(t.rows) >= block }

// flush prints the rows so far; the header goes before the first of them.
func (t *table) flush(w io.Writer) error {
	if len(t.rows) == 0 {
		return nil
	}
	var b strings.Builder
	for _, row := range append([][]string{t.header}, t.rows...) {
		for i, c := range row {
			for len(t.width) <= i {
				t.width = append(t.width, 0)
			}
			if n := utf8.RuneCountInString(c); t.fit > 0 || n <= widestPadded {
				t.width[i] = max(t.width[i], n)
			}
		}
	}
	t.narrow()
	if t.header != nil {
		t.line(&b, t.header, t.style.dim)
		t.header = nil
	}
	for _, row := range t.rows {
		t.line(&b, row, t.style.word)
	}
	t.rows = t.rows[:0]
	_, err := io.WriteString(w, b.String())
	return err
}

// narrowest is how far a column is cut to make the rows fit.
const narrowest = 8

// narrow takes from the widest columns what the rows are too long.
func (t *table) narrow() {
	if t.fit <= 0 {
		return
	}
	over := 2*(len(t.width)-1) - t.fit
	for _, w := range t.width {
		over += w
	}
	for ; over > 0; over-- {
		widest := 0
		for i, w := range t.width {
			if w >= t.width[widest] {
				widest = i
			}
		}
		if t.width[widest] <= narrowest {
			return
		}
		t.width[widest]--
	}
}

// line prints one row; no spaces stand at its end.
func (t *table) line(b *strings.Builder, row []string, paint func(string) string) {
	last := len(row) - 1
	for last > 0 && row[last] == "" {
		last--
	}
	room := t.fit
	for i, c := range row[:last+1] {
		if t.fit > 0 {
			if room <= 0 {
				break // the columns are as narrow as they get: the last ones are left out
			}
			c = clip(c, min(t.width[i], room))
			room -= t.width[i] + 2
		}
		b.WriteString(paint(c))
		if i < last && (t.fit == 0 || room > 0) {
			b.WriteString(strings.Repeat(" ", max(t.width[i]-utf8.RuneCountInString(c), 0)+2))
		}
	}
	b.WriteByte('\n')
}
