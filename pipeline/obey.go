package pipeline

import (
	"context"
	"errors"
	"slices"

	"github.com/sheratan/sheratan/runtime/index"
)

// foreign tells whether other processes have written to the ledger: it grew by more than what this one wrote.
type foreign struct {
	size  int64 // of the ledger at the last look
	wrote int   // by this process until then
}

// wrote reports whether others have written since it was last asked.
func (f *foreign) wroteSince(r *index.Reader, p *Pipeline) (bool, error) {
	pos, err := r.Position()
	if err != nil {
		return false, err
	}
	news := pos.Size-f.size != int64(p.wrote-f.wrote)
	f.size, f.wrote = pos.Size, p.wrote
	return news, nil
}

var errTakenAway = errors.New("the job was cancelled")

// obey does what other processes decided about the attempts of this one. Those that were taken away from it (cancelled, as a
// rule) are ended, or never begun. Of a source that was paused nothing is begun, and where it was paused with kill, what
// runs is ended.
func (e *engine) obey() error {
	running, queued := e.runner.snapshot()
	if len(running)+len(queued) == 0 {
		return nil
	}
	lost, held := map[*attempt]bool{}, map[*attempt]bool{}
	err := e.p.view(context.Background(), func(r *index.Reader) error {
		if news, err := e.others.wroteSince(r, e.p); err != nil || !news {
			return err
		}
		pauses, err := r.Paused()
		if err != nil {
			return err
		}
		for i, a := range slices.Concat(running, queued) {
			row, ok, err := r.Job(a.row.ID)
			if err != nil {
				return err
			}
			if !ok || row.Attempt != a.number || row.Runner != e.p.runner || !row.Leased() {
				lost[a] = true
				continue
			}
			for _, pause := range pauses {
				if pause.Source == "" || pause.Source == row.Source {
					held[a] = held[a] || pause.Kill || i >= len(running)
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	e.runner.withdraw(lost)
	e.back = append(e.back, e.runner.withdraw(held)...)
	for _, a := range running {
		switch {
		case lost[a]:
			a.cancel(errTakenAway)
		case held[a]:
			a.cancel(errPaused)
		}
	}
	return nil
}
