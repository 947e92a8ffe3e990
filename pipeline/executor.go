package pipeline

import (
	"time"

	"github.com/sheratan/sheratan/hosts/agent"
	"github.com/sheratan/sheratan/pipeline/rules"
)

// executor is the agent that executes attempts under one set of rules. It is closed when nobody uses it any more: neither
// the runner, which has moved on to other rules, nor an attempt that began under these.
type executor struct {
	agent *agent.Agent
	users int // guarded by the mutex of the runner
}

// release ends one use of an executor.
func (r *runner) release(x *executor) {
	r.mu.Lock()
	x.users--
	last := x.users == 0
	r.mu.Unlock()
	if !last {
		return
	}
	if err := x.agent.Close(); err != nil {
		r.p.warn("worker: %v", err)
	}
}

// adopt makes what begins from now on begin under other rules. What waits for a slot was leased under the old ones: it is
// returned, and has to be leased again. What runs goes on.
func (r *runner) adopt(other *rules.Rules, now time.Time) []*attempt {
	back := r.giveBack(true, now)
	next := &executor{agent: r.p.newAgent(other), users: 1}
	r.mu.Lock()
	old := r.using
	r.using, r.rules = next, other
	r.mu.Unlock()
	r.release(old)
	return back
}

// adopt makes the engine go on under other rules.
func (e *engine) adopt(r *rules.Rules, from source) {
	e.back = append(e.back, e.runner.adopt(r, e.p.now())...)
	e.rules, e.source = r, from
}
