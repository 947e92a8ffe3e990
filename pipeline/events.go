package pipeline

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/index"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// EventFilter selects events.
type EventFilter = index.EventFilter

// Events calls emit with the events that are selected and their lines.
func (p *Pipeline) Events(ctx context.Context, f EventFilter, emit func(line []byte, ev ledger.Event) error) error {
	emitted := 0
	return p.view(ctx, func(r *index.Reader) error {
		before := emitted // by a call that an unusable index ended
		return r.Events(f, func(ev ledger.Event) error {
			if before > 0 {
				before--
				return nil
			}
			line, err := ev.AppendLine(nil)
			if err != nil {
				return err
			}
			emitted++
			return emit(line, ev)
		})
	})
}

// Event returns one event by sequence number or id, its line, and the document that it names (nil for none).
func (p *Pipeline) Event(ctx context.Context, ref string) (ev ledger.Event, line, doc []byte, err error) {
	var found bool
	err = p.view(ctx, func(r *index.Reader) (err error) {
		if seq, convErr := strconv.ParseInt(ref, 10, 64); convErr == nil {
			ev, found, err = r.Event(seq)
		} else {
			ev, found, err = r.EventByID(ref)
		}
		return err
	})
	if err != nil {
		return ev, nil, nil, err
	}
	if !found {
		return ev, nil, nil, &InputError{File: ref, Message: "no such event", Way: "sheratan ledger log"}
	}
	if line, err = ev.AppendLine(nil); err != nil {
		return ev, nil, nil, err
	}
	where, ok, err := ledger.RefOf(&ev)
	if err != nil || !ok || ev.Event == job.DocumentRemoved {
		return ev, line, nil, err
	}
	doc, err = p.docs.Read(where)
	if err != nil {
		return ev, line, nil, fmt.Errorf("event %d: %w", ev.Seq, err)
	}
	return ev, line, doc, nil
}

// Follow calls emit with each event from number from on (-1: from the end) as it is written, until ctx ends.
func (p *Pipeline) Follow(ctx context.Context, from int64, emit func(line []byte, ev ledger.Event) error) error {
	if from < 0 {
		size, err := p.log.Size()
		if err != nil {
			return err
		}
		from = size
	}
	return p.log.Follow(ctx, from, func(ev *ledger.Event, line []byte) error { return emit(line, *ev) })
}

// view reads the index in one consistent state. Where that turns out to be garbage it is made again from the ledger, and fn is
// called a second time: it must not rely on being called once.
func (p *Pipeline) view(ctx context.Context, fn func(*index.Reader) error) error {
	err := p.viewOnce(ctx, fn)
	var garbage *index.GarbageError
	if errors.As(err, &garbage) && ctx.Err() == nil {
		err = p.viewOnce(ctx, fn)
	}
	return err
}

func (p *Pipeline) viewOnce(ctx context.Context, fn func(*index.Reader) error) error {
	var err error
	asked := false
	for range indexTries {
		var db *index.DB
		if db, err = p.reader(ctx); err == nil {
			err = db.View(ctx, func(r *index.Reader) error {
				asked = true
				return fn(r)
			})
		}
		if asked || !errors.Is(err, index.ErrMoved) {
			break
		}
	}
	var garbage *index.GarbageError
	if errors.As(err, &garbage) {
		err = errors.Join(err, p.discardLocked(ctx, err))
	}
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx) // what the index says of an interruption names no reason
	}
	return err
}
