package pipeline

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/sheratan/sheratan/hosts/agent"
	"github.com/sheratan/sheratan/hosts/sandbox"
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
		case a.result.Status == job.StatusCancelled: // it did not fail
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

// tell says what became of jobs that this process has ended while they ran. rows are theirs, as they are now. Of a job that
// its submitter has interrupted, the submitter is told anyway.
func (e *engine) tell(ended []*attempt, rows []indexRow) {
	for i, a := range ended { // rows begins with theirs
		if a.result.ErrorCode != agent.CodeCancelled || errors.Is(a.ended, errTakenAway) || i >= len(rows) || rows[i].ID != a.row.ID {
			continue
		}
		switch row := rows[i]; row.Status {
		case job.StatusPending:
			e.p.note("job %s was ended while it ran; a rerun of it does no harm, and it is in the queue again", row.ID)
		case job.StatusQuarantined:
			e.p.warn("job %s was ended while it ran; nobody knows what it has done, and an operator decides whether it runs again", row.ID)
		}
	}
}

// interrupt kills what runs where nobody wants to wait for it.
func (e *engine) interrupt(ctx context.Context) {
	if e.killing || !errors.Is(context.Cause(ctx), ErrInterrupted) && !e.hurried() {
		return
	}
	e.killing = true
	var why error = ErrInterrupted
	if e.hurried() && !errors.Is(context.Cause(ctx), ErrInterrupted) {
		why = &sandbox.Ended{Err: ErrInterrupted, Grace: hurriedGrace}
	}
	running, _ := e.runner.snapshot()
	for _, a := range running {
		a.cancel(why)
	}
}

// hurriedGrace is how long a job has from SIGTERM to SIGKILL where whoever ends this process has waited already.
const hurriedGrace = time.Second

func (e *engine) hurried() bool {
	select {
	case <-e.p.opts.Hurry: // nil is never ready
		return true
	default:
		return false
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
