package pipeline

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/index"
)

// WaitOptions say how to wait for jobs.
type WaitOptions struct {
	Timeout time.Duration // 0 is for ever
	Any     bool          // until the first of them is
	Drive   bool          // run ticks while nobody else does

	Retrying func(RetryWait) // is told of each wait for another attempt, once; nil is nobody
	Left     func(LeftJob)   // with Drive, is told of each job that goes on when the wait is interrupted; nil is nobody
	Others   func(n int)     // with Drive, is told once how many jobs of others run here when those that are waited for are over; nil is nobody

	own func(indexRow) bool // which jobs are over when the wait is interrupted while this process runs them
}

// RetryWait is a job that has failed and waits for another attempt.
type RetryWait struct {
	JobID       string
	Error       string // of the attempt that failed
	Retry, Most int    // which of how many
	In          time.Duration
}

// LeftJob is a job that is not over when the wait for it is. Without an id it has not been taken in yet.
type LeftJob struct {
	JobID  string
	Status job.Status
}

// waitEvery is how often waiting looks at the index.
const waitEvery = 100 * time.Millisecond

// Wait waits until the jobs are over or blocked, and emits a result for each as it gets there. A job that is not known
// yet is waited for while there are files in the inbox. The error is ErrWaitTimeout where the time ran out.
func (p *Pipeline) Wait(ctx context.Context, ids []string, o WaitOptions, emit func(job.Result) error) error {
	waits := make([]awaited, len(ids))
	for i, id := range ids {
		waits[i] = func(ctx context.Context) (indexRow, job.Result, bool, error) { return p.outcome(ctx, id) }
	}
	return p.await(ctx, waits, o, emit)
}

// awaited asks for a job as it is, whether it is over, and for its result then. A row without an id is not known yet.
type awaited func(ctx context.Context) (row indexRow, res job.Result, done bool, err error)

func (p *Pipeline) await(ctx context.Context, left []awaited, o WaitOptions, emit func(job.Result) error) error {
	w := &wait{p: p, o: o, emit: emit, left: left, told: map[string]int{}}
	deadline := time.Time{}
	if o.Timeout > 0 {
		deadline = p.opts.Now().Add(o.Timeout)
	}
	for {
		if o.Drive {
			needed := func(ctx context.Context) (errand, error) {
				if !deadline.IsZero() && !p.opts.Now().Before(deadline) {
					return errand{needs: needsNothing}, nil
				}
				return w.errand(ctx)
			}
			err := p.Tick(ctx, TickOptions{Linger: waitEvery, Settle: true, NoAudits: true, own: o.own, needs: needed, others: o.Others}, nil)
			if w.over || w.unheard != nil {
				return w.ended(ctx, err)
			}
			if err != nil && !stopped(ctx, err) {
				return err
			}
			if ctx.Err() != nil {
				return w.leave(ctx)
			}
		}
		if _, err := w.look(ctx); err != nil || w.over || w.unheard != nil {
			return w.ended(ctx, err)
		}
		if !deadline.IsZero() && !p.opts.Now().Before(deadline) {
			return ErrWaitTimeout
		}
		select {
		case <-ctx.Done():
			return w.leave(ctx)
		case <-time.After(waitEvery):
		}
	}
}

// wait is a wait for some jobs.
type wait struct {
	p       *Pipeline
	o       WaitOptions
	emit    func(job.Result) error
	left    []awaited      // the jobs that are not over
	told    map[string]int // by id, the last retry that was told of
	over    bool           // there is nothing left to wait for
	unheard error          // of emit: nobody listens any more
}

// look emits the result of each job that has got there since the last look, and returns the others.
func (w *wait) look(ctx context.Context) (rows []indexRow, err error) {
	rest := make([]awaited, 0, len(w.left))
	for i, ask := range w.left {
		row, res, done, err := ask(ctx)
		if err != nil {
			w.left = append(rest, w.left[i:]...)
			return nil, err
		}
		if !done {
			rest, rows = append(rest, ask), append(rows, row)
			if w.o.Retrying != nil && w.p.awaitsRetry(row) && w.told[row.ID] < row.RetryCount {
				w.told[row.ID] = row.RetryCount
				w.o.Retrying(RetryWait{row.ID, row.Error, row.RetryCount, row.MaxRetries, row.WakeAt.Sub(w.p.now())})
			}
			continue
		}
		if w.unheard = w.emit(res); w.unheard != nil || w.o.Any {
			w.over = w.unheard == nil
			return nil, nil
		}
	}
	w.left = rest
	w.over = len(rest) == 0
	return rows, nil
}

// ended is the outcome of a wait that is over. That it is interrupted then, while jobs of others end, is no matter of its jobs.
func (w *wait) ended(ctx context.Context, err error) error {
	if w.unheard != nil {
		return w.unheard
	}
	if stopped(ctx, err) {
		return nil
	}
	return err
}

// errand is what a wait needs of a tick. A job that waits for others, or for its rate, may need what lies in the inbox.
func (w *wait) errand(ctx context.Context) (e errand, err error) {
	rows, err := w.look(ctx)
	if err != nil {
		return e, err
	}
	if w.over || w.unheard != nil {
		return errand{needs: needsNothing}, nil
	}
	e.needs = needsRuns
	for _, row := range rows {
		if !row.Ready && !row.Leased() {
			e.needs = needsAll
		}
		e.comes = e.comes || row.ID == ""
	}
	if len(rows) > aheadMost {
		e.comes = false
		return e, nil
	}
	err = w.p.view(ctx, func(r *index.Reader) (err error) {
		e.ahead, e.alone, err = ahead(r, rows)
		return err
	})
	return e, err
}

// aheadMost is how many jobs go ahead of those of others. Whoever waits for more takes turns with them.
const aheadMost = 256

// ahead returns those of the jobs, and of those that they wait for, that are ready, in the order in which they should begin, and
// reports whether one of them is ready or runs. Too many are none.
func ahead(r *index.Reader, rows []indexRow) (ids []string, any bool, err error) {
	var ready []indexRow
	seen := map[string]bool{}
	for rows = slices.Clone(rows); len(rows) > 0; rows = rows[1:] {
		row := rows[0]
		switch {
		case row.ID == "" || seen[row.ID] || row.Status.Final():
			continue
		case row.Leased():
			any = true
		case row.Ready:
			ready, any = append(ready, row), true
		}
		if seen[row.ID] = true; len(seen) > aheadMost {
			return nil, false, nil
		}
		if row.Ready || row.Leased() {
			continue
		}
		deps, err := r.DependsOn(row.ID)
		if err != nil {
			return nil, false, err
		}
		for _, id := range append(followed(deps), row.JoinedTo) {
			if before, known, err := r.Job(id); err != nil {
				return nil, false, err
			} else if known {
				rows = append(rows, before)
			}
		}
	}
	slices.SortStableFunc(ready, func(a, b indexRow) int {
		return cmp.Or(cmp.Compare(b.Priority, a.Priority), cmp.Compare(a.Seq, b.Seq))
	})
	for _, row := range ready {
		ids = append(ids, row.ID)
	}
	return ids, any, nil
}

// followed are the jobs that stand for what a job depends on and that have not completed.
func followed(deps []index.Dependency) (ids []string) {
	for _, d := range deps {
		if d.Exists && !d.Status.Final() {
			ids = append(ids, d.Follows)
		}
	}
	return ids
}

// leave ends an interrupted wait: whoever has driven it is told what became of each job.
func (w *wait) leave(ctx context.Context) error {
	if !w.o.Drive {
		return context.Cause(ctx)
	}
	for _, ask := range w.left {
		row, res, done, err := ask(context.WithoutCancel(ctx))
		switch {
		case err != nil:
			return err
		case done:
			if err := w.emit(res); err != nil {
				return err
			}
		case w.o.Left != nil:
			w.o.Left(LeftJob{row.ID, row.Status})
		}
	}
	return context.Cause(ctx)
}

// awaitsRetry reports whether a job has failed and waits until it is tried again.
func (p *Pipeline) awaitsRetry(row indexRow) bool {
	return row.Status == job.StatusPending && row.RetryCount > 0 && row.WakeAt.After(p.now())
}

// outcome is the result of a job that is over, or of one that waits for a person.
func (p *Pipeline) outcome(ctx context.Context, id string) (row indexRow, res job.Result, done bool, err error) {
	row, ok, err := p.find(ctx, id)
	switch {
	case err != nil:
		return row, res, false, err
	case !ok:
		return row, res, false, p.stillComing(ctx, id)
	case !row.Status.Final() && row.Status != job.StatusQuarantined:
		return row, res, false, nil
	}
	res, err = p.finalResult(ctx, row)
	return row, res, true, err
}

// stillComing returns an error where a job that is not known is not on its way either.
func (p *Pipeline) stillComing(ctx context.Context, id string) error {
	if coming, err := p.coming(); err != nil || coming {
		return err
	}
	// It may have been taken in between the two looks.
	_, err := p.row(ctx, id)
	return err
}

// finalResult is what is said of a job that is over: the result of its last attempt, with the status and error of the
// job. A job that shares another one's outcome shows that one's result.
func (p *Pipeline) finalResult(ctx context.Context, row indexRow) (job.Result, error) {
	res, ok, err := p.loadResult(row)
	if err != nil {
		return res, err
	}
	if !ok && row.JoinedTo != "" {
		holder, found, err := p.find(ctx, row.JoinedTo)
		if err != nil {
			return res, err
		}
		if found {
			if res, _, err = p.loadResult(holder); err != nil {
				return res, err
			}
		}
		res.DeduplicatedOf = row.JoinedTo
	}
	if res.Attempt == 0 && row.Status != job.StatusCompleted {
		res.ExitCode = -1 // it never ran, and 0 would look like a success
	}
	res.Schema, res.JobID, res.Status = job.SchemaResult, row.ID, row.Status
	if row.Status != job.StatusCompleted {
		res.Error, res.ErrorCode = row.Error, row.ErrorCode
		if row.Status == job.StatusQuarantined && res.Error == "" {
			rep, err := p.loadReport(row)
			if err != nil {
				return res, err
			}
			res.Error, res.ErrorCode = firstMessage(rep), firstCode(rep)
		}
	}
	return res, nil
}

func firstMessage(rep job.Report) string {
	code := firstCode(rep)
	for _, g := range rep.Gates {
		for _, r := range g.Reasons {
			if r.Code == code {
				return r.Message
			}
		}
	}
	return "blocked"
}
