package pipeline

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/pipeline/rules"
	"github.com/sheratan/sheratan/runtime/index"
)

// Pace of the engine. Results are written together where more work is in hand; a start is worth a line of its own when
// the job has run this long; and what other processes did is looked at this often.
const (
	gatherFor  = 25 * time.Millisecond
	gatherJobs = 8 // as many at least, or it is not worth it
	startAfter = 50 * time.Millisecond
	lookEvery  = 250 * time.Millisecond
)

// engine drives the jobs of one process from lease to result. It has one goroutine, which is the only one to write;
// the runner's goroutines only execute.
type engine struct {
	p      *Pipeline
	rules  *rules.Rules
	runner *runner
	source source
	tally  *TickLine
	emit   func(job.Result) error // nil is nobody
	back   []*attempt             // taken out of the queue for a pause, and to be recorded as returned
	others foreign
	own    func(indexRow) bool         // whether whoever interrupts this wants the job to be over; nil is of none
	after  func(context.Context) error // is called after each step of run; nil for nothing

	full    []string // buckets of which as many are in flight as may be, at the last step that leased
	idle    bool     // the last step found nothing to lease
	killing bool
}

// source is where an engine gets its work from: the head of the queue for tick, what was dispatched for run.
type source struct {
	// head is what lease would find first, and whether there is anything. It may be wrong, for it is asked without the lock.
	head func(r *index.Reader) (indexRow, bool, error)
	// lease leases up to n jobs to this process. blocked are those that the rules do not allow any more.
	lease func(b *batch, n int) (list []*attempt, blocked []string, err error)
}

func (p *Pipeline) newEngine(r *rules.Rules, from source, tally *TickLine, emit func(job.Result) error) *engine {
	return &engine{p: p, rules: r, runner: p.newRunner(r), source: from, tally: tally, emit: emit}
}

// run works until nothing is left that this process could do now. between is called about every lookEvery and whenever
// the engine has nothing to do; it says whether it brought new work, and until when it is worth waiting (zero: not at
// all). When ctx ends, what has not begun is given back, and what runs is waited for, or killed where the cause is
// ErrInterrupted or Options.Hurry is closed.
func (e *engine) run(ctx context.Context, between func(idle bool) (more bool, until time.Time, err error)) error {
	defer e.runner.close()
	for {
		if err := e.step(ctx); err != nil {
			return e.abandon(err)
		}
		if e.after != nil {
			if err := e.after(ctx); err != nil && !stopped(ctx, err) {
				return e.abandon(err)
			}
		}
		queued, running, ended := e.runner.load()
		busy := queued+running+ended > 0
		if ctx.Err() != nil {
			e.interrupt(ctx)
			if !busy {
				return nil
			}
			if err := e.look(nil); err != nil { // what runs can still be cancelled
				return e.abandon(err)
			}
			e.wait(context.WithoutCancel(ctx), lookEvery)
			continue
		}
		if e.idle && !busy {
			more, until, err := between(true)
			if stopped(ctx, err) {
				continue
			}
			if err != nil {
				return err
			}
			if !more {
				if until.IsZero() {
					return nil
				}
				e.wait(ctx, max(time.Millisecond, min(lookEvery, until.Sub(e.p.now()))))
			}
			e.idle = false
			continue
		}
		e.gather(ctx, queued)
		if err := e.look(between); err != nil && !stopped(ctx, err) {
			return e.abandon(err)
		}
	}
}

// stopped reports whether err says only that ctx has ended, which is no reason to leave what runs alone.
func stopped(ctx context.Context, err error) bool {
	return err != nil && ctx.Err() != nil && (errors.Is(err, context.Cause(ctx)) || errors.Is(err, ctx.Err()))
}

// gather waits for something to write. While other work is queued it lets results come together.
func (e *engine) gather(ctx context.Context, queued int) {
	if queued == 0 {
		e.wait(ctx, lookEvery)
		return
	}
	if e.runner.sparse() {
		e.wait(ctx, gatherFor)
		return
	}
	deadline := e.p.opts.Now().Add(gatherFor)
	for e.p.opts.Now().Before(deadline) && ctx.Err() == nil {
		e.wait(ctx, gatherFor)
		if left, _, _ := e.runner.load(); left <= queued/4 {
			return
		}
	}
}

// wait sleeps until an attempt ends, ctx ends, or d has passed.
func (e *engine) wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-e.runner.wake:
	case <-ctx.Done():
	case <-t.C:
	}
}

// look takes in what other processes did: cancelled jobs, pauses, new proposals.
func (e *engine) look(between func(bool) (bool, time.Time, error)) error {
	now := e.p.now()
	if now.Sub(e.p.looked) < lookEvery {
		return nil
	}
	e.p.looked = now
	if err := e.obey(); err != nil {
		return err
	}
	if between == nil {
		return nil
	}
	_, _, err := between(false)
	return err
}

// hungry reports whether something has ended and nothing is leased that could begin in its place.
func (e *engine) hungry() bool {
	queued, _, ended := e.runner.load()
	return queued == 0 && ended > 0
}

// tend is what the engine does in the middle of other work of its process.
func (e *engine) tend(ctx context.Context) error {
	if err := e.obey(); err != nil {
		return err
	}
	return e.step(ctx)
}

// step is one pass through the write path: it records what ended and began, wakes what waits, leases more, and puts
// files in place.
func (e *engine) step(ctx context.Context) error {
	p := e.p
	draining := ctx.Err() != nil
	e.runner.hire(ctx)
	ended, begun := e.runner.drain()
	ended, unstarted := e.split(ended)
	now := p.now()
	begun = started(begun, now)
	back := append(e.back, e.runner.giveBack(draining || len(unstarted) > 0, now)...)
	appetite := 0
	if !draining {
		appetite = e.runner.appetite(p.ws.FreeSlots(p.slotLimit(e.rules)))
	}
	if appetite == 0 && !draining {
		newcomer, err := e.newcomer(ctx)
		if err != nil {
			return err
		}
		appetite = newcomer
	}
	if len(ended)+len(unstarted)+len(begun)+len(back) == 0 {
		worth, err := e.worthLooking(context.WithoutCancel(ctx), appetite)
		if err != nil || !worth {
			e.idle = err == nil && (appetite > 0 || e.runner.empty())
			return err
		}
	}
	refs, err := e.store(ended)
	if err != nil {
		return err
	}
	var fresh []*attempt
	var over, changed []string
	var touched []indexRow // of the attempts that ended or began
	var held []string      // jobs that are shown as throttled from now on
	var also TickLine      // jobs that ended, or were blocked, without an attempt of their own
	err = p.transact(context.WithoutCancel(ctx), func(b *batch) error {
		fresh, over, changed, also = nil, nil, nil, TickLine{}
		if err := b.begun(begun); err != nil {
			return err
		}
		for i, a := range ended {
			done, err := b.record(e.rules, a, refs[i], e.own)
			if err != nil {
				return err
			}
			if done {
				over = append(over, a.row.ID)
				joined, err := b.endAllJoined(a.row.ID)
				if err != nil {
					return err
				}
				changed = append(changed, joined...)
				if a.result.Status == job.StatusCompleted {
					also.Completed += len(joined)
				} else {
					also.Failed += len(joined)
				}
			}
		}
		if err := b.returned(back); err != nil {
			return err
		}
		if err := b.notStarted(unstarted); err != nil {
			return err
		}
		failed, blocked, err := b.sweep(e.rules)
		if err != nil {
			return err
		}
		changed = append(append(changed, failed...), blocked...)
		also.Failed += len(failed) - b.skipped
		also.Blocked = len(blocked)
		if appetite > 0 {
			if fresh, blocked, err = e.source.lease(b, appetite); err != nil {
				return err
			}
			changed = append(changed, blocked...)
			also.Blocked += len(blocked)
		}
		if held, err = e.newlyHeld(b, len(fresh) > 0); err != nil {
			return err
		}
		touched, err = b.rows(ended, unstarted, begun)
		return err
	})
	if err != nil {
		return err
	}
	for _, a := range begun {
		a.noted = true
	}
	e.back = nil
	if err := e.forget(ended); err != nil {
		return err
	}
	e.idle = len(fresh)+len(changed)+len(unstarted) == 0 && (appetite > 0 || e.runner.empty())
	if len(fresh) > 0 {
		p.warnSandbox(e.rules)
	}
	p.provide(fresh)
	e.runner.start(ctx, fresh)
	e.tally.Dispatched += len(fresh)
	e.tally.Completed += also.Completed
	e.tally.Failed += also.Failed
	e.tally.Blocked += also.Blocked
	p.placeRows(touched)
	p.placeAll(changed)
	p.placeHeld(held)
	p.placeLater(false)
	p.projected()
	e.count(ended, over)
	e.tell(ended, touched)
	return e.report(ended)
}

// heldShown is how many jobs get a new file when their bucket is full: those whose turn comes next.
const heldShown = 1000

// newlyHeld returns the jobs that wait for the end of another one since their bucket became full, as far as their files are worth it.
func (e *engine) newlyHeld(b *batch, leased bool) (ids []string, err error) {
	if !leased {
		return nil, nil
	}
	held, err := b.tx.Held()
	if err != nil || slices.Equal(held.Full, e.full) {
		return nil, err
	}
	e.full = held.Full
	rows, err := b.tx.List(index.JobFilter{Status: []job.Status{job.StatusThrottled}, Shown: &held, Limit: heldShown})
	for _, row := range rows {
		if held.Shown(&row) != row.Status {
			ids = append(ids, row.ID)
		}
	}
	return ids, err
}

// placeHeld puts the files of jobs in place that are shown otherwise, when there is time for it.
func (p *Pipeline) placeHeld(ids []string) {
	if !p.later.on {
		p.placeAll(ids)
		return
	}
	for _, id := range ids {
		p.later.add(id, p.now(), p.shown+1)
	}
}

// worthLooking reports whether there is anything to lease or to wake, without taking the lock.
func (e *engine) worthLooking(ctx context.Context, appetite int) (bool, error) {
	worth := false
	err := e.p.view(ctx, func(r *index.Reader) (err error) {
		if worth, err = r.Waking(e.p.now()); err != nil || worth || appetite == 0 {
			return err
		}
		_, worth, err = e.source.head(r)
		return err
	})
	return worth, err
}

// newcomer is 1 where enough is leased, but the next job is of a source that has nothing in hand here: it is to have its turn among the
// hundreds of short jobs of another one, and not behind them.
func (e *engine) newcomer(ctx context.Context) (n int, err error) {
	running, queued := e.runner.snapshot()
	if len(queued) == 0 {
		return 0, nil
	}
	err = e.p.view(context.WithoutCancel(ctx), func(r *index.Reader) error {
		row, ok, err := e.source.head(r)
		if n = 0; ok && !slices.ContainsFunc(append(running, queued...), func(a *attempt) bool { return a.row.Source == row.Source }) {
			n = e.p.rest.room(1, e.p.now())
		}
		return err
	})
	return n, err
}

// started keeps the attempts that have been running long enough.
func started(list []*attempt, now time.Time) []*attempt {
	var out []*attempt
	for _, a := range list {
		if now.Sub(a.started) >= startAfter {
			out = append(out, a)
		}
	}
	return out
}
