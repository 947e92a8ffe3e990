package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/pipeline/kind"
	"github.com/sheratan/sheratan/pipeline/rules"
	"github.com/sheratan/sheratan/runtime/index"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// Decision is what an operator says.
type Decision struct {
	Reason string
	TTY    bool // confirmed on a terminal
}

// Review is a blocked job as an operator gets to see it. Approve takes it back and refuses if anything has changed.
type Review struct {
	Job            job.Job
	Proposal       []byte // as it was received, indented, without credentials; empty where it could not be parsed
	Report         job.Report
	DocumentSHA256 string
	Overridable    bool
	Unknown        bool         // blocked because the outcome of an attempt is not known
	Places         []kind.Place // the files and folders that it names, by their absolute paths
	Findings       []Waivable   // what the gates refuse and an operator could waive, or why not
	Waives         []Waivable   // what of that is to be waived
	Gone           error        // why there are none: the original of the proposal is not there

	waiving *waiving
}

// Pending returns the blocked jobs for review.
func (p *Pipeline) Pending(ctx context.Context, ids []string) ([]Review, error) {
	r, err := p.Rules(ctx)
	if err != nil {
		return nil, err
	}
	var list []Review
	for _, id := range ids {
		row, err := p.row(ctx, id)
		if err != nil {
			return nil, err
		}
		if row.Status != job.StatusQuarantined {
			return nil, &StateError{ID: id, Status: string(row.Status), Want: "only blocked jobs wait for a decision", Way: "sheratan why " + id}
		}
		j, err := p.assemble(row)
		if err != nil {
			return nil, err
		}
		var rep job.Report
		var findings []Waivable
		var gone error
		err = p.view(ctx, func(x *index.Reader) (err error) {
			if rep, _, err = p.regate(ctx, x, r, row); err == nil {
				findings, gone, err = p.findings(x, row)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		c, err := p.stored(row)
		if err != nil {
			return nil, err
		}
		var proposal []byte
		if c.value != nil {
			if proposal, err = indented(c.value); err != nil {
				return nil, err
			}
		}
		list = append(list, Review{Job: j, Proposal: proposal, Report: rep, DocumentSHA256: row.Intake.SHA256,
			Overridable: rep.Approved() || rep.Overridable(), Unknown: row.ErrorCode == codeOutcomeUnknown,
			Places: places(r, c.value), Findings: findings, Gone: gone})
	}
	return list, nil
}

// places lists where a job would work: each path of its params, and the folder of a program, as absolute paths. The same
// proposal works elsewhere in a workspace that was copied.
func places(r *rules.Rules, proposal any) []kind.Place {
	object, _ := proposal.(map[string]any)
	payload, _ := object["payload"].(map[string]any)
	params, _ := payload["params"].(map[string]any)
	name, _ := payload["kind"].(string)
	k, ok := r.Gates.Kind(name)
	if !ok || params == nil {
		return nil
	}
	root := r.Roots.Paths()[0]
	list := k.Places(params)
	inFolder := k.Effect != kind.EffectProcess
	for i, p := range list {
		inFolder = inFolder || k.RunsIn(p.Pointer)
		if !filepath.IsAbs(p.Path) {
			list[i].Path = filepath.Join(root, p.Path)
		}
	}
	if !inFolder {
		list = append(list, kind.Place{Pointer: "its folder", Path: root})
	}
	return list
}

// codeOutcomeUnknown is the error code of a job whose runner died while it ran.
const codeOutcomeUnknown = "OUTCOME_UNKNOWN"

// ScriptsMayDecide reports whether the config lets a decision be made without a terminal.
func (p *Pipeline) ScriptsMayDecide(ctx context.Context) (bool, error) {
	r, err := p.Rules(ctx)
	if err != nil {
		return false, err
	}
	return r.Config.Operators.Scripts, nil
}

// Approve allows blocked jobs, for exactly the bytes that were reviewed, once. The gates run again first: what has a hard
// reason now cannot be allowed.
func (p *Pipeline) Approve(ctx context.Context, reviews []Review, d Decision, emit func(GateLine) error) error {
	r, err := p.Rules(ctx)
	if err != nil {
		return err
	}
	for _, review := range reviews {
		id, w := review.Job.ID, review.waiving
		if w != nil {
			if strings.TrimSpace(d.Reason) == "" {
				return &WaiverError{id, "a waiver needs a reason", nil}
			}
			if err := review.Unread(); err != nil && !d.TTY {
				return err
			}
		}
		var line GateLine
		err := p.transact(ctx, func(b *batch) error {
			if err := b.configured(r); err != nil {
				return err
			}
			row, err := b.blocked(id)
			if err != nil {
				return err
			}
			if row.Intake.SHA256 != review.DocumentSHA256 {
				return &StateError{ID: id, Status: "another document", Want: "the one that was reviewed is gone", Way: "sheratan why " + id}
			}
			c, err := p.gateableWith(b.tx, row, w)
			if err != nil {
				return err
			}
			rep, doc, err := p.regateAs(ctx, b.tx, r, row, c)
			if err != nil {
				return err
			}
			if !rep.Approved() && !rep.Overridable() {
				return hardError(id, rep)
			}
			refs, err := b.store(doc)
			if err != nil {
				return err
			}
			actor, d := p.opts.Actor, d
			if w != nil {
				if err := p.keepSalt(id, w); err != nil {
					return err
				}
				d = b.waived(row, c, w, d)
			}
			b.jobEvent(actor, job.GatesReported, id, row.TraceID, row.Zone, gated(rep, refs[0]), &refs[0])
			b.jobEvent(actor, job.OperatorApproved, id, row.TraceID, row.Zone, ledger.Decided{
				Document: row.Intake.SHA256, Report: refs[0].SHA256, Reason: d.text(), TTY: d.TTY}, nil)
			if err := b.approveStored(r, row, "operator"); err != nil {
				return err
			}
			row, _, err = b.tx.Job(id)
			line = gateLine(row, rep)
			return err
		})
		if err != nil {
			return err
		}
		p.placeAll([]string{id})
		p.projected()
		if err := emit(line); err != nil {
			return err
		}
	}
	return nil
}

// text is the reason as far as an event can carry it, without credentials.
func (d Decision) text() string {
	s, _ := redactText(d.Reason)
	return shorten(s)
}

// hardError says that nobody may allow a job, and what would help.
func hardError(id string, rep job.Report) error {
	code := firstCode(rep)
	for _, g := range rep.Gates {
		for _, reason := range g.Reasons {
			if reason.Level == job.Hard {
				return &StateError{ID: id, Status: "blocked for " + reason.Code, Want: "no operator may allow that: " + reason.Message, Way: "sheratan why " + id}
			}
		}
	}
	return &StateError{ID: id, Status: "blocked for " + code, Want: "no operator may allow that", Way: "sheratan why " + id}
}

// blocked reads a job that has to be blocked.
func (b *batch) blocked(id string) (indexRow, error) {
	row, ok, err := b.tx.Job(id)
	if err != nil {
		return row, err
	}
	if !ok {
		return row, &UnknownJobError{id}
	}
	if row.Status != job.StatusQuarantined {
		return row, &StateError{ID: id, Status: string(row.Status), Want: "only blocked jobs wait for a decision", Way: "sheratan why " + id}
	}
	return row, nil
}

// Reject cancels blocked jobs with the error REJECTED.
func (p *Pipeline) Reject(ctx context.Context, ids []string, d Decision, emit func(GateLine) error) error {
	for _, id := range ids {
		var row indexRow
		var joined []string
		err := p.transact(ctx, func(b *batch) error {
			var err error
			if row, err = b.blocked(id); err != nil {
				return err
			}
			b.jobEvent(p.opts.Actor, job.OperatorRejected, id, row.TraceID, "outbox", ledger.Decided{
				Document: row.Intake.SHA256, Report: row.Report.SHA256, Reason: d.text(), TTY: d.TTY}, nil)
			if joined, err = b.endAllJoined(id); err != nil {
				return err
			}
			row, _, err = b.tx.Job(id)
			return err
		})
		if err != nil {
			return err
		}
		p.placeAll(append(joined, id))
		p.projected()
		rep, err := p.loadReport(row)
		if err != nil && !p.missed(err) {
			return err
		}
		if err := emit(gateLine(row, rep)); err != nil {
			return err
		}
	}
	return nil
}

// Proposal returns the proposal of a job as it was received, indented, for an editor.
func (p *Pipeline) Proposal(ctx context.Context, id string) (json.RawMessage, error) {
	row, err := p.row(ctx, id)
	if err != nil {
		return nil, err
	}
	in, _, err := p.loadIntake(row)
	if err != nil {
		return nil, err
	}
	if in.Proposal == nil {
		raw, err := rawBytes(in)
		if err != nil || raw == nil {
			return nil, fmt.Errorf("%s: the bytes lie in %s", id, p.ws.Rel(p.ws.Blocked(id)))
		}
		return raw, nil
	}
	var v any
	if err := json.Unmarshal(in.Proposal, &v); err != nil {
		return nil, err
	}
	return json.MarshalIndent(v, "", "  ")
}
