package cli

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/diff"
	"golang.org/x/text/width"

	"github.com/sheratan/sheratan/pipeline"
)

// reviewScreen is what review shows. Pictures are made of it and of nothing else.
type reviewScreen struct {
	style style
	queue []string // ids
	at    int      // in the queue

	look  pipeline.Look
	lines []screenLine

	top     int    // the first row of the text that is shown
	page    int    // by how many rows a page goes on
	columns int    // of the rows that follow
	seen    int    // how many of them, from the first on, were on the screen
	need    int    // how many there are
	note    string // what came of the last key
	help    bool
	ask     bool   // for the reason of a rejection
	input   string // which is this so far
	armed   bool   // the next key may approve what is severe
}

// screenLine is a line of text, escaped, that may be longer than the screen is wide.
type screenLine struct {
	text  string
	paint func(style, string) string // nil is as it is
}

// say sets the note.
func (s *reviewScreen) say(format string, args ...any) { s.note = escape(fmt.Sprintf(format, args...)) }

// show turns to a job.
func (s *reviewScreen) show(l pipeline.Look, lines []screenLine) {
	s.look, s.lines = l, lines
	s.top, s.seen, s.ask, s.armed, s.help = 0, 0, false, false, false
}

// drop takes the job that is shown out of the queue.
func (s *reviewScreen) drop() {
	s.queue = append(s.queue[:s.at:s.at], s.queue[s.at+1:]...)
	s.at = min(s.at, max(len(s.queue)-1, 0))
}

// read reports whether the whole text was on the screen.
func (s *reviewScreen) read() bool { return s.need > 0 && s.seen >= s.need }

// scroll moves the text; drawing keeps it in its bounds.
func (s *reviewScreen) scroll(by int) { s.top = max(s.top+by, 0) }

// grave says what makes approving a matter for a second thought, "" for nothing.
func (s *reviewScreen) grave() string {
	if s.look.Unknown {
		return "nobody knows what came of the attempt before"
	}
	for i := len(s.look.Opinions) - 1; i >= 0; i-- {
		if o := s.look.Opinions[i]; o.Report != nil {
			if sev := o.Report.Severity; sev == "high" || sev == "critical" {
				return "auditor " + o.Auditor + " finds it " + sev
			}
			return ""
		}
	}
	return ""
}

// amendment returns the change that a key stands for: p is an auditor's, g the gates'.
func (s *reviewScreen) amendment(k key) *pipeline.Amendment {
	for i := range s.look.Amendments {
		if c := &s.look.Amendments[i]; strings.HasPrefix(c.By, "auditor ") == (k == 'p') {
			return c
		}
	}
	return nil
}

// reviewLines is all that is shown of a job.
func reviewLines(a *app, l *pipeline.Look) (lines []screenLine) {
	add := func(text string, paint func(style, string) string) {
		for line := range strings.SplitSeq(strings.Trim(text, "\n"), "\n") {
			lines = append(lines, screenLine{strings.ReplaceAll(line, "\t", "    "), paint})
		}
	}
	for line := range strings.SplitSeq(strings.Trim(reviewText(l.Review), "\n"), "\n") {
		add(line, paintChange(line))
	}
	if !l.Overridable {
		add("no operator may allow it as it is", style.red)
	}
	if texts := opinionTexts(style{}, l.Opinions); len(texts) > 0 {
		add("", nil)
		add("opinions", style.bold)
		for _, text := range texts {
			add("  "+text, nil)
		}
	}
	for _, c := range l.Amendments {
		add("", nil)
		add("suggested by "+escape(c.By), style.bold)
		if c.Problem != "" {
			add("  cannot be done: "+escape(c.Problem), style.red)
			continue
		}
		for line := range strings.SplitSeq(strings.TrimSpace(unifiedDiff(l.Proposal, c.Proposal)), "\n") {
			paint := map[byte]func(style, string) string{'+': style.green, '-': style.red, '@': style.dim}[append([]byte(line), 0)[0]]
			add(line, paint)
		}
	}
	return lines
}

// unifiedDiff compares two versions of a proposal, escaped for a terminal.
func unifiedDiff(before, after []byte) string {
	text := string(diff.Diff("proposed", before, "suggested", after))
	_, text, _ = strings.Cut(text, "\n") // "diff proposed suggested", which says nothing
	return escapeBlock(text)
}

// runeColumns is how wide a character is on a terminal.
func runeColumns(r rune) int {
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// continued begins each row but the first of a line that is folded. No line begins so by itself, so that nobody can write a long
// line of which the end looks like a line of ours.
const continued = "… "

// fold cuts a line into rows that fit; there is always one.
func fold(text string, columns int) (rows []string) {
	if strings.HasPrefix(text, continued) {
		text = " " + text
	}
	lead, used, from := "", 0, 0
	for i, r := range text {
		n := runeColumns(r)
		if used+n > columns && i > from {
			rows = append(rows, lead+text[from:i])
			if columns >= 8 { // on less there is no room for it
				lead = continued
			}
			used, from = utf8.RuneCountInString(lead), i
		}
		used += n
	}
	return append(rows, lead+text[from:])
}

// cut is the beginning of a line as far as it fits.
func cut(text string, columns int) string {
	used := 0
	for i, r := range text {
		if used += runeColumns(r); used > columns {
			return text[:i]
		}
	}
	return text
}

// reviewKeys is what the keys do, for the help.
var reviewKeys = []string{
	"a  approve exactly these bytes", "r  reject them, for a reason", "e  make a new version in an editor",
	"p  take over what the auditor suggests", "g  take over what the gates suggest", "n  the next job", "b  the one before",
	"space, arrows, page keys  read on", "?  this", "q  end",
}

// draw makes one picture for a terminal of that size; 0 is not known.
func (s *reviewScreen) draw(columns, rows int) string {
	if columns <= 0 {
		columns = 80
	}
	if rows <= 0 {
		rows = 24
	}
	lines := s.picture(columns, rows)
	return toTop + strings.Join(lines, clearLine+"\r\n") + clearLine + clearRest
}

// picture is the rows of it: no more than rows, none wider than columns.
func (s *reviewScreen) picture(columns, rows int) []string {
	paint := s.style
	j := &s.look.Job
	title := fmt.Sprintf("%d of %d  %s  %s of %s", s.at+1, len(s.queue), escape(j.ID), escape(j.Payload.Kind), escape(j.Source))
	body := max(rows-3, 0)
	text := s.text(columns)
	top := 0
	if !s.help {
		s.page = max(body-1, 1)
		s.top = max(min(s.top, len(text)-body), 0)
		if s.columns != columns {
			s.columns, s.seen = columns, 0 // other rows than before
		}
		if s.need = len(text); s.top <= s.seen { // what is jumped over was not on the screen
			s.seen = max(s.seen, min(s.top+body, len(text)))
		}
		top = s.top
	}
	shown := text[min(top, len(text)):min(top+body, len(text))]
	out := append([]string{paint.bold(cut(title, columns))}, shown...)
	for len(out) < rows-2 {
		out = append(out, "")
	}
	out = append(out, s.status(columns), s.footer(columns))
	return out[max(len(out)-rows, 0):]
}

// text is the text, folded and painted.
func (s *reviewScreen) text(columns int) (out []string) {
	lines := s.lines
	if s.help {
		lines = nil
		for _, k := range reviewKeys {
			lines = append(lines, screenLine{k, nil})
		}
	}
	for _, l := range lines {
		for _, row := range fold(l.text, columns) {
			if l.paint != nil {
				row = l.paint(s.style, row)
			}
			out = append(out, row)
		}
	}
	return out
}

// status is the row above the keys: what came of the last one, or how much there is to be read.
func (s *reviewScreen) status(columns int) string {
	switch {
	case s.ask:
		typed := "why? " + s.input + "_"
		for len(typed) > 0 && cut(typed, columns) != typed {
			typed = typed[1:]
		}
		return strings.ToValidUTF8(typed, "")
	case s.note != "":
		return s.style.yellow(cut(s.note, columns))
	case s.need > s.page+1:
		return s.style.dim(cut(fmt.Sprintf("rows %d to %d of %d", s.top+1, min(s.top+s.page+1, s.need), s.need), columns))
	}
	return ""
}

// footer lists the keys that do something now.
func (s *reviewScreen) footer(columns int) string {
	words := []string{"a approve", "r reject", "e revise"}
	if s.ask {
		words = []string{"Enter rejects", "Esc does not"}
	} else {
		if s.amendment('p') != nil {
			words = append(words, "p auditor's")
		}
		if s.amendment('g') != nil {
			words = append(words, "g gates'")
		}
		words = append(words, "? help", "q end", "n next", "b back")
	}
	row := ""
	for _, w := range words {
		if longer := strings.TrimLeft(row+"   "+w, " "); len(longer) <= columns {
			row = longer
		}
	}
	return s.style.dim(row)
}
