package ledger

import (
	"context"
	"errors"
	"time"
)

// ErrStop is what the function given to Scan or Follow returns to end the reading without an error.
var ErrStop = errors.New("stop reading")

// pollInterval is how often Follow looks for new lines.
const pollInterval = 200 * time.Millisecond

// Scan calls fn with each event from number from on and with its line, which is valid during the call. It reads no segment
// before the one that has line from, needs no lock, and leaves out a last line that is not finished. Lines that cannot be
// read are a *TamperError; the chain is left to Verify.
func (l *Log) Scan(from int64, fn func(e *Event, line []byte) error) error {
	c := cursor{segments: l.segments, next: from}
	defer c.close()
	return stopped(c.read(fn))
}

// Follow is Scan that goes on with what is written later, until ctx ends; then it returns the error of ctx.
func (l *Log) Follow(ctx context.Context, from int64, fn func(e *Event, line []byte) error) error {
	c := cursor{segments: l.segments, next: from}
	defer c.close()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	guarded := func(e *Event, line []byte) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return fn(e, line)
	}
	for {
		if err := c.read(guarded); err != nil {
			return stopped(err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

func stopped(err error) error {
	if errors.Is(err, ErrStop) {
		return nil
	}
	return err
}
