package pipeline

import (
	"context"
	"errors"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/pipeline/rules"
	"github.com/sheratan/sheratan/runtime/durable"
	"github.com/sheratan/sheratan/runtime/index"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// TickOptions say how long a tick stays.
type TickOptions struct {
	Loop     bool
	Interval time.Duration // of looking at the inbox in a loop; default 1 s
	Linger   time.Duration // the longest backoff or rate window to wait for; 0 is none
	Settle   bool          // wait for files that are still being written
	NoAudits bool          // leave second opinions to others: nobody waits here for a model
	Pack     bool          // pack the repository at the end where that is due: nobody waits here for a result. A loop packs anyway

	own    func(indexRow) bool                   // which jobs are over when the tick is interrupted while they run; nil is none
	needs  func(context.Context) (errand, error) // what whoever wants this tick still needs of it; nil is all that there is to do
	others func(n int)                           // is told once how many jobs run when nothing is needed any more; nil is nobody
}

// needs is what somebody who waits for some jobs needs of the tick that he drives. It does no more than that, so that he does not
// wait for what others have put into the inbox and the queue.
type needs int

const (
	needsAll     needs = iota // what he waits for may lie in the inbox
	needsRuns                 // it is in the queue, or runs
	needsNothing              // it is over
)

// errand says which jobs somebody needs who drives a tick.
type errand struct {
	needs needs
	ahead []string // these go ahead of the others
	alone bool     // one of them is ready or runs: no other job begins
	comes bool     // one of the few that he waits for is still to be taken in: meanwhile no other job begins
}

// TickLine is what a tick did.
type TickLine struct {
	Received   int    `json:"received"`
	Approved   int    `json:"approved"`
	Blocked    int    `json:"blocked"`
	Dispatched int    `json:"dispatched"`
	Completed  int    `json:"completed"`
	Failed     int    `json:"failed"`
	Deferred   int    `json:"deferred"`
	Events     int    `json:"events"`
	Commit     string `json:"commit"`
}

// commitEvery is how long a loop may leave events out of git.
const commitEvery = 10 * time.Second

// Tick recovers what a crash left, gates the inbox, and dispatches and runs until nothing is ready, then commits. With
// Loop it stays until ctx ends, and commits as it goes. emit is called once for each commit, and not at all where nothing
// happened.
func (p *Pipeline) Tick(ctx context.Context, o TickOptions, emit func(TickLine) error) error {
	if o.Interval <= 0 {
		o.Interval = time.Second
	}
	if o.Loop {
		lock, err := durable.TryLock(p.ws.LoopLock())
		if errors.Is(err, durable.ErrLocked) {
			return &LoopRunningError{p.ws.LoopLock()}
		}
		if err != nil {
			return err
		}
		defer lock.Unlock()
	}
	p.later.on = true
	defer func() { p.later.on = false }()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	t := &ticker{p: p, o: o, emit: emit, stop: stop, began: p.now(), committed: p.now()}
	if o.Loop {
		if err := p.acceptRules(); err != nil { // what a loop that was killed left
			return err
		}
		defer p.acceptRules()
		t.watch = p.watchInbox()
		defer t.watch.close()
	}
	err := errors.Join(t.run(ctx), t.endAudits())
	if err != nil {
		p.misplaced = true // files that were to be put in place next may not be
	}
	return errors.Join(err, t.finish(context.WithoutCancel(ctx)))
}

type ticker struct {
	p         *Pipeline
	o         TickOptions
	emit      func(TickLine) error
	stop      context.CancelCauseFunc
	errand              // at the last look
	gating    bool      // the inbox is being taken in
	enough    time.Time // when nothing was needed any more
	others    foreign   // since this tick began
	engine    *engine   // nil before it runs
	watch     *watcher
	audits    *auditors // nil before somebody is asked
	packing   packing   // of a loop
	line      TickLine
	began     time.Time
	committed time.Time // the last commit
	mended    time.Time // the last look for what others did not commit
	scanned   time.Time // the last look at the inbox
	recovered time.Time // the last look for what died
	retained  time.Time // the last look for files that are kept too long
	retains   bool      // and that look left some
	compared  time.Time // the last look at the rules
	complaint string    // what was wrong with them then
	wrote     int       // p.wrote at the last commit
}

// leastRoom is what a tick wants to be able to write before it begins, in bytes: proposals cannot come in where nothing can
// be written, so that a tick would find nothing to do and seem to be content.
const leastRoom = 4 << 10

func (t *ticker) run(ctx context.Context) error {
	if err := durable.Room(t.p.ws.State(), leastRoom); err != nil {
		return err
	}
	if err := t.p.Recover(ctx); err != nil {
		return err
	}
	if _, err := t.beside(ctx); err != nil {
		return err
	}
	r, err := t.p.Rules(ctx)
	if err != nil {
		return err
	}
	if err := t.p.announce(ctx, r); err != nil {
		return err
	}
	t.engine = t.p.newEngine(r, t.queueHead(r), &t.line, nil)
	t.engine.own, t.engine.after = t.o.own, t.look
	defer func() { t.engine = nil }()
	if err := t.retain(ctx, t.p.now()); err != nil {
		return err
	}
	// The engine is there already: while a large inbox is gated, what was gated first runs.
	if err = t.look(ctx); err == nil && t.needs == needsAll {
		err = t.gate(ctx)
	}
	if err != nil && !stopped(ctx, err) {
		err = t.engine.abandon(err)
		t.engine.runner.close()
		return err
	}
	if t.p.wrote > 0 && !t.p.opts.NoCommit {
		defer t.p.mendHistory(ctx)()
	}
	return t.engine.run(ctx, func(idle bool) (bool, time.Time, error) { return t.between(ctx, idle) })
}

// queueHead is the source of a tick: what is next in the queue, dispatched and leased to this process in one step.
func (p *Pipeline) queueHead(r *rules.Rules) source {
	return source{
		head: func(x *index.Reader) (row indexRow, ok bool, err error) {
			rows, err := p.rest.claim(x, 1, p.now())
			if len(rows) == 0 {
				return row, false, err
			}
			return rows[0], true, err
		},
		lease: func(b *batch, n int) ([]*attempt, []string, error) {
			if err := errors.Join(b.configured(r), b.offering(r)); err != nil {
				return nil, nil, err
			}
			rows, err := b.claim(r, n)
			if err != nil {
				return nil, nil, err
			}
			return b.lease(r, rows)
		},
	}
}

// queueHead is what is next for whoever drives this tick: what he waits for, and only where nothing of that can run, the queue. So a job
// of somebody else does not keep him waiting when his own are over.
func (t *ticker) queueHead(r *rules.Rules) source {
	all := t.p.queueHead(r)
	if t.o.needs == nil {
		return all
	}
	alone := func() bool { return t.alone || t.gating && t.comes }
	return source{
		head: func(x *index.Reader) (row indexRow, ok bool, err error) {
			rows, err := t.p.rest.claimIDs(x, t.ahead, 1, t.p.now())
			switch {
			case err != nil:
				return row, false, err
			case len(rows) > 0:
				return rows[0], true, nil
			case alone():
				return row, false, nil
			}
			return all.head(x)
		},
		lease: func(b *batch, n int) ([]*attempt, []string, error) {
			if !alone() { // then nothing of ahead is ready
				return all.lease(b, n)
			}
			if err := errors.Join(b.configured(r), b.offering(r)); err != nil {
				return nil, nil, err
			}
			room, err := b.room(r, n)
			if err != nil {
				return nil, nil, err
			}
			rows, err := t.p.rest.claimIDs(b.tx.Reader, t.ahead, room, b.now)
			if err != nil {
				return nil, nil, err
			}
			return b.lease(r, rows)
		},
	}
}

// rulesEvery is how often a loop looks whether its rules have changed.
const rulesEvery = time.Second

// reload takes up rules that have changed, whether there is work or not: what begins from now on begins under them. While they
// cannot be loaded nothing begins, as in every other command; what runs goes on. That is said once, and status says it.
func (t *ticker) reload(ctx context.Context, now time.Time) error {
	if now.Sub(t.compared) < rulesEvery {
		return nil
	}
	t.compared = now
	held := t.complaint != ""
	if !held && !t.p.RulesChanged() {
		return nil
	}
	if err := t.p.reloadRules(ctx); err != nil {
		text := err.Error()
		if text == t.complaint {
			return nil
		}
		t.complaint = text
		t.p.warn("%v; nothing is begun until they are mended", err)
		t.engine.adopt(t.engine.rules, noSource)
		return t.p.refuseRules(text)
	}
	t.complaint = ""
	if held {
		if err := t.p.acceptRules(); err != nil {
			return err
		}
	}
	r, err := t.p.Rules(ctx)
	if err != nil || r.Digest == t.engine.rules.Digest && !held {
		return err
	}
	t.engine.adopt(r, t.queueHead(r))
	return t.p.transact(ctx, func(b *batch) error { return b.configured(r) })
}

// between gates new proposals and decides whether a tick that has nothing to do is over.
func (t *ticker) between(ctx context.Context, idle bool) (more bool, until time.Time, err error) {
	t.p.placeLater(idle)
	t.p.projected()
	now := t.p.now()
	if t.o.Loop {
		if err := t.reload(ctx, now); err != nil {
			return false, until, err
		}
	}
	if err := t.recover(ctx, now); err != nil {
		return false, until, err
	}
	if t.o.Loop && (idle || t.retains || now.Sub(t.retained) >= retainEvery) {
		if err := t.retain(ctx, now); err != nil {
			return false, until, err
		}
	}
	if t.complaint != "" {
		return false, now.Add(rulesEvery), t.commitDue(ctx, now, idle)
	}
	if t.needs == needsAll && (idle || now.Sub(t.scanned) >= t.o.Interval || t.watch.fired()) {
		before := t.line.Received
		if err := t.gate(ctx); err != nil {
			return false, until, err
		}
		more = t.line.Received > before
	}
	allowed, asking, err := t.audit(ctx)
	if err != nil {
		return false, until, err
	}
	more = more || allowed
	if t.o.Loop {
		return more, now.Add(t.o.Interval), t.commitDue(ctx, now, idle && !more)
	}
	if more || !idle {
		return more, until, nil
	}
	if asking || t.needs == needsRuns && now.Sub(t.began) < drivenFor {
		return false, now.Add(lookEvery), nil // an answer wakes the engine, or a slot becomes free
	}
	return false, t.worthWaiting(ctx, now), nil
}

// commitDue has a loop commit when it has nothing else to do, and every ten seconds.
func (t *ticker) commitDue(ctx context.Context, now time.Time, rests bool) error {
	if now.Sub(t.committed) < commitEvery && !rests {
		return nil
	}
	if err := t.commit(ctx); err != nil || t.p.opts.NoCommit {
		return err
	}
	t.packing.begin(ctx, t.p)
	return nil
}

// worthWaiting is when the next job wakes, where that is within the time that the tick lingers.
func (t *ticker) worthWaiting(ctx context.Context, now time.Time) time.Time {
	if t.o.Linger <= 0 {
		return time.Time{}
	}
	var next time.Time
	var ok bool
	err := t.p.view(ctx, func(r *index.Reader) (err error) {
		next, ok, err = r.NextWake()
		return err
	})
	again := t.p.rest.next(now, t.o.Linger)
	if err != nil || !ok || !again.IsZero() && again.Before(next) {
		next = again
	}
	if next.Sub(now) > t.o.Linger {
		return time.Time{}
	}
	return next
}

// recover looks once in a while for what other processes left when they died: a loop may stay for years.
func (t *ticker) recover(ctx context.Context, now time.Time) error {
	if now.Sub(t.recovered) < t.o.Interval {
		return nil
	}
	t.recovered = now
	left, err := t.p.deserted(ctx)
	if err != nil || !left {
		return err
	}
	return t.p.Recover(ctx)
}

// pulse keeps the jobs that run from waiting until a large inbox has been taken in: their ends are recorded, what was
// cancelled is ended, and the next ones begin. It reports whether the intake is to go on. In the middle of a batch it does so only
// where a slot has nothing to do.
func (t *ticker) pulse(ctx context.Context, midst bool) (goOn bool, err error) {
	if t.engine == nil || midst && !t.engine.hungry() {
		return true, nil
	}
	err = errors.Join(t.engine.tend(ctx), t.look(ctx))
	return t.needs == needsAll, err
}

var errEnough = errors.New("nobody waits for what is left")

// drivenFor is how long a tick stays for jobs that somebody waits for and that other processes run, or keep the slots from. Then
// another one begins, under the rules as they are by then.
const drivenFor = 2 * time.Second

// look asks what whoever drives this tick still needs, and ends it where that is nothing. What runs goes on to its end, and what
// is left is for the next tick.
func (t *ticker) look(ctx context.Context) (err error) {
	if t.o.needs == nil {
		return nil
	}
	if ctx.Err() != nil {
		t.tellOthers(ctx)
		return nil
	}
	if t.errand, err = t.o.needs(ctx); err != nil {
		return err
	}
	if t.needs == needsNothing {
		t.enough = t.p.opts.Now()
		t.stop(errEnough)
	}
	return nil
}

// tellOthers says how many jobs are still to end, where that takes a while.
func (t *ticker) tellOthers(ctx context.Context) {
	if t.o.others == nil || t.enough.IsZero() || !errors.Is(context.Cause(ctx), errEnough) || t.p.opts.Now().Sub(t.enough) < lookEvery/2 {
		return
	}
	if _, running, _ := t.engine.runner.load(); running > 0 {
		t.o.others(running)
		t.o.others = nil
	}
}

func (t *ticker) gate(ctx context.Context) error {
	t.scanned = t.p.now()
	t.gating = true
	defer func() { t.gating = false }()
	s, err := t.p.takeIn(ctx, GateOptions{Settle: t.o.Settle, pulse: t.pulse}, nil)
	t.line.Received += s.Received
	t.line.Approved += s.Approved
	t.line.Blocked += s.Blocked
	t.line.Deferred = s.Deferred
	return err
}

// commit writes the tick's own event and a git commit, where there is something to say.
func (t *ticker) commit(ctx context.Context) error {
	t.committed = t.p.now()
	if t.p.wrote == t.wrote {
		t.mend(ctx)
		return nil
	}
	err := t.p.transact(ctx, func(b *batch) error {
		b.workspaceEvent("tick", job.Tick, ledger.TickMeta{
			Received: t.line.Received, Approved: t.line.Approved, Blocked: t.line.Blocked,
			Dispatched: t.line.Dispatched, Completed: t.line.Completed, Failed: t.line.Failed,
		}, nil)
		return nil
	})
	if err != nil {
		return err
	}
	t.p.projected()
	t.line.Events = t.p.wrote - t.wrote
	t.wrote = t.p.wrote
	if t.p.opts.NoCommit {
		t.p.checkpoint()
	} else if t.line.Commit, err = t.p.commitWhile(ctx, t.line, t.p.checkpoint); err != nil {
		return err
	}
	line := t.line
	t.line = TickLine{}
	if t.emit == nil {
		return nil
	}
	return t.emit(line)
}

// mend has a loop commit what others left out of git: only the end of a loop would do it otherwise. What goes wrong is said
// once, and is no reason to stop.
func (t *ticker) mend(ctx context.Context) {
	if !t.o.Loop || t.p.opts.NoCommit || t.committed.Sub(t.mended) < commitEvery {
		return
	}
	t.mended = t.committed
	if err := t.p.mend(ctx); err != nil {
		t.p.tellOnce([]string{err.Error()})
	}
}

// finish places the files that are left, and commits. Whoever has what he wanted leaves the commit to those who are at work beside
// him and commit when they have done all of it.
func (t *ticker) finish(ctx context.Context) error {
	t.p.placeLater(true)
	t.packing.end()
	if t.needs != needsAll {
		beside, err := t.beside(ctx)
		if err != nil || beside {
			return err
		}
	}
	err := t.commit(ctx)
	if err == nil && t.o.Pack && !t.o.Loop && !t.p.opts.NoCommit {
		t.p.packLast(ctx)
	}
	return err
}

// beside reports whether others have written to the ledger since this tick began.
func (t *ticker) beside(ctx context.Context) (others bool, err error) {
	err = t.p.view(ctx, func(r *index.Reader) (err error) {
		others, err = t.others.wroteSince(r, t.p)
		return err
	})
	return others, err
}
