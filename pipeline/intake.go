package pipeline

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/sheratan/sheratan/gates"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/pipeline/rules"
	"github.com/sheratan/sheratan/runtime/index"
	"github.com/sheratan/sheratan/runtime/ledger"
	"github.com/sheratan/sheratan/runtime/workspace"
	"github.com/sheratan/sheratan/schemas"
)

// Limits of one batch of the intake: jobs, and bytes of proposals.
const batchBytes = 4 << 20

// deferredEvery is how often an intake that leaves proposals in the inbox says so in the ledger.
const deferredEvery = 10 * time.Second

// GateSummary counts what an intake did.
type GateSummary struct{ Received, Approved, Blocked, Deferred int }

// intake takes proposals out of the inbox, one batch after the other, until it is empty or what is left has to wait.
type intake struct {
	p        *Pipeline
	rules    *rules.Rules
	claimer  *workspace.Claimer
	emit     func(GateLine) error
	pulse    func(context.Context) error
	only     map[string]bool // inbox paths; nil is all
	summary  GateSummary
	deferred map[string]string // source to reason
	waiting  int               // entries that are still being written
	cands    []*candidate
	bytes    int
	done     []claimEnd // claims whose last proposal is in cands
}

// claimEnd is what to do with a claimed file once its proposals are in the ledger.
type claimEnd struct {
	claim workspace.Claim
	keep  bool // the bytes are not in a document: move the file to the blocked job's folder
	job   *candidate
}

// takeIn drains the inbox.
func (p *Pipeline) takeIn(ctx context.Context, o GateOptions, emit func(GateLine) error) (GateSummary, error) {
	r, err := p.Rules(ctx)
	if err != nil {
		return GateSummary{}, err
	}
	claimer := p.ws.Claimer(workspace.ClaimerOptions{Now: p.opts.Now, Random: p.opts.Rand})
	defer claimer.Close()
	in := &intake{p: p, rules: r, claimer: claimer, emit: emit, pulse: o.pulse, deferred: map[string]string{}}
	if len(o.Files) > 0 {
		in.only = map[string]bool{}
		for _, f := range o.Files {
			in.only[f] = true
		}
	}
	if err := in.leftovers(ctx); err != nil {
		return in.summary, err
	}
	for {
		in.waiting = 0
		again, err := in.round(ctx)
		if err != nil {
			return in.summary, err
		}
		if again {
			continue
		}
		if !o.Settle || in.waiting == 0 || !sleep(ctx, settlePoll) {
			in.summary.Deferred += in.waiting
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
	again := false
	for ctx.Err() == nil {
		entries, err := scan.Next(scanPortion)
		if err == io.EOF {
			break
		}
		if err != nil {
			return false, err
		}
		for _, e := range entries {
			taken, err := in.entry(ctx, e)
			if err != nil {
				return false, err
			}
			again = again || taken
		}
	}
	in.p.tellOnce(scan.Notes())
	if err := in.flush(ctx); err != nil {
		return false, err
	}
	return again && in.only == nil && ctx.Err() == nil, nil
}

// entry claims one entry, where nothing speaks against it.
func (in *intake) entry(ctx context.Context, e workspace.Entry) (bool, error) {
	if in.only != nil && !in.only[e.Path] {
		return false, nil
	}
	if in.p.queueFull(ctx, in.rules, e.Source, len(in.cands)) {
		in.summary.Deferred++
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
		in.waiting++
		return false, nil
	case errors.Is(err, workspace.ErrStuck):
		in.summary.Deferred++
		in.p.tellOnce([]string{err.Error()})
		return false, nil
	case err != nil:
		return false, err
	}
	return true, in.take(ctx, claim, false)
}

// queueFull is why proposals stay in the inbox, as the ledger says it.
const queueFull = "queue full"

// take adds the proposals of a claim to the batch, flushing whenever that is full.
func (in *intake) take(ctx context.Context, claim workspace.Claim, recovered bool) error {
	prov := in.p.provenance(claim)
	if claim.FileType != "" || claim.Content.Err != nil {
		c := unreadable(claim, prov, in.p.stamp())
		c.recovered = recovered
		return in.add(ctx, c, len(claim.Token), &claimEnd{claim: claim, keep: true, job: c})
	}
	prov.OwnerUID = claim.Content.OwnerUID
	if claim.Lines {
		f, err := in.claimer.Open(claim)
		if recovered && errors.Is(err, fs.ErrNotExist) {
			return nil // as in leftovers
		}
		if err != nil {
			return err
		}
		defer f.Close()
		return in.takeLines(ctx, claim, f, prov, recovered)
	}
	lim := in.rules.ParseLimits()
	raw, rest, err := in.whole(claim)
	if recovered && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	c := in.parse(raw, rest, prov, lim)
	c.recovered = recovered
	if err := in.sign(claim, c, raw); err != nil {
		return err
	}
	return in.add(ctx, c, len(raw), &claimEnd{claim: claim, keep: c.intake.Raw != nil && c.intake.Raw.Base64 == "", job: c})
}

// whole returns the bytes of a claim, or measures it where it is too long to be one proposal.
func (in *intake) whole(claim workspace.Claim) ([]byte, *oversize, error) {
	if !claim.Content.Partial {
		return claim.Content.Data, nil, nil
	}
	f, err := in.claimer.Open(claim)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	return readBounded(f, in.rules.ParseLimits().Bytes)
}

// takeLines takes a file of JSON lines. Lines that an interrupted run has committed are skipped.
func (in *intake) takeLines(ctx context.Context, claim workspace.Claim, f io.Reader, prov job.Provenance, recovered bool) error {
	lim := in.rules.ParseLimits()
	skip := 0
	if recovered {
		var err error
		if skip, err = in.p.lastLine(ctx, prov.Token); err != nil {
			return err
		}
	}
	br := bufio.NewReaderSize(f, 64<<10)
	end := &claimEnd{claim: claim}
	for n := 1; ; n++ {
		raw, rest, err := readLine(br, lim.Bytes)
		if err != nil && err != io.EOF {
			return fmt.Errorf("%s: line %d: %w", claim.Token, n, err)
		}
		last := err == io.EOF
		if n > skip && len(bytes.TrimSpace(raw)) > 0 {
			prov.Line = n
			c := in.parse(raw, rest, prov, lim)
			c.recovered = recovered
			if rest != nil && !end.keep {
				end.keep, end.job = true, c // the line is in no document: the file stays as a whole
			}
			if err := in.add(ctx, c, len(raw), nil); err != nil {
				return err
			}
		}
		if last {
			in.done = append(in.done, *end)
			return nil
		}
	}
}

// parse makes a candidate of raw; rest is what of it was not read because it is too long.
func (in *intake) parse(raw []byte, rest *oversize, prov job.Provenance, lim schemas.Limits) *candidate {
	if rest == nil {
		return newCandidate(raw, prov, in.p.stamp(), lim)
	}
	c := &candidate{
		intake: job.Intake{Schema: job.SchemaIntake, ReceivedAt: in.p.stamp(), Provenance: prov,
			Raw: &job.Raw{SHA256: rest.sha256, Bytes: rest.size}},
		parseErr: &schemas.ParseError{Code: schemas.CodeTooLarge,
			Message: fmt.Sprintf("%d bytes are more than the %d that a proposal may have", rest.size, lim.Bytes)},
		payloadSHA256: rest.sha256,
	}
	return c
}

// unreadable is the candidate for something in the inbox that is not a regular file. It is never opened.
func unreadable(claim workspace.Claim, prov job.Provenance, now string) *candidate {
	digest := schemas.Digest(nil)
	return &candidate{
		intake: job.Intake{Schema: job.SchemaIntake, ReceivedAt: now, Provenance: prov,
			Raw: &job.Raw{SHA256: digest}},
		parseErr:      &schemas.ParseError{Code: schemas.CodeEmpty, Message: "a " + claim.FileType + " cannot be read as a proposal"},
		fileType:      claim.FileType,
		payloadSHA256: digest,
	}
}

func (in *intake) add(ctx context.Context, c *candidate, size int, end *claimEnd) error {
	in.cands = append(in.cands, c)
	in.bytes += size
	if end != nil {
		in.done = append(in.done, *end)
	}
	if len(in.cands) >= batchJobs || in.bytes >= batchBytes {
		return in.flush(ctx)
	}
	return nil
}

// flush admits the batch, puts the files of its jobs in place and lets go of the claims that are finished.
func (in *intake) flush(ctx context.Context) error {
	var out []outcome
	if len(in.cands) > 0 {
		var err error
		if out, err = in.p.admit(ctx, in.rules, in.cands); err != nil {
			return err
		}
	}
	in.p.projectAdmitted(out)
	for _, end := range in.done {
		if err := in.finish(end, out); err != nil {
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
	in.cands, in.done, in.bytes = in.cands[:0], in.done[:0], 0
	if in.pulse != nil && len(out) > 0 {
		return in.pulse(ctx)
	}
	return nil
}

// finish removes a claimed file whose content is in the ledger, or moves it to its blocked job where it is not.
func (in *intake) finish(end claimEnd, out []outcome) error {
	if !end.keep {
		return in.claimer.Remove(end.claim)
	}
	id := end.job.intake.JobID
	if end.job.private != nil {
		return in.claimer.Remove(end.claim) // its bytes lie there, readable to the owner only
	}
	return in.claimer.MoveTo(end.claim, in.p.ws.Blocked(id), "raw")
}

// provenance stamps what the intake knows of a claim.
func (p *Pipeline) provenance(c workspace.Claim) job.Provenance {
	zone := job.ZoneInbox
	if c.Source == SourceOperator {
		zone = job.ZoneOperator
	}
	return job.Provenance{Zone: zone, Source: c.Source, File: clean(c.Name), OwnerUID: -1, Token: claimID(c.Token)}
}

// claimID is the part of a claim's token that is ours: what follows repeats the name of the file, which is the proposer's and may
// be long, or a credential.
func claimID(token string) string {
	id, _, _ := strings.Cut(token, "~")
	return id
}

// clean redacts a name.
func clean(name string) string {
	s, _ := redactText(name)
	return s
}

// SourceOperator is the source of what a person submits.
const SourceOperator = "operator"

func (p *Pipeline) stamp() string { return job.FormatTime(p.now()) }

// sign attaches the detached signature of a claimed proposal, where it has one, and stamps who signed.
func (in *intake) sign(claim workspace.Claim, c *candidate, raw []byte) error {
	sig, err := in.claimer.Signature(claim)
	if err != nil || sig == nil {
		return err
	}
	c.signature = &gates.Signature{Armored: sig, Message: raw}
	if signer, err := in.rules.Gates.Verify(claim.Source, c.signature); err == nil {
		c.intake.Provenance.Signer = signer
	}
	return nil // what is wrong with it is for gate G0 to say
}

// lastLine is the highest line of a claimed file of JSON lines that is in the ledger.
func (p *Pipeline) lastLine(ctx context.Context, token string) (int, error) {
	line := 0
	err := p.view(ctx, func(r *index.Reader) (err error) {
		line, err = r.LastLine(token)
		return err
	})
	return line, err
}

// queueFull reports whether a source has as many jobs waiting as the limits allow it.
func (p *Pipeline) queueFull(ctx context.Context, r *rules.Rules, source string, more int) bool {
	limit := r.Config.Limits.QueueDepth
	if limit == 0 {
		return false
	}
	full := true
	err := p.view(ctx, func(x *index.Reader) error {
		count, err := x.CountsOf(source)
		full = count.Queued()+more >= limit
		return err
	})
	return err != nil || full
}

// reportDeferred says in the ledger that a full queue leaves proposals in the inbox, every ten seconds at most.
func (p *Pipeline) reportDeferred(ctx context.Context, deferred map[string]string) error {
	full := map[string]bool{}
	for source, reason := range deferred {
		if reason == queueFull {
			full[source] = true
		}
	}
	if len(full) == 0 {
		return nil
	}
	return p.transact(ctx, func(b *batch) error {
		last, err := b.lastEvent(job.IntakeDeferred)
		if err != nil || b.now.Sub(last) < deferredEvery {
			return err
		}
		for source := range full {
			b.workspaceEvent("gate", job.IntakeDeferred, ledger.Deferred{Source: bounded(source), Reason: queueFull}, nil)
		}
		return nil
	})
}

// lastEvent is when an event of this name was last written; the zero time is never.
func (b *batch) lastEvent(name job.EventName) (at time.Time, err error) {
	err = b.tx.Events(index.EventFilter{Event: string(name), Reverse: true, Limit: 1, Since: b.now.Add(-deferredEvery)}, func(ev ledger.Event) error {
		at, err = job.ParseTime(ev.Timestamp)
		return err
	})
	return at, err
}
