package pipeline

import (
	"context"
	"errors"
	"strings"

	"github.com/sheratan/sheratan/hosts/agent"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// store puts what attempts wrote on the disk: their output first, then the results that name it.
func (e *engine) store(ended []*attempt) ([]ledger.Ref, error) {
	if len(ended) == 0 {
		return nil, nil
	}
	results := make([]job.Result, len(ended))
	for i, a := range ended {
		results[i] = a.result
	}
	if err := agent.Sync(e.p.ws.Root(), results); err != nil {
		return nil, err
	}
	if err := e.p.keepFollowUps(ended); err != nil {
		return nil, err
	}
	return e.p.storeResults(ended)
}

// split takes those out of the list that did not begin because of a fault of the machine. Each fault is told once, and with
// it the first job that met it.
func (e *engine) split(ended []*attempt) (over, unstarted []*attempt) {
	for _, a := range ended {
		if !a.result.NotStarted {
			over = append(over, a)
			continue
		}
		unstarted = append(unstarted, a)
		if text := strings.ReplaceAll(a.result.Error, a.row.ID, ""); !e.p.told[text] {
			e.p.told[text] = true
			e.p.warn("%s was not started, and is tried again: %s", a.row.ID, a.result.Error)
		}
	}
	return over, unstarted
}

// forget removes the start markers of attempts whose outcome is in the ledger.
func (e *engine) forget(ended []*attempt) error {
	for _, a := range ended {
		if err := agent.Forget(e.p.ws.Jobs(), a.row.ID, a.number); err != nil {
			return err
		}
	}
	return nil
}

func (e *engine) count(ended []*attempt, over []string) {
	done := map[string]bool{}
	for _, id := range over {
		done[id] = true
	}
	for _, a := range ended {
		switch {
		case !done[a.row.ID]:
		case a.result.Status == job.StatusCompleted:
			e.tally.Completed++
		default:
			e.tally.Failed++
		}
	}
}

func (e *engine) report(ended []*attempt) error {
	if e.emit == nil {
		return nil
	}
	for _, a := range ended {
		if err := e.emit(a.result); err != nil {
			return err
		}
	}
	return nil
}

// interrupt kills what runs, once, where the caller does not want to wait.
func (e *engine) interrupt(ctx context.Context) {
	if e.killing || !errors.Is(context.Cause(ctx), ErrInterrupted) {
		return
	}
	e.killing = true
	running, _ := e.runner.snapshot()
	for _, a := range running {
		a.cancel(ErrInterrupted)
	}
}

// abandon ends the work after a failure of the write path: what runs is killed, because what cannot be recorded must not
// go on. What became of it is for recovery to find out.
func (e *engine) abandon(err error) error {
	e.runner.giveBack(true, e.p.now())
	running, _ := e.runner.snapshot()
	for _, a := range running {
		a.cancel(ErrInterrupted)
	}
	e.runner.wg.Wait()
	return err
}
