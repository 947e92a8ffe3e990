package pipeline

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/pipeline/rules"
	"github.com/sheratan/sheratan/runtime/workspace"
	"github.com/sheratan/sheratan/schemas"
)

// Limits of one batch of the intake, beside batchJobs: bytes of proposals, and jobs in the first batch of a tick. That one is
// small, and each one is twice as large as the one before, so that the slots have work while the rest is gated. Nor does one
// take much longer than batchFor where jobs run meanwhile: between two batches their ends are recorded and the next ones begin.
const (
	batchBytes = 4 << 20
	firstBatch = 64
	batchFor   = 250 * time.Millisecond
)

// GateSummary counts what an intake did.
type GateSummary struct{ Received, Approved, Blocked, Deferred int }

// intake takes proposals out of the inbox, one batch after the other, until it is empty or what is left has to wait.
type intake struct {
	p        *Pipeline
	rules    *rules.Rules
	claimer  *workspace.Claimer
	emit     func(GateLine) error
	pulse    func(ctx context.Context, midst bool) (goOn bool, err error)
	held     bool            // what is still in the inbox is left there
	only     map[string]bool // inbox paths; nil is all
	summary  GateSummary
	deferred map[string]string // source to reason
	queued   map[string]int    // by source: its jobs in the queue, as of this portion of the scan and with what came since
	waiting  map[string]bool   // entries that are still being written, by path
	left     map[string]bool   // entries that were left in the inbox for another reason
	cands    []*candidate
	most     int       // of them in this batch
	began    time.Time // when its first proposal was taken
	batch    int       // its number
	lines    []string  // sources of which a file of lines is being taken in
	bytes    int
	done     []claimEnd // claims whose last proposal is in cands
	warm     bool       // the gates were used once by this process, see try
}

// takeIn drains the inbox.
func (p *Pipeline) takeIn(ctx context.Context, o GateOptions, emit func(GateLine) error) (GateSummary, error) {
	r, err := p.Rules(ctx)
	if err != nil {
		return GateSummary{}, err
	}
	claimer := p.ws.Claimer(workspace.ClaimerOptions{Now: p.opts.Now, Random: p.opts.Rand})
	defer claimer.Close()
	in := &intake{p: p, rules: r, claimer: claimer, emit: emit, pulse: o.pulse, deferred: map[string]string{}, queued: map[string]int{}, most: batchJobs}
	if in.pulse != nil {
		in.most = firstBatch
	}
	if len(o.Files) > 0 {
		in.only = map[string]bool{}
		for _, f := range o.Files {
			in.only[f] = true
		}
	}
	if err := in.leftovers(ctx); err != nil {
		return in.summary, err
	}
	if len(o.Files) == 0 {
		if err := in.takeFollowUps(ctx); err != nil {
			return in.summary, err
		}
		if err := in.takeRounds(ctx); err != nil {
			return in.summary, err
		}
	}
	for {
		in.waiting = map[string]bool{}
		again, err := in.round(ctx)
		if err != nil {
			return in.summary, err
		}
		if again {
			continue
		}
		if in.held || !o.Settle || len(in.waiting) == 0 || !sleep(ctx, settlePoll) {
			in.summary.Deferred += len(in.waiting)
			return in.summary, p.reportDeferred(ctx, in.deferred)
		}
	}
}

// settlePoll is how often an intake that waits for files to settle looks at them.
const settlePoll = 200 * time.Millisecond

// sleep waits for d, and reports false where ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// leftovers finishes what processes that died had begun: their claims, and jobs that were received and not gated because
// the end of a batch was lost.
func (in *intake) leftovers(ctx context.Context) error {
	if err := in.p.gateReceived(ctx, in.rules); err != nil {
		return err
	}
	claims, err := in.claimer.Orphans()
	if err != nil {
		return err
	}
	for i := range claims {
		c := &claims[i]
		if !c.Lines {
			err := in.claimer.Load(c, int64(in.rules.ParseLimits().Bytes))
			if errors.Is(err, fs.ErrNotExist) {
				continue // another process took it up as well, and was faster
			}
			if err != nil {
				return err
			}
		}
		if err := in.take(ctx, *c, true); err != nil {
			return err
		}
	}
	return in.flush(ctx)
}

// scanPortion is how many entries of one source are looked at before it is the next one's turn.
const scanPortion = 100

// round scans the inbox once, claims what is complete and admits it. It reports whether it is worth looking again.
func (in *intake) round(ctx context.Context) (bool, error) {
	scan, err := in.p.ws.Scan()
	if errors.Is(err, fs.ErrNotExist) {
		in.p.warn("%s: the inbox was missing and is made again", in.p.ws.Rel(in.p.ws.Inbox()))
		return false, os.MkdirAll(in.p.ws.Inbox(), 0o700)
	}
	if err != nil {
		return false, err
	}
	defer scan.Close()
	scan.PassOver(in.p.toldOf)
	in.left = map[string]bool{}
	again := false
	for !in.held && ctx.Err() == nil {
		// Whoever comes while the folder of somebody else is taken in does not wait for the end of that.
		if err := scan.Renew(); err != nil {
			return false, err
		}
		entries, err := scan.Next(scanPortion)
		if err == io.EOF {
			break
		}
		if err != nil {
			return false, err
		}
		clear(in.queued)
		for _, e := range entries {
			if in.held || ctx.Err() != nil {
				break
			}
			taken, err := in.entry(ctx, e)
			if err != nil {
				return false, err
			}
			again = again || taken
		}
		if in.pulse != nil && in.mixed() {
			err = in.flush(ctx)
		} else {
			err = in.tend(ctx, true)
		}
		if err != nil {
			return false, err
		}
	}
	in.p.tellStrays(scan)
	if err := in.flush(ctx); err != nil {
		return false, err
	}
	return again && in.only == nil && !in.held && ctx.Err() == nil, nil
}

// maxBeside is how many files of lines are taken in at a time.
const maxBeside = 8

// beside takes in some of what others have proposed while a file of lines of one source is taken in, however long that is: a portion of
// each folder, after each batch.
func (in *intake) beside(ctx context.Context, source string) error {
	if in.pulse == nil || in.only != nil || in.held || len(in.lines) == maxBeside {
		return nil
	}
	in.lines = append(in.lines, source)
	defer func() { in.lines = in.lines[:len(in.lines)-1] }()
	scan, err := in.p.ws.Scan()
	if err != nil {
		return err
	}
	defer scan.Close()
	scan.PassOver(in.p.toldOf)
	clear(in.queued)
	for n := 0; n < 2*len(scan.Sources()) && !in.held && ctx.Err() == nil; n++ { // the first names the folders, so that this is one portion of each
		entries, err := scan.Next(scanPortion)
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		for _, e := range entries {
			if slices.Contains(in.lines, e.Source) {
				continue
			}
			if _, err := in.entry(ctx, e); err != nil {
				return err
			}
		}
	}
	if in.mixed() {
		return in.flush(ctx)
	}
	return nil
}

// entry claims one entry, where nothing speaks against it.
func (in *intake) entry(ctx context.Context, e workspace.Entry) (bool, error) {
	if in.only != nil && !in.only[e.Path] {
		return false, nil
	}
	full, err := in.full(ctx, e.Source)
	if err != nil {
		return false, err
	}
	if full {
		in.leave(e)
		in.deferred[e.Source] = queueFull
		return false, nil
	}
	lim := in.rules.ParseLimits()
	claim, err := in.claimer.Take(e, int64(lim.Bytes), func(b []byte) bool {
		_, err := schemas.Parse(b, lim)
		return err == nil
	})
	switch {
	case errors.Is(err, workspace.ErrGone):
		return false, nil // somebody else was faster
	case errors.Is(err, workspace.ErrUnsettled):
		in.waiting[e.Path] = true
		return false, nil
	case errors.Is(err, workspace.ErrStuck):
		in.leave(e)
		in.p.tellOnce([]string{err.Error()})
		return false, nil
	case err != nil:
		return false, err
	}
	return true, in.take(ctx, claim, false)
}

// mixed reports whether the batch has proposals of more than one source: none of them is to wait until those of another one
// fill it.
func (in *intake) mixed() bool {
	for _, c := range in.cands {
		if c.intake.Provenance.Source != in.cands[0].intake.Provenance.Source {
			return true
		}
	}
	return false
}

// leave counts an entry that stays in the inbox, once in a round.
func (in *intake) leave(e workspace.Entry) {
	if !in.left[e.Path] {
		in.left[e.Path] = true
		in.summary.Deferred++
	}
}

// nextBatch is how many proposals the batch takes that comes behind one of n which took so long: twice as many, as far as it
// will not take longer than batchFor.
func nextBatch(n int, took time.Duration) int {
	most := min(max(2*n, firstBatch), batchJobs)
	if took > 0 {
		most = min(most, max(firstBatch, int(time.Duration(n)*batchFor/took)))
	}
	return most
}

func (in *intake) add(ctx context.Context, c *candidate, size int, end *claimEnd) error {
	if len(in.cands) == 0 {
		in.began = in.p.opts.Now()
	}
	in.cands = append(in.cands, c)
	in.bytes += size
	if _, known := in.queued[c.intake.Provenance.Source]; known {
		in.queued[c.intake.Provenance.Source]++
	}
	if end != nil {
		in.done = append(in.done, *end)
	}
	if len(in.cands) >= in.most || in.bytes >= batchBytes {
		return in.flush(ctx)
	}
	return nil
}

// flush admits the batch, puts the files of its jobs in place and lets go of the claims that are finished. What was claimed is
// admitted also where ctx has ended, so that nobody has to take it up.
func (in *intake) flush(ctx context.Context) error {
	var out []outcome
	if len(in.cands) > 0 {
		var err error
		if out, err = in.p.admit(context.WithoutCancel(ctx), in.rules, in.cands); err != nil {
			return err
		}
	}
	in.p.projectAdmitted(out)
	for _, end := range in.done {
		if err := in.finish(end); err != nil {
			return err
		}
	}
	in.p.projected()
	for _, o := range out {
		if !o.repeat {
			in.summary.Received++
			if o.job.Status == job.StatusQuarantined {
				in.summary.Blocked++
			} else {
				in.summary.Approved++
			}
		}
		if in.emit != nil {
			if err := in.emit(o.line); err != nil {
				return err
			}
		}
	}
	if in.pulse != nil && len(in.cands) > 0 {
		in.most = nextBatch(len(in.cands), in.p.opts.Now().Sub(in.began))
	}
	in.batch++
	in.cands, in.done, in.bytes = in.cands[:0], in.done[:0], 0
	if len(out) == 0 {
		return nil
	}
	return in.tend(ctx, false)
}

// tend lets the jobs go on that run beside the intake.
func (in *intake) tend(ctx context.Context, midst bool) error {
	if in.pulse == nil {
		return nil
	}
	goOn, err := in.pulse(ctx, midst)
	in.held = in.held || !goOn
	return err
}
