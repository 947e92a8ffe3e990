package pipeline

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/sheratan/sheratan/hosts/agent"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/pipeline/rules"
	"github.com/sheratan/sheratan/runtime/ledger"
	"github.com/sheratan/sheratan/runtime/workspace"
)

// runner executes leased jobs of one process. Jobs go in through start, results come out of drain; in between, each slot
// has one goroutine. A slot is a lock file that belongs to the host, so that the slots of all processes together are the
// slots of the host, and it is held only while there is work for it.
//
// A job that was leased and is waiting for a slot of this process is "queued": so that the next job starts without a
// commit in between, a runner leases more short jobs than it has slots.
type runner struct {
	p     *Pipeline
	rules *rules.Rules

	wg      sync.WaitGroup
	mu      sync.Mutex
	using   *executor // of the attempts that begin from now on
	queue   turnQueue
	running map[string]*attempt
	ended   []*attempt
	slots   int           // held, each with a goroutine
	leaving int           // being given back
	busy    int           // executing
	pace    time.Duration // smoothed duration of an attempt; 0 is not known
	wake    chan struct{} // something ended or started
}

// attempt is one execution of one job.
type attempt struct {
	row     indexRow
	job     job.Job
	intake  job.Intake      // as it is stored, where there are
	waivers []ledger.Waived // findings that an operator has overruled
	inputs  []input         // what its dependencies left, and what of that was read
	deps    []agent.Dependency
	number  int
	turn    int // among the jobs of its priority that wait for a slot of this process
	queued  time.Time
	started time.Time // zero until it was
	cancel  context.CancelCauseFunc
	result  job.Result
	ended   error // why this process ended it, nil where it did not
	noted   bool  // its start is in the ledger
}

func (p *Pipeline) newRunner(r *rules.Rules) *runner {
	return &runner{p: p, rules: r, using: p.newExecutor(r), running: map[string]*attempt{}, wake: make(chan struct{}, 1)}
}

// Bounds of what a runner leases ahead: about as much as it can do in the time, and never more than the number.
const (
	leaseAhead    = 200 * time.Millisecond
	leaseAheadMax = 500
)

// appetite is how many jobs the runner should lease now, given that free slots could be had.
func (r *runner) appetite(free int) int {
	return r.p.rest.room(r.hunger(free), r.p.now())
}

// hunger is appetite where the machine starts what it is given.
func (r *runner) hunger(free int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	slots := min(r.slots+r.leaving+free, r.p.slotLimit(r.rules))
	idle := slots - r.busy
	if r.pace == 0 || r.pace >= leaseAhead {
		return max(0, idle-len(r.queue.list))
	}
	if r.sparseLocked() {
		return max(0, slots+max(0, idle)-len(r.queue.list)) // one for each slot: whatever becomes ready does not wait behind more
	}
	target := min(leaseAheadMax, slots*int(leaseAhead/max(r.pace, 100*time.Microsecond)))
	if idle <= 0 && len(r.queue.list) > 0 {
		target = min(target, leaseAheadMax)
	}
	return max(0, target-len(r.queue.list))
}

// sparse reports whether attempts end so seldom that few would come together for one commit. Then the next job is worth more
// than the commit: it may be one that waits for the one that ended.
func (r *runner) sparse() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sparseLocked()
}

func (r *runner) sparseLocked() bool {
	return r.pace*gatherJobs > gatherFor*time.Duration(max(1, r.busy))
}

// start queues attempts and gives each slot that can be had a goroutine.
func (r *runner) start(ctx context.Context, list []*attempt) {
	r.mu.Lock()
	r.queue.add(list)
	r.mu.Unlock()
	r.hire(ctx)
}

// hire takes slots as long as there are jobs waiting for one.
func (r *runner) hire(ctx context.Context) {
	limit := r.p.slotLimit(r.rules)
	for {
		r.mu.Lock()
		need := len(r.queue.list) > 0 && r.slots-r.busy < len(r.queue.list) && r.slots < limit
		if need {
			r.slots++
		}
		r.mu.Unlock()
		if !need {
			return
		}
		slot, err := r.p.ws.TakeSlot(limit)
		if err != nil {
			r.mu.Lock()
			r.slots--
			r.mu.Unlock()
			if !errors.Is(err, workspace.ErrNoSlot) {
				r.p.warn("slots: %v", err)
			}
			return
		}
		r.wg.Go(func() { r.work(ctx, slot) })
	}
}

// close waits for the goroutines of the slots and ends the agent's worker.
func (r *runner) close() {
	r.wg.Wait()
	r.release(r.using)
}

// work executes queued attempts until there are none.
func (r *runner) work(ctx context.Context, slot *workspace.Slot) {
	defer r.leave(slot)
	for {
		r.mu.Lock()
		if len(r.queue.list) == 0 || ctx.Err() != nil || r.p.rest.room(1, r.p.now()) == 0 {
			r.slots--
			r.leaving++
			r.mu.Unlock()
			return
		}
		a := r.queue.take()
		r.busy++
		a.started = r.p.now()
		run, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
		a.cancel = cancel
		r.running[a.row.ID] = a
		by := r.using
		by.users++
		r.mu.Unlock()
		if on, err := by.get(); err == nil {
			if j, err := r.p.executable(a); err == nil {
				a.result = on.Attempt(run, j, a.number, a.deps...)
			} else {
				a.result = r.p.notExecutable(a, err)
			}
		} else {
			a.result = job.Result{JobID: a.row.ID, Attempt: a.number, Status: job.StatusFailed, Error: err.Error(),
				ErrorCode: agent.CodeHost, Retryable: true, NotStarted: true}
		}
		a.ended = context.Cause(run)
		cancel(nil)
		if a.result.NotStarted {
			r.p.rest.fault(a.row.ID, r.p.now())
		} else {
			r.p.rest.started(a.row.ID)
		}
		r.release(by)
		r.mu.Lock()
		r.busy--
		delete(r.running, a.row.ID)
		r.ended = append(r.ended, a)
		took := time.Duration(a.result.DurationMS) * time.Millisecond
		if took == 0 {
			took = time.Millisecond
		}
		if !a.result.NotStarted {
			r.pace += (took - r.pace) / 4
		}
		r.mu.Unlock()
		r.signal()
	}
}

// leave gives a slot back.
func (r *runner) leave(slot *workspace.Slot) {
	if err := slot.Release(); err != nil {
		r.p.warn("slots: %v", err)
	}
	r.mu.Lock()
	r.leaving--
	r.mu.Unlock()
	r.signal()
}

func (r *runner) signal() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// drain returns the attempts that ended, and those that have been running for a while and are not in the ledger as such.
func (r *runner) drain() (ended, begun []*attempt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ended, r.ended = r.ended, nil
	for _, a := range r.running {
		if !a.noted {
			begun = append(begun, a)
		}
	}
	return ended, begun
}

// load says what the runner has in hand.
func (r *runner) load() (queued, running, ended int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.queue.list), len(r.running), len(r.ended)
}

// empty reports whether the runner has neither a slot nor work: with that, no appetite means that the slots of the host
// are all in the hands of other processes.
func (r *runner) empty() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.slots+r.leaving+len(r.queue.list)+len(r.running) == 0
}

// giveBack takes the attempts that have not begun out of the queue: all of them, or where every slot of this process is
// held by a job that lasts, those that have waited too long.
func (r *runner) giveBack(all bool, now time.Time) []*attempt {
	r.mu.Lock()
	defer r.mu.Unlock()
	stuck := slices.ContainsFunc(r.queue.list, func(a *attempt) bool { return now.Sub(a.queued) >= stuckAfter })
	if !all && !stuck {
		return nil
	}
	back := r.queue.list
	r.queue.keep(nil)
	r.pace = 0 // it was wrong about what jobs take
	return back
}

// stuckAfter is how long a leased job may wait for a slot of the process that leased it before others may have it.
const stuckAfter = 2 * time.Second

// snapshot lists the attempts that are being executed, and those that wait for a slot.
func (r *runner) snapshot() (running, queued []*attempt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	running = make([]*attempt, 0, len(r.running))
	for _, a := range r.running {
		running = append(running, a)
	}
	return running, slices.Clone(r.queue.list)
}

// withdraw takes attempts out of the queue, and returns those that had not begun.
func (r *runner) withdraw(which map[*attempt]bool) []*attempt {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []*attempt
	rest := r.queue.list[:0]
	for _, a := range r.queue.list {
		if which[a] {
			out = append(out, a)
		} else {
			rest = append(rest, a)
		}
	}
	r.queue.keep(rest)
	return out
}

// slotLimit is how many jobs the host may run at a time. Where the config sets no limit, this is far more than it can.
func (p *Pipeline) slotLimit(r *rules.Rules) int {
	if n := r.Config.Host.MaxConcurrent; n > 0 {
		return n
	}
	return 256
}
