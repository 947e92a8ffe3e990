package main

import (
	"fmt"
	"io"
	"slices"
	"time"
)

// report prints the measurements.
type report struct{ w io.Writer }

func (r *report) begin(name string) { fmt.Fprintf(r.w, "\n== %s\n", name) }

func (r *report) line(format string, args ...any) { fmt.Fprintf(r.w, "   "+format+"\n", args...) }

// row prints the median of a series with its spread, and notes.
func (r *report) row(name string, s series, notes ...string) {
	text := fmt.Sprintf("%-44s %10s  (%s to %s)", name, short(s.median()), short(s.low()), short(s.high()))
	for _, n := range notes {
		text += "  " + n
	}
	r.line("%s", text)
}

// ratio prints a ratio beside its aim. met says whether got is good enough.
func (r *report) ratio(name, got, aim string, met bool) {
	verdict := "aim met"
	if !met {
		verdict = "aim not met"
	}
	r.line("%-44s %10s  %s: %s", name, got, aim, verdict)
}

// growth prints the ratio of the cost with a long history to that with a short one; the aim is less than 1.5.
func (r *report) growth(name string, large, small float64) {
	r.ratio(name, fmt.Sprintf("%.2f", large/small), "aim < 1.5", large < 1.5*small)
}

// series are repeated measurements of one thing.
type series []time.Duration

func (s series) sorted() series {
	c := slices.Clone(s)
	slices.Sort(c)
	return c
}

func (s series) median() time.Duration {
	c := s.sorted()
	n := len(c)
	return (c[(n-1)/2] + c[n/2]) / 2
}

func (s series) low() time.Duration  { return slices.Min(s) }
func (s series) high() time.Duration { return slices.Max(s) }

// short prints a duration with three digits.
func short(d time.Duration) string {
	switch {
	case d >= time.Second:
		return fmt.Sprintf("%.2f s", d.Seconds())
	case d >= time.Millisecond:
		return fmt.Sprintf("%.3g ms", float64(d)/float64(time.Millisecond))
	}
	return fmt.Sprintf("%.3g µs", float64(d)/float64(time.Microsecond))
}

// perSecond is the rate of n things in d.
func perSecond(n int, d time.Duration) float64 { return float64(n) / d.Seconds() }
