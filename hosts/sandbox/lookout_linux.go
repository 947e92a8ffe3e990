package sandbox

import (
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Pace of the lookouts. Most jobs have ended before the first look, and looking takes at most a twentieth of the time.
const (
	firstLook = 100 * time.Millisecond
	lookShare = 20
)

// lookout looks now and then whether a job has more than it may, in a goroutine of its own: whoever keeps the job's time must not
// wait for a look. It is told by an eventfd.
type lookout struct {
	exceeded func(now time.Time) bool
	over     *bool // what it means: a field of the report
	said     int   // the eventfd, -1 before the first look
	stop     atomic.Bool
	done     chan struct{} // closed with stop
	wg       sync.WaitGroup
}

// lookOut has somebody look as soon as it is time.
func (a *attempt) lookOut(over *bool, exceeded func(now time.Time) bool) *lookout {
	l := &lookout{exceeded: exceeded, over: over, said: -1, done: make(chan struct{})}
	a.lookouts = append(a.lookouts, l)
	a.lookAt = a.report.Started.Add(firstLook)
	return l
}

// begin starts to look, unless that has begun. The error is for want of a descriptor.
func (l *lookout) begin() error {
	if l.said >= 0 {
		return nil
	}
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return err
	}
	l.said = fd
	l.wg.Go(func() {
		for !l.stop.Load() {
			start := time.Now()
			if l.exceeded(start) {
				unix.Write(fd, []byte{1, 0, 0, 0, 0, 0, 0, 0})
				return
			}
			pause := time.NewTimer(max(firstLook, lookShare*time.Since(start)))
			select {
			case <-pause.C:
			case <-l.done:
				pause.Stop()
			}
		}
	})
	return nil
}

// end stops looking. It returns at once but for a system call that is under way.
func (l *lookout) end() {
	l.stop.Store(true)
	close(l.done)
	l.wg.Wait()
	closeFD(l.said)
}
