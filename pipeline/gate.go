package pipeline

import (
	"context"
	"fmt"
	"slices"

	"github.com/sheratan/sheratan/gates"
	"github.com/sheratan/sheratan/hosts"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/pipeline/rules"
	"github.com/sheratan/sheratan/runtime/index"
	"github.com/sheratan/sheratan/runtime/ledger"
	"github.com/sheratan/sheratan/runtime/workspace"
	"github.com/sheratan/sheratan/schemas"
)

// GateOptions say what to gate: the inbox, some files of it, or blocked jobs again.
type GateOptions struct {
	IDs     []string // blocked jobs to gate again
	Files   []string // paths of inbox files; empty is all of them
	Blocked bool     // all blocked jobs again
	Settle  bool     // wait for files that are still being written

	// pulse is called after each batch of the inbox, and in the midst of one after each portion; nil is nobody.
	pulse func(ctx context.Context, midst bool) (goOn bool, err error)
}

// GateLine is what gate says of one job.
type GateLine struct {
	JobID      string           `json:"job_id"`
	Status     string           `json:"status"`
	Verdict    string           `json:"verdict"`
	NextAction string           `json:"next_action"`
	Zone       string           `json:"zone"`
	Reports    []job.GateReport `json:"reports"`
}

// Gate takes the inbox through the gates, or blocked jobs once more under the rules as they are now.
func (p *Pipeline) Gate(ctx context.Context, o GateOptions, emit func(GateLine) error) (GateSummary, error) {
	if len(o.IDs) == 0 && !o.Blocked {
		sum, err := p.takeIn(ctx, o, emit)
		p.did.Received += sum.Received
		p.did.Blocked += sum.Blocked
		return sum, err
	}
	r, err := p.Rules(ctx)
	if err != nil {
		return GateSummary{}, err
	}
	ids := o.IDs
	if o.Blocked {
		var rows []indexRow
		err := p.view(ctx, func(x *index.Reader) (err error) {
			rows, err = x.List(index.JobFilter{Status: []job.Status{job.StatusQuarantined}})
			return err
		})
		if err != nil {
			return GateSummary{}, err
		}
		for _, row := range rows {
			ids = append(ids, row.ID)
		}
	}
	return p.gateAllStored(ctx, r, ids, emit)
}

// outcomeOf tells what became of a candidate.
func (p *Pipeline) outcomeOf(row indexRow, c *candidate, repeat bool) outcome {
	o := outcome{id: row.ID, row: row, repeat: repeat}
	rep := c.report
	if repeat {
		rep, _ = p.loadReport(row) // what is missing there is said by ledger verify
	}
	o.line = gateLine(row, rep)
	if !repeat {
		o.job = newJob(c.storedIntake, c.proposal, row)
		fillState(&o.job, row)
		o.job.GateDecisions = rep.Gates
	}
	return o
}

func gateLine(row indexRow, rep job.Report) GateLine {
	reports := rep.Gates
	if reports == nil {
		reports = []job.GateReport{}
	}
	return GateLine{JobID: row.ID, Status: string(row.Status), Verdict: string(row.Verdict),
		NextAction: string(row.NextAction), Zone: row.Zone, Reports: reports}
}

// DryRun judges proposals without a workspace being touched. Without one the rules are those that init would write.
func DryRun(ctx context.Context, ws *workspace.Workspace, drafts []Draft, source string, o Options) ([]GateLine, error) {
	r, err := dryRules(ctx, ws)
	if err != nil {
		return nil, err
	}
	now := o.Now
	if now == nil {
		now = timeNow
	}
	own, err := localCapabilities(r)
	if err != nil {
		return nil, err
	}
	var lines []GateLine
	for _, d := range drafts {
		prov := job.Provenance{Zone: job.ZoneInbox, Source: source, File: workspace.EscapeName(d.Name), OwnerUID: -1}
		lim := r.ParseLimits()
		var c *candidate
		if n := len(d.Data); d.More || n > lim.Bytes {
			c = tooLarge(prov, job.FormatTime(now()), schemas.Digest(d.Data), int64(n), fmt.Sprintf("it has more than the %d bytes that a proposal may have", lim.Bytes))
		} else {
			c = newCandidate(d.Data, prov, job.FormatTime(now()), lim)
		}
		if d.Signature != nil {
			c.signature = &gates.Signature{Armored: d.Signature, Message: d.Data}
		}
		if err := c.judge(ctx, r, gates.Facts{Hosts: [][]string{own}}); err != nil {
			return nil, err
		}
		status := job.StatusPending
		if !c.report.Approved() {
			status = job.StatusQuarantined
		}
		lines = append(lines, GateLine{JobID: c.intake.JobID, Status: string(status), Verdict: string(c.report.Verdict),
			NextAction: string(c.report.NextAction), Zone: "inbox", Reports: c.report.Gates})
	}
	return lines, nil
}

// configured records which rules are in force, when they are others than the ledger says.
func (b *batch) configured(r *rules.Rules) error {
	if b.p.configured == r.Digest {
		return nil
	}
	digest, err := loadedRules(b.tx.Reader)
	if err != nil {
		return err
	}
	b.after = append(b.after, func() { b.p.configured = r.Digest; b.p.shareKinds(r) })
	if digest == r.Digest {
		return nil
	}
	refs, err := b.store(r.Document)
	if err != nil {
		return err
	}
	b.remember(refs[0].SHA256, r.Document)
	b.workspaceEvent("config", job.ConfigLoaded, ledger.Configured{Located: located(refs[0]), Rules: r.Digest, Commit: r.Commit()}, &refs[0])
	return b.localHost(r)
}

// offering records what this host offers, when that is no longer what the ledger says under the same rules: another
// kernel, another container. Only a process that is about to run jobs looks, once.
func (b *batch) offering(r *rules.Rules) error {
	if b.p.offering == r.Digest {
		return nil
	}
	known, err := b.tx.Hosts()
	if err != nil {
		return err
	}
	now, err := localCapabilities(r)
	if err != nil {
		return err
	}
	now = hosts.LocalHost(LocalHost, r.Config.Host.MaxConcurrent, now).Capabilities
	b.after = append(b.after, func() { b.p.offering = r.Digest })
	for _, h := range known {
		if h.ID == LocalHost && slices.Equal(h.Capabilities, now) {
			return nil
		}
	}
	return b.localHost(r)
}

// loadedRules is the digest of the rules that the ledger names as those in force, "" where it names none.
func loadedRules(r known) (digest string, err error) {
	err = r.Events(index.EventFilter{Event: string(job.ConfigLoaded), Reverse: true, Limit: 1}, func(ev ledger.Event) error {
		digest = ev.ArtifactSHA256
		return nil
	})
	return digest, err
}

// announce tells the ledger of rules that have changed where jobs are throttled: under those they may not be any more, and
// until then nothing else is a reason to look at them.
func (p *Pipeline) announce(ctx context.Context, r *rules.Rules) error {
	changed := false
	err := p.view(ctx, func(x *index.Reader) error {
		buckets, err := x.ThrottledBuckets()
		if err != nil || len(buckets) == 0 {
			return err
		}
		digest, err := loadedRules(x)
		changed = digest != r.Digest
		return err
	})
	if err != nil || !changed {
		return err
	}
	return p.transact(ctx, func(b *batch) error { return b.configured(r) })
}
