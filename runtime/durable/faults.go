package durable

// Op is a call that a test can break.
type Op string

// The calls that Faults is asked about.
const (
	OpOpen     Op = "open"
	OpWrite    Op = "write"
	OpSync     Op = "sync"
	OpTruncate Op = "truncate"
	OpSyncName Op = "sync name"
	OpRemove   Op = "remove"
)

// Faults says before each call whether it is to fail; nil, which is all that production code has, and a nil answer let it
// pass. Each call must be broken in two ways to know what a program does about it: failed and not persisted, failed but
// persisted.
type Faults func(Op) *Fault

// Fault is how a call fails.
type Fault struct {
	Err     error
	Persist bool // the call has its effect all the same
	Bytes   int  // without Persist, of a write: how many bytes reach the file before it fails
}

func (f Faults) ask(op Op) *Fault {
	if f == nil {
		return nil
	}
	return f(op)
}

func (f Faults) inject(op Op, call func() error) error {
	fault := f.ask(op)
	if fault == nil {
		return call()
	}
	if fault.Persist {
		if err := call(); err != nil {
			return err
		}
	}
	return fault.Err
}
