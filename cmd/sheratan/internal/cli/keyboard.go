package cli

import (
	"context"
	"errors"
	"io"
)

// Keys that are bytes of their own on a terminal that does not edit lines.
const (
	keyInterrupt = 0x03 // Ctrl-C
	keyEnd       = 0x04 // Ctrl-D
)

// errQuit ends what is shown until a key says so.
var errQuit = errors.New("quit")

// keyboard delivers the keys that are pressed, one byte each, from the terminal that stdin is, until ctx ends or release is
// called, which has to be. Where stdin is no terminal there is none, and no key comes. Meanwhile the terminal neither
// shows what is typed nor makes signals of it: whoever reads the keys has to obey keyInterrupt, and lines that are
// printed have to end in \r\n.
func (a *app) keyboard(ctx context.Context) (keys <-chan byte, release func(), err error) {
	if !a.env.StdinTTY || a.env.Raw == nil {
		return nil, func() {}, nil
	}
	restore, err := a.env.Raw()
	if err != nil {
		return nil, nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	c := make(chan byte)
	go func() {
		// A read that nothing comes to stays behind; the process is about to end.
		var b [1]byte
		for {
			n, err := a.env.Stdin.Read(b[:])
			if err != nil {
				return
			}
			for _, k := range b[:n] {
				select {
				case c <- k:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return c, func() { stop(); restore() }, nil
}

// untilQuit is a context that ends with errQuit when q or Ctrl-D is pressed, and with ErrInterrupted at Ctrl-C.
func untilQuit(ctx context.Context, keys <-chan byte) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case k := <-keys:
				switch k {
				case 'q', 'Q', keyEnd:
					cancel(errQuit)
				case keyInterrupt:
					cancel(ErrInterrupted)
				}
			}
		}
	}()
	return ctx, func() { cancel(context.Canceled) }
}

// typed is what came from the keyboard in one piece, such as the sequence of an arrow.
type typed struct {
	bytes []byte
	err   error
}

// keyReader reads keys when it is asked to and not before, so that an editor in between gets all of those that are meant for it.
type keyReader struct {
	r       io.Reader
	pending chan typed // of the read that is under way, nil for none
}

func newKeyReader(r io.Reader) *keyReader { return &keyReader{r: r} }

// next begins to read if nothing is being read, and returns where it comes. Whoever receives calls taken.
func (k *keyReader) next() <-chan typed {
	if k.pending == nil {
		c := make(chan typed, 1)
		k.pending = c
		go func() {
			var b [64]byte
			n, err := k.r.Read(b[:])
			if n > 0 {
				err = nil
			}
			c <- typed{b[:n], err}
		}()
	}
	return k.pending
}

// taken says that what was read has been received.
func (k *keyReader) taken() { k.pending = nil }
