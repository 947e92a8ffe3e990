package cli

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"
)

// defaultGrace is how long running jobs may go on after SIGTERM: containers are killed ten seconds after it.
const defaultGrace = 8 * time.Second

func (a *app) addGrace(cmd *cobra.Command) {
	cmd.Flags().DurationVar(&a.grace, "grace", defaultGrace, "after SIGTERM, let running jobs go on for `TIME`")
}

// hurry returns a channel that is closed when running jobs are to be ended: at SIGINT, when the time after SIGTERM is over, or at a
// second signal. calm ends the watch for it.
func (a *app) hurry() (hurry <-chan struct{}, calm func()) {
	c := make(chan struct{})
	watch, calm := context.WithCancel(context.Background())
	go func() {
		select {
		case <-a.signals.Done():
		case <-watch.Done():
			return
		}
		switch cause := context.Cause(a.signals); {
		case errors.Is(cause, ErrInterrupted):
		case errors.Is(cause, ErrTerminated):
			timer := time.NewTimer(a.grace)
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-a.env.Hurry:
			case <-watch.Done():
				return
			}
		default:
			return
		}
		close(c)
	}()
	return c, calm
}
