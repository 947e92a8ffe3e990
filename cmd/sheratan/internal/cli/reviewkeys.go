package cli

import (
	"context"
	"errors"
	"unicode"
	"unicode/utf8"

	"github.com/sheratan/sheratan/pipeline"
	"github.com/sheratan/sheratan/pipeline/job"
)

// key is a key that is more than a letter, or the letter.
type key rune

// Keys that send a sequence, in the private use area, where no key is.
const (
	keyUp key = 0xe000 + iota
	keyDown
	keyPageUp
	keyPageDown
	keyHome
	keyLast
	keyEscape
	keyOther // a sequence that means nothing here
)

// sequences are what terminals send for keys, in the form of xterm, which all that matter understand.
var sequences = map[string]key{
	"[A": keyUp, "OA": keyUp, "[B": keyDown, "OB": keyDown, "[5~": keyPageUp, "[6~": keyPageDown,
	"[H": keyHome, "[1~": keyHome, "OH": keyHome, "[F": keyLast, "[4~": keyLast, "OF": keyLast,
}

// splitKeys reads the keys from what came in one piece. An escape alone is the key Esc; a terminal sends a sequence in one.
func splitKeys(b []byte) (keys []key) {
	for len(b) > 0 {
		if b[0] != 0x1b {
			r, n := utf8.DecodeRune(b)
			keys, b = append(keys, key(r)), b[n:]
			continue
		}
		n := 1
		if len(b) > 1 && (b[1] == '[' || b[1] == 'O') {
			for n = 2; n < len(b) && (b[n] < 0x40 || b[n] > 0x7e); n++ {
			}
			n = min(n+1, len(b))
		}
		k, known := sequences[string(b[1:n])]
		switch {
		case n == 1:
			k = keyEscape
		case !known:
			k = keyOther
		}
		keys, b = append(keys, k), b[n:]
	}
	return keys
}

// obey does what a key says. errQuit is the end.
func (w *reviewer) obey(ctx context.Context, k key, leave *func() error) error {
	s := &w.screen
	if len(s.queue) == 0 {
		return errQuit
	}
	if k == keyInterrupt {
		return ErrInterrupted
	}
	if s.ask {
		return w.typed(ctx, k)
	}
	armed := s.armed
	s.note, s.armed = "", false
	if s.help { // any key leaves it
		s.help = false
		return nil
	}
	switch k {
	case 'q', keyEnd:
		return errQuit
	case '?':
		s.help = true
	case 'n', 'b':
		return w.turn(ctx, map[key]int{'n': 1, 'b': -1}[k])
	case keyUp:
		s.scroll(-1)
	case keyDown, '\r':
		s.scroll(1)
	case ' ', keyPageDown:
		s.scroll(s.page)
	case keyPageUp:
		s.scroll(-s.page)
	case keyHome:
		s.scroll(-s.need)
	case keyLast:
		s.scroll(s.need)
	case 'a':
		return w.approve(ctx, armed)
	case 'r':
		s.ask, s.input = true, ""
	case 'e':
		return w.edit(ctx, leave)
	case 'p', 'g':
		return w.amend(ctx, k)
	}
	return nil
}

// turn goes on in the queue, or back.
func (w *reviewer) turn(ctx context.Context, by int) error {
	s := &w.screen
	if s.at+by < 0 || s.at+by >= len(s.queue) {
		s.say("this is the %s", map[int]string{1: "last", -1: "first"}[by])
		return nil
	}
	s.at += by
	return w.load(ctx)
}

// typed takes a key of the reason for a rejection.
func (w *reviewer) typed(ctx context.Context, k key) error {
	s := &w.screen
	switch {
	case k == keyEscape:
		s.ask = false
	case k == '\r' || k == '\n':
		s.ask = false
		return w.decided(ctx, func(emit func(pipeline.GateLine) error) error {
			return w.p.Reject(ctx, []string{s.look.Job.ID}, pipeline.Decision{Reason: s.input, TTY: true}, emit)
		})
	case k == 0x7f || k == 0x08:
		_, n := utf8.DecodeLastRuneInString(s.input)
		s.input = s.input[:len(s.input)-n]
	case k == 0x15: // Ctrl-U
		s.input = ""
	case unicode.IsPrint(rune(k)) && len(s.input) < 500:
		s.input += string(rune(k))
	}
	return nil
}

// approve allows the job that is shown, if all of it was on the screen. What an auditor finds severe takes the key twice.
func (w *reviewer) approve(ctx context.Context, again bool) error {
	s := &w.screen
	if err := refuseHard([]pipeline.Review{s.look.Review}); err != nil {
		s.say("%v", err)
		return nil
	}
	if !s.read() {
		s.say("there is more of it: read it to its end first (space)")
		return nil
	}
	if grave := s.grave(); grave != "" && !again {
		s.say("%s: press a again to approve", grave)
		s.armed = true
		return nil
	}
	return w.decided(ctx, func(emit func(pipeline.GateLine) error) error {
		return w.p.Approve(ctx, []pipeline.Review{s.look.Review}, pipeline.Decision{TTY: true}, emit)
	})
}

// amend proposes what an auditor or the gates suggest as a new version.
func (w *reviewer) amend(ctx context.Context, k key) error {
	s := &w.screen
	change := s.amendment(k)
	switch {
	case change == nil:
		s.say("nothing is suggested that could be taken over")
		return nil
	case change.Problem != "":
		s.say("what %s suggests cannot be done: %s", change.By, change.Problem)
		return nil
	case !s.read():
		s.say("there is more of it: read it to its end first (space)")
		return nil
	}
	return w.decided(ctx, func(emit func(pipeline.GateLine) error) error {
		line, err := w.p.Revise(ctx, s.look.Job.ID, pipeline.Draft{Name: "proposal", Data: change.Proposal})
		if err != nil {
			return err
		}
		return emit(line)
	})
}

// edit gives the terminal to the editor, and takes it back.
func (w *reviewer) edit(ctx context.Context, leave *func() error) error {
	id := w.screen.look.Job.ID
	if err := (*leave)(); err != nil {
		*leave = func() error { return nil }
		return err
	}
	*leave = func() error { return nil }
	draft, editErr := w.a.edit(ctx, w.p, id)
	back, err := w.a.fullScreen()
	if err != nil {
		return errors.Join(editErr, err)
	}
	*leave = back
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case editErr != nil:
		w.screen.say("%v", editErr)
		return nil
	case draft.Data == nil:
		w.screen.say("nothing was changed, so nothing is proposed")
		return nil
	}
	return w.decided(ctx, func(emit func(pipeline.GateLine) error) error {
		line, err := w.p.Revise(ctx, id, draft)
		if err != nil {
			return keepEdited(draft, err)
		}
		return emit(line)
	})
}

// decided carries a decision out, and goes on to the next job. What cannot be carried out is said, and decides nothing.
func (w *reviewer) decided(ctx context.Context, act func(emit func(pipeline.GateLine) error) error) error {
	s := &w.screen
	if w.p.RulesChanged() {
		err := w.load(ctx)
		s.say("the rules have changed, look again")
		return err
	}
	before := s.look.Job.ID
	err := act(func(l pipeline.GateLine) error {
		w.done = append(w.done, l)
		s.say("%s  %s", l.JobID, whereabouts(l))
		if l.JobID != before && l.Status == string(job.StatusQuarantined) {
			s.queue = append(s.queue[:s.at+1], append([]string{l.JobID}, s.queue[s.at+1:]...)...)
		}
		return nil
	})
	var (
		state *pipeline.StateError
		input *pipeline.InputError
	)
	switch {
	case errors.As(err, &state), errors.As(err, &input):
		text := err.Error()
		err := w.refresh(ctx)
		s.note = escape(text)
		return err
	case err != nil:
		return err
	}
	note := s.note
	s.drop()
	err = w.load(ctx)
	if s.note == "" || err == nil {
		s.note = note
	}
	return err
}
