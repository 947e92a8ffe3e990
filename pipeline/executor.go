package pipeline

import (
	"sync"
	"time"

	"github.com/sheratan/sheratan/hosts/agent"
	"github.com/sheratan/sheratan/pipeline/rules"
)

// executor is the agent that executes attempts under one set of rules. It is closed when nobody uses it any more: neither
// the runner, which has moved on to other rules, nor an attempt that began under these.
type executor struct {
	make  func() (*agent.Agent, error)
	users int // guarded by the mutex of the runner

	mu    sync.Mutex
	agent *agent.Agent // made when it is first asked for: finding out what the sandbox can do takes its time
}

// newExecutor returns an executor that is used once.
func (p *Pipeline) newExecutor(r *rules.Rules) *executor {
	return &executor{make: func() (*agent.Agent, error) { return p.newAgent(r) }, users: 1}
}

// get returns the agent. The error is the machine's, and may be gone the next time.
func (x *executor) get() (*agent.Agent, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.agent != nil {
		return x.agent, nil
	}
	var err error
	x.agent, err = x.make()
	return x.agent, err
}

// release ends one use of an executor.
func (r *runner) release(x *executor) {
	r.mu.Lock()
	x.users--
	last := x.users == 0
	r.mu.Unlock()
	if !last || x.agent == nil {
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
	next := r.p.newExecutor(other)
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
