package workspace

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/sheratan/sheratan/runtime/durable"
)

// Slot is the right to run one job at a time. It belongs to the process, which loses it when it dies.
type Slot struct {
	Number int
	held   *durable.LockedFile
}

// TrySlot takes the slot i, from 0. It is false where another process, or another part of this one, has it.
func (w *Workspace) TrySlot(i int) (*Slot, bool, error) {
	path := fmt.Sprintf("%s/%d", w.Slots(), i)
	held, err := durable.TryLock(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(w.Slots(), 0o700); err != nil {
			return nil, false, err
		}
		held, err = durable.TryLock(path)
	}
	if errors.Is(err, durable.ErrLocked) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	return &Slot{Number: i, held: held}, true, nil
}

// ErrNoSlot says that all slots are taken.
var ErrNoSlot = errors.New("all slots are taken")

// TakeSlot takes one of n slots. The error is ErrNoSlot where all are taken.
func (w *Workspace) TakeSlot(n int) (*Slot, error) {
	for i := range n {
		if s, ok, err := w.TrySlot(i); ok || err != nil {
			return s, err
		}
	}
	return nil, ErrNoSlot
}

// FreeSlots counts the slots, of n, that nobody has at the moment. To find out, it takes each for an instant, in which
// another process finds it taken; that costs the other one a look more.
func (w *Workspace) FreeSlots(n int) int {
	free := 0
	for i := range n {
		if s, ok, err := w.TrySlot(i); ok && err == nil {
			free++
			_ = s.Release() // closing a file that was only locked cannot fail in a way that matters
		}
	}
	return free
}

// Release gives the slot back.
func (s *Slot) Release() error { return s.held.Unlock() }
