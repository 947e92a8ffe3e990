package cli

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// progress is a line on a terminal that tells how far long work has come. It appears after half a second and is wiped
// when the work is done; where stderr is no terminal there is none, and the nil progress does nothing.
type progress struct {
	w     io.Writer
	now   func() time.Time
	label string

	mu    sync.Mutex
	start time.Time
	last  time.Time
	shown bool
}

const (
	progressAfter = 500 * time.Millisecond
	progressEvery = 100 * time.Millisecond
)

// progress begins a progress line, where there is somebody to see it.
func (a *app) progress(label string) *progress {
	if !a.env.StderrTTY || a.global.Quiet {
		return nil
	}
	p := &progress{w: a.env.Stderr, now: a.env.Now, label: label, start: a.env.Now()}
	a.people.mu.Lock()
	a.people.progress = p
	a.people.mu.Unlock()
	return p
}

// step is set for work of several steps: label is what is being done now.
func (p *progress) step(label string, done, total int64) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if label != p.label {
		p.label, p.last = label, time.Time{} // a step begins: that is shown at once
	}
	p.show(done, total)
}

// set says that done of total are done; a total of 0 is not known.
func (p *progress) set(done, total int64) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.show(done, total)
}

func (p *progress) show(done, total int64) {
	now := p.now()
	if now.Sub(p.start) < progressAfter || now.Sub(p.last) < progressEvery {
		return
	}
	p.last, p.shown = now, true
	switch {
	case total > 0:
		fmt.Fprintf(p.w, "\r\x1b[K%s: %d of %d (%d%%)", p.label, done, total, done*100/total)
	case done > 0:
		fmt.Fprintf(p.w, "\r\x1b[K%s: %d", p.label, done)
	default:
		fmt.Fprintf(p.w, "\r\x1b[K%s", p.label)
	}
}

// clear wipes the line: a message comes, or the work is done.
func (p *progress) clear() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.shown = false
	}
}
