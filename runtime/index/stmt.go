package index

import (
	"fmt"
	"time"

	"github.com/ncruces/go-sqlite3"
)

// stmt is a prepared statement that remembers what its parameters are bound to. Most columns of a job do not differ from
// those of the job before (”, 0, the same source), and binding a text copies it into SQLite's memory.
type stmt struct {
	*sqlite3.Stmt
	bound []bound
	raw   []any // scratch of scan
	n     int   // next parameter or column
	err   error
}

type bound struct {
	set  bool
	text bool
	i    int64
	s    string
}

// bind resets the statement and binds values, which are string, int, int64, bool or time.Time, to the first parameters.
func (s *stmt) bind(values ...any) error {
	s.n, s.err = 0, nil
	for _, v := range values {
		switch v := v.(type) {
		case string:
			s.bindText(v)
		case int:
			s.bindInt(int64(v))
		case int64:
			s.bindInt(v)
		case bool:
			s.bindInt(fromBool(v))
		case time.Time:
			s.bindInt(micros(v))
		default:
			return fmt.Errorf("cannot bind a %T", v)
		}
	}
	return s.err
}

func (s *stmt) bindText(v string) {
	b := &s.bound[s.n]
	s.n++
	if s.err == nil && !(b.set && b.text && b.s == v) {
		s.err = s.BindText(s.n, v)
		*b = bound{set: s.err == nil, text: true, s: v}
	}
}

func (s *stmt) bindInt(v int64) {
	b := &s.bound[s.n]
	s.n++
	if s.err == nil && !(b.set && !b.text && b.i == v) {
		s.err = s.BindInt64(s.n, v)
		*b = bound{set: s.err == nil, i: v}
	}
}

// run executes a statement that gives no rows.
func (s *stmt) run(values ...any) error {
	if err := s.bind(values...); err != nil {
		return err
	}
	return s.Exec()
}

// each executes a query and calls fn for each row, which reads it through the column methods.
func (s *stmt) each(fn func() error, values ...any) error {
	err := s.bind(values...)
	for err == nil && s.Step() {
		err = fn()
	}
	return s.end(err)
}

// one executes a query and reports whether it gave a row, which fn reads.
func (s *stmt) one(fn func() error, values ...any) (found bool, err error) {
	err = s.bind(values...)
	if err == nil && s.Step() {
		found, err = true, fn()
	}
	return found, s.end(err)
}

// end resets the statement after a query. It returns err or else what Step met: an interrupt is known to the statement
// only, anything else to Reset as well.
func (s *stmt) end(err error) error {
	if err == nil {
		err = s.Err()
	}
	if resetErr := s.Reset(); err == nil {
		err = resetErr
	}
	return err
}

// binder is the visitor that binds a row.
type binder struct{ *stmt }

func (b binder) text(_ string, p *string)    { b.bindText(*p) }
func (b binder) int(_ string, p *int)        { b.bindInt(int64(*p)) }
func (b binder) int64(_ string, p *int64)    { b.bindInt(*p) }
func (b binder) bool(_ string, p *bool)      { b.bindInt(fromBool(*p)) }
func (b binder) time(_ string, p *time.Time) { b.bindInt(micros(*p)) }

// scanner is the visitor that fills a row from the one that the statement stands on.
type scanner struct{ *stmt }

func (s *stmt) scan(r *Row) error {
	if err := s.ColumnsRaw(s.raw...); err != nil {
		return err
	}
	s.n = 0
	r.visit(scanner{s})
	return nil
}

func (s scanner) next() any {
	s.n++
	return s.raw[s.n-1]
}

func (s scanner) number() int64 {
	v, _ := s.next().(int64)
	return v
}

func (s scanner) text(_ string, p *string) {
	b, _ := s.next().([]byte)
	*p = string(b)
}
func (s scanner) int(_ string, p *int)        { *p = int(s.number()) }
func (s scanner) int64(_ string, p *int64)    { *p = s.number() }
func (s scanner) bool(_ string, p *bool)      { *p = s.number() != 0 }
func (s scanner) time(_ string, p *time.Time) { *p = fromMicros(s.number()) }

// namer is the visitor that lists the columns.
type namer struct{ names []string }

func (n *namer) text(c string, _ *string)    { n.names = append(n.names, c) }
func (n *namer) int(c string, _ *int)        { n.names = append(n.names, c) }
func (n *namer) int64(c string, _ *int64)    { n.names = append(n.names, c) }
func (n *namer) bool(c string, _ *bool)      { n.names = append(n.names, c) }
func (n *namer) time(c string, _ *time.Time) { n.names = append(n.names, c) }

func fromBool(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}
