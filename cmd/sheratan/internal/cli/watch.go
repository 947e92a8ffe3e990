package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sheratan/sheratan/pipeline"
	"github.com/sheratan/sheratan/pipeline/job"
)

// watchPoll is how often a watcher looks whether there are new events.
const watchPoll = 200 * time.Millisecond

// Sequences of the terminal: the other screen and no cursor, and both taken back; the top left corner; the rest of a line, and
// of the screen.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l"
	leaveScreen = "\x1b[?25h\x1b[?1049l"
	toTop       = "\x1b[H"
	clearLine   = "\x1b[K"
	clearRest   = "\x1b[J"
)

func runWatch(ctx context.Context, a *app, p *pipeline.Pipeline, o *statusOptions) (err error) {
	if !a.env.StdoutTTY || a.global.JSON {
		return watchChanges(ctx, a, p, o)
	}
	w := &watchScreen{a: a, root: p.Workspace().Root()}
	if err := a.out.printf(enterScreen); err != nil {
		return err
	}
	// Whatever happens, the terminal is as it was.
	defer func() { err = joined(err, a.out.printf(leaveScreen)) }()
	keys, release, err := a.keyboard(ctx)
	if err != nil {
		return err
	}
	defer release()
	ctx, cancel := untilQuit(ctx, keys)
	defer cancel()
	defer func() {
		if errors.Is(err, errQuit) {
			err = nil
		}
	}()
	return eachChange(ctx, p, o, func() error {
		l, err := p.Live(ctx)
		if err != nil {
			return err
		}
		return a.out.printf("%s", w.draw(l))
	})
}

// watchChanges prints the status whenever it has changed, for a file or another program.
func watchChanges(ctx context.Context, a *app, p *pipeline.Pipeline, o *statusOptions) error {
	last := ""
	return eachChange(ctx, p, o, func() error {
		s, err := p.Status(ctx)
		if err != nil {
			return err
		}
		text := a.statusText(p.Workspace().Root(), s)
		if text == last {
			return nil
		}
		if last != "" {
			text = "\n" + text
		}
		last = strings.TrimPrefix(text, "\n")
		if err := a.show(s, text); err != nil {
			return err
		}
		return a.out.flush()
	})
}

// eachChange calls look at once, when there are new events, and when the interval has passed, until ctx ends.
func eachChange(ctx context.Context, p *pipeline.Pipeline, o *statusOptions, look func() error) error {
	tick := time.NewTicker(min(watchPoll, o.Interval))
	defer tick.Stop()
	size, looked := int64(-1), time.Time{}
	for {
		now, err := p.LedgerSize()
		if err != nil {
			return err
		}
		if now != size || time.Since(looked) >= o.Interval {
			size, looked = now, time.Now()
			if err := look(); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// watchScreen draws what is going on, to the size of the terminal.
type watchScreen struct {
	a    *app
	root string
}

// draw makes one picture: every line is cleared to its end, so that nothing of the one before shines through and nothing
// flickers.
func (w *watchScreen) draw(l pipeline.Live) string {
	columns, rows := w.a.env.size()
	if columns <= 0 {
		columns = 80
	}
	if rows <= 0 {
		rows = 24
	}
	lines := w.lines(l, columns, rows-1)
	if len(lines) > rows-1 {
		lines = lines[:max(rows-1, 1)]
	}
	return toTop + strings.Join(lines, clearLine+"\r\n") + clearLine + clearRest
}

func (w *watchScreen) lines(l pipeline.Live, columns, rows int) []string {
	s := w.a.out.style
	lines := []string{s.bold(clip(fmt.Sprintf("%s  %s  %d events  %s", escape(w.root), l.State, l.Ledger.Size,
		w.a.env.Now().Format("15:04:05")), columns))}
	for _, pause := range l.Paused {
		lines = append(lines, s.yellow(clip("paused  "+everything(pause.Source)+because(pause.Reason), columns)))
	}
	lines = append(lines, fitWords(columns, w.counts(l)), "", fitWords(columns, w.queue(l)))
	lines = append(lines, w.sources(l, columns, max(2, rows/5))...)
	lines = append(lines, "")
	lines = append(lines, w.running(l, columns, max(3, rows/3))...)
	lines = append(lines, "")
	lines = append(lines, w.hosts(l, columns)...)
	lines = append(lines, "")
	return append(lines, w.events(l, columns, max(1, rows-len(lines)-1))...)
}

// word is a piece of a line: what it says, and what it looks like.
type word struct{ text, painted string }

// fitWords puts as many words into a line as fit.
func fitWords(columns int, words []word) string {
	var b strings.Builder
	used := 0
	for _, w := range words {
		n := utf8.RuneCountInString(w.text)
		if used > 0 {
			n += 2
		}
		if used+n > columns {
			break
		}
		if used > 0 {
			b.WriteString("  ")
		}
		b.WriteString(w.painted)
		used += n
	}
	return b.String()
}

func (w *watchScreen) counts(l pipeline.Live) []word {
	words := []word{{fmt.Sprintf("inbox %d", l.Inbox), fmt.Sprintf("inbox %d", l.Inbox)}}
	for _, st := range job.Statuses {
		n := l.Jobs[string(st)]
		text := fmt.Sprintf("%s %d", st, n)
		painted := text
		if n > 0 {
			painted = fmt.Sprintf("%s %d", w.a.out.style.word(string(st)), n)
		}
		words = append(words, word{text, painted})
	}
	return words
}

// queue counts what waits by priority.
func (w *watchScreen) queue(l pipeline.Live) []word {
	words := []word{{"QUEUE", w.a.out.style.dim("QUEUE")}}
	for p, n := range l.Waiting {
		text := fmt.Sprintf("%s %d", job.Priority(p), n)
		words = append(words, word{text, text})
	}
	if l.More {
		words = append(words, word{"and more", "and more"})
	}
	return words
}

func (w *watchScreen) table(columns int, header ...string) *table {
	return &table{style: w.a.out.style, header: header, fit: columns}
}

// rows prints a table, as lines.
func (w *watchScreen) rows(t *table) []string {
	var b strings.Builder
	_ = t.flush(&b) // a strings.Builder takes everything
	return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
}

func (w *watchScreen) sources(l pipeline.Live, columns, most int) []string {
	if len(l.Sources) == 0 {
		return nil
	}
	t := w.table(columns, "SOURCE", "READY", "PENDING", "THROTTLED", "RUNNING")
	for i, c := range l.Sources {
		if i == most {
			t.add(fmt.Sprintf("and %d more", len(l.Sources)-most))
			break
		}
		t.add(c.Source, fmt.Sprint(c.Ready), fmt.Sprint(c.Pending), fmt.Sprint(c.Throttled), fmt.Sprint(c.Running))
	}
	return w.rows(t)
}

func (w *watchScreen) running(l pipeline.Live, columns, most int) []string {
	if len(l.Running) == 0 {
		return []string{fitWords(columns, []word{{"RUNNING", w.a.out.style.dim("RUNNING")}, {"nothing", "nothing"}})}
	}
	t := w.table(columns, "RUNNING", "KIND", "SOURCE", "ELAPSED", "TIMEOUT", "ATTEMPT", "HOST")
	now := w.a.env.Now()
	for i, r := range l.Running {
		if i == most {
			t.add(fmt.Sprintf("and %d more", l.Jobs[string(job.StatusRunning)]-most))
			break
		}
		t.add(r.ID, r.Kind, r.Source, shortDuration(max(0, now.Sub(r.Started))), shortDuration(r.Timeout), fmt.Sprint(r.Attempt), r.Host)
	}
	return w.rows(t)
}

func (w *watchScreen) hosts(l pipeline.Live, columns int) []string {
	t := w.table(columns, "HOST", "STATUS", "SLOTS")
	for _, h := range l.Hosts {
		slots := fmt.Sprintf("%d of %d", h.CurrentJobs, h.MaxConcurrent)
		if h.MaxConcurrent == 0 {
			slots = fmt.Sprintf("%d of any number", h.CurrentJobs)
		}
		t.add(h.ID, string(h.Status), slots)
	}
	return w.rows(t)
}

// events shows the last ones, the newest at the bottom.
func (w *watchScreen) events(l pipeline.Live, columns, most int) []string {
	list := l.Events[max(0, len(l.Events)-most):]
	t := w.table(columns)
	for _, ev := range list {
		t.add(fmt.Sprintf("#%d", ev.Seq), w.a.clockTime(ev.Time), string(ev.Event), ev.JobID, ev.Text)
	}
	return w.rows(t)
}
