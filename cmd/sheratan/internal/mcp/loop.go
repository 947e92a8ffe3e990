package mcp

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sheratan/sheratan/pipeline"
)

// loop does the work of the workspace from the first proposal on, as `tick --loop` does, unless another loop does already.
// It has a context of its own: a call that its client gives up ends no job.
type loop struct {
	cfg    *Config
	ctx    context.Context
	cancel context.CancelCauseFunc
	once   sync.Once
	done   chan struct{} // closed when it has ended; nil where it never began
	err    error         // why, set before done is closed
}

// errServed is why the loop ends when the client is gone: running jobs finish.
var errServed = errors.New("the client is gone")

func newLoop(ctx context.Context, cfg *Config) *loop {
	l := &loop{cfg: cfg}
	l.ctx, l.cancel = context.WithCancelCause(ctx)
	return l
}

// begin starts it, once.
func (l *loop) begin() {
	if !l.cfg.Run {
		return
	}
	l.once.Do(func() {
		l.done = make(chan struct{})
		go l.run()
	})
}

// retryLoop is the time after which it is tried again to be the loop of the workspace, and to do what failed.
const retryLoop = time.Second

func (l *loop) run() {
	defer close(l.done)
	said := ""
	for l.ctx.Err() == nil {
		err := l.cfg.With(l.ctx, func(p *pipeline.Pipeline) error {
			return p.Tick(l.ctx, pipeline.TickOptions{Loop: true}, func(pipeline.TickLine) error { return nil })
		})
		var other *pipeline.LoopRunningError
		if l.ctx.Err() != nil {
			if !errors.Is(err, context.Cause(l.ctx)) && !errors.Is(err, l.ctx.Err()) {
				l.err = err
			}
			return
		}
		if err != nil && !errors.As(err, &other) && err.Error() != said {
			said = err.Error()
			l.cfg.Log(said)
		}
		select {
		case <-l.ctx.Done():
		case <-time.After(retryLoop):
		}
	}
}

// close ends it, and returns when the jobs that it runs are over.
func (l *loop) close() error {
	l.cancel(errServed)
	begun := true
	l.once.Do(func() { begun = false })
	if !begun || l.done == nil {
		return nil
	}
	<-l.done
	return l.err
}
