package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
)

// output is stdout: the result of the command and nothing else. Its first error is kept and returned by everything
// after it, so that a full disk is not taken for success.
type output struct {
	a     *app
	style style
	live  bool // every line goes out at once, because another stage may be reading

	mu sync.Mutex
	w  *bufio.Writer
}

func newOutput(a *app) *output {
	return &output{a: a, w: bufio.NewWriterSize(a.env.Stdout, 32<<10)}
}

// setup reads the global flags, which are known only after parsing.
func (o *output) setup() {
	o.style = style{on: o.a.env.StdoutTTY && o.a.colours()}
	if o.a.env.StdoutTTY && o.a.global.JSON {
		o.w = bufio.NewWriterSize(jsonTerminal{o.a.env.Stdout}, 32<<10)
	}
	o.live = o.a.env.StdoutTTY
}

// colours reports whether the user has nothing against them (https://no-color.org).
func (a *app) colours() bool {
	return !a.global.NoColor && a.env.Getenv("NO_COLOR") == "" && a.env.Getenv("TERM") != "dumb"
}

// Write writes p as it is.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, err := o.w.Write(p)
	if err == nil && o.live {
		err = o.w.Flush()
	}
	return n, stdoutError(err)
}

func (o *output) printf(format string, args ...any) error {
	_, err := fmt.Fprintf(o, format, args...)
	return err
}

// line writes v as one line of JSON.
func (o *output) line(v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := o.Write(b.Bytes())
	return err
}

func (o *output) flush() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return stdoutError(o.w.Flush())
}

func stdoutError(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("stdout: %w", err)
}

// people is stderr: what is said to the person at the keyboard.
type people struct {
	a  *app
	mu sync.Mutex
	// said holds warnings and hints that were given: each is given once.
	said     map[string]bool
	progress *progress
	muted    bool
}

func newPeople(a *app) *people { return &people{a: a, said: map[string]bool{}} }

func (p *people) note(format string, args ...any) { p.say("note", fmt.Sprintf(format, args...)) }
func (p *people) warn(format string, args ...any) { p.say("warning", fmt.Sprintf(format, args...)) }
func (p *people) hint(format string, args ...any) { p.say("hint", fmt.Sprintf(format, args...)) }

// say prints one message. level is error, warning, hint or note.
func (p *people) say(level, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.muted || p.a.global.Quiet && (level == "note" || level == "hint") {
		return
	}
	if level != "error" && level != "note" {
		if p.said[level+text] {
			return
		}
		p.said[level+text] = true
	}
	s := style{on: p.a.env.StderrTTY && p.a.colours()}
	switch level {
	case "error":
		level = s.red(level)
	case "warning":
		level = s.yellow(level)
	default:
		level = s.dim(level)
	}
	p.progress.clear()
	_ = p.a.out.flush() // what was said before goes out before; its error is kept
	fmt.Fprintf(p.a.env.Stderr, "sheratan: %s: %s\n", level, strings.ReplaceAll(escapeBlock(text), "\n", "\n  "))
}

// mute ends all messages: the shell that completes a word has no place for them.
func (p *people) mute() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.muted = true
}

// report says why the command ended as it did.
func (p *people) report(err error, code int) {
	p.progress.clear()
	if err == nil {
		return
	}
	if _, silent := err.(outcome); silent {
		return
	}
	if code == exitInterrupted {
		p.say("error", exitTexts[exitInterrupted])
		return
	}
	list := flatten(err)
	for i, e := range list {
		if i == maxErrors {
			p.say("error", fmt.Sprintf("and %d more", len(list)-i))
			break
		}
		p.say("error", e.Error())
	}
	if h := hintOf(err); h != "" {
		p.hint("%s", h)
	}
}

// maxErrors is how many errors of one command are printed.
const maxErrors = 20

// flatten takes errors that were joined apart.
func flatten(err error) []error {
	many, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var list []error
	for _, e := range many.Unwrap() {
		list = append(list, flatten(e)...)
	}
	return list
}

// stderr returns the stream for text that is not a message: the prompt of a decision, the stderr of a job.
func (p *people) stderr() io.Writer { return p.a.env.Stderr }
