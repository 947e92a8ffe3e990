package pipeline

import (
	"context"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
)

// WaitOptions say how to wait for jobs.
type WaitOptions struct {
	Timeout time.Duration // 0 is for ever
	Any     bool          // until the first of them is
	Drive   bool          // run ticks while nobody else does

	Retrying func(RetryWait) // is told of each wait for another attempt, once; nil is nobody
	Left     func(LeftJob)   // with Drive, is told of each job that goes on when the wait is interrupted; nil is nobody

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
	deadline := time.Time{}
	if o.Timeout > 0 {
		deadline = p.opts.Now().Add(o.Timeout)
	}
	told := map[string]int{} // by id, the last retry that was told of
	for {
		if o.Drive {
			needed := func(ctx context.Context) (needs, error) {
				if !deadline.IsZero() && !p.opts.Now().Before(deadline) {
					return needsNothing, nil
				}
				return stillNeeded(ctx, left, o.Any)
			}
			err := p.Tick(ctx, TickOptions{Linger: waitEvery, Settle: true, NoAudits: true, own: o.own, needs: needed}, nil)
			if err != nil && !stopped(ctx, err) {
				return err
			}
			if ctx.Err() != nil {
				return p.leave(ctx, left, o, emit)
			}
		}
		rest := left[:0]
		for _, ask := range left {
			row, res, done, err := ask(ctx)
			if err != nil {
				return err
			}
			if !done {
				rest = append(rest, ask)
				if o.Retrying != nil && p.awaitsRetry(row) && told[row.ID] < row.RetryCount {
					told[row.ID] = row.RetryCount
					o.Retrying(RetryWait{JobID: row.ID, Error: row.Error, Retry: row.RetryCount, Most: row.MaxRetries, In: row.WakeAt.Sub(p.now())})
				}
				continue
			}
			if err := emit(res); err != nil || o.Any {
				return err
			}
		}
		if left = rest; len(left) == 0 {
			return nil
		}
		if !deadline.IsZero() && !p.opts.Now().Before(deadline) {
			return ErrWaitTimeout
		}
		select {
		case <-ctx.Done():
			return p.leave(ctx, left, o, emit)
		case <-time.After(waitEvery):
		}
	}
}

// stillNeeded is what a wait for all of some jobs, or for any, needs of a tick. A job that waits for others, or for its rate, may need
// what lies in the inbox.
func stillNeeded(ctx context.Context, left []awaited, any bool) (needs, error) {
	need, over := needsRuns, 0
	for _, ask := range left {
		row, _, done, err := ask(ctx)
		switch {
		case err != nil:
			return needsAll, err
		case done:
			over++
		case !row.Ready && !row.Leased():
			need = needsAll
		}
	}
	if over == len(left) || any && over > 0 {
		need = needsNothing
	}
	return need, nil
}

// leave ends an interrupted wait: whoever has driven it is told what became of each job.
func (p *Pipeline) leave(ctx context.Context, left []awaited, o WaitOptions, emit func(job.Result) error) error {
	if !o.Drive {
		return context.Cause(ctx)
	}
	for _, ask := range left {
		row, res, done, err := ask(context.WithoutCancel(ctx))
		switch {
		case err != nil:
			return err
		case done:
			if err := emit(res); err != nil {
				return err
			}
		case o.Left != nil:
			o.Left(LeftJob{row.ID, row.Status})
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
