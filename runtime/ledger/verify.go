package ledger

import (
	"context"
	"path/filepath"
)

// Finding is one thing that is wrong with the ledger.
type Finding struct {
	Code    string `json:"code"`
	Seq     int64  `json:"seq"` // of the line concerned; -1 where it is none
	Message string `json:"message"`
}

// VerifyOptions says what Verify goes by, beyond the ledger itself.
type VerifyOptions struct {
	// From is where to begin: what lies before is not looked at, and taken for what it was when somebody remembered this position.
	// The zero Position is the beginning.
	From Position
	// Known is what is remembered of the ledger: in the index, by an earlier verification, in a checkpoint. A zero Position is nothing.
	Known []Position
	// Documents has every document that an event names looked up and hashed.
	Documents bool
	// Event is called with each line that can be read and the position behind it; nil is not called. Where there is a
	// gap in the ledger, positions stay before it.
	Event func(e *Event, at Position) error
	// Document is called with each document that is there and has the right digest; nil is not called.
	Document func(e *Event, doc []byte) error
}

// Verify reads the whole ledger, without a lock and in little memory, and calls found for each thing that is wrong. It
// returns the position behind the last line, or before the first gap. It goes on after a finding; its errors are those of
// reading, of the functions given, and of ctx. Where the ledger does not have the line before From at that place, the error is a
// *TamperError, and nothing was read.
//
// A damaged ledger is always found, from From on. One that was edited and chained again is found only against a Known that was
// kept elsewhere.
func (l *Log) Verify(ctx context.Context, opts VerifyOptions, found func(Finding) error) (Position, error) {
	v := verifier{
		ctx: ctx, opts: opts, log: l, found: found,
		docs:  readers{segments: segments{dir: filepath.Join(l.outbox, "documents"), name: DocumentsDir}},
		first: -1,
	}
	defer v.close()
	if err := v.begin(opts.From); err != nil {
		return v.at, err
	}
	if err := v.ledger(); err != nil {
		return v.at, err
	}
	known := int64(0)
	for _, k := range opts.Known {
		known = max(known, k.Size)
	}
	if v.at.Size < known && !v.gap {
		if err := v.report(CodeShorter, v.at.Size, "the ledger ends here; %d lines are known", known); err != nil {
			return v.at, err
		}
	}
	return v.at, v.files()
}
