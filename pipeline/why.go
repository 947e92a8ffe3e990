package pipeline

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/sheratan/sheratan/gates"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/index"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// Step is one line of the life of a job, with the event that proves it.
type Step struct {
	Seq   int64         `json:"seq"`
	Time  string        `json:"time"`
	Event job.EventName `json:"event"`
	Actor string        `json:"actor"`
	Text  string        `json:"text"`
}

// Why is the answer to: what became of this job, and on whose authority.
type Why struct {
	JobID    string    `json:"job_id"`
	Status   string    `json:"status"`
	WaitsFor []string  `json:"waits_for"`
	Steps    []Step    `json:"steps"`
	Attempts []Attempt `json:"attempts"` // those that are over, with their results
	Unblock  []string  `json:"unblock"`
	Opinions []Opinion `json:"opinions"`
	LedTo    []LedTo   `json:"led_to"` // jobs that came out of it

	Job    job.Job     `json:"-"`
	Report job.Report  `json:"-"`
	Result *job.Result `json:"-"`
	Gone   []string    `json:"-"` // paths of files of the result that were removed, relative to the workspace
	Path   string      `json:"-"` // of the job's file, relative to the workspace
}

// LedTo is a job that was proposed by another one.
type LedTo struct {
	JobID  string `json:"job_id"`
	Status string `json:"status"`
}

// whySteps bounds the steps; of a job with more, the first and the last are told.
const whySteps = 200

// Why tells the life of a job.
func (p *Pipeline) Why(ctx context.Context, id string) (Why, error) {
	w := Why{JobID: id, WaitsFor: []string{}, Unblock: []string{}, Steps: []Step{}, Attempts: []Attempt{}, LedTo: []LedTo{}}
	row, err := p.row(ctx, id)
	if err != nil {
		return w, err
	}
	if w.Job, err = p.assembleShown(ctx, row); err != nil {
		return w, err
	}
	w.Status = string(w.Job.Status)
	if w.Report, err = p.loadReport(row); err != nil && !p.missed(err) {
		return w, err
	}
	if res, ok, err := p.loadResult(row); err != nil && !p.missed(err) {
		return w, err
	} else if ok {
		w.Result = &res
		if w.Gone, err = p.goneOf(ctx, &res); err != nil {
			return w, err
		}
	}
	if w.Attempts, err = p.Attempts(ctx, id); err != nil {
		return w, err
	}
	if w.Opinions, err = p.Opinions(ctx, id); err != nil {
		return w, err
	}
	w.Path = p.ws.Rel(p.placeOf(row))
	waits, ledTo := w.WaitsFor, w.LedTo
	err = p.view(ctx, func(r *index.Reader) error {
		w.WaitsFor, w.LedTo = waits, ledTo
		var err error
		if w.Steps, err = p.steps(r, id); err != nil {
			return err
		}
		reasons, err := p.waits(r, row)
		if err != nil {
			return err
		}
		w.WaitsFor = append(w.WaitsFor, reasons...)
		children, err := p.followUpsOf(r, row)
		for _, c := range children {
			w.LedTo = append(w.LedTo, LedTo{c.ID, string(c.Status)})
		}
		return err
	})
	if err != nil {
		return w, err
	}
	w.Unblock = append(w.Unblock, p.unblock(row, w.Report)...)
	return w, nil
}

// goneOf returns the paths of those files of a result that were removed through the ledger.
func (p *Pipeline) goneOf(ctx context.Context, res *job.Result) (paths []string, err error) {
	err = p.view(ctx, func(r *index.Reader) error {
		paths = nil
		gone, err := removedOf(r, res.JobID)
		for _, f := range res.Files() {
			if has(gone, p.removedPath(f.Path)) {
				paths = append(paths, f.Path)
			}
		}
		return err
	})
	return paths, err
}

// steps reads the first and the last steps of a job, in order.
func (p *Pipeline) steps(r *index.Reader, id string) ([]Step, error) {
	first, last := []Step{}, []Step{}
	err := r.Events(index.EventFilter{Job: id, Limit: whySteps / 2}, func(ev ledger.Event) error {
		first = append(first, p.step(ev))
		return nil
	})
	if err != nil || len(first) < whySteps/2 {
		return first, err
	}
	end := first[len(first)-1].Seq
	err = r.Events(index.EventFilter{Job: id, Limit: whySteps / 2, Reverse: true}, func(ev ledger.Event) error {
		if ev.Seq > end {
			last = append(last, p.step(ev))
		}
		return nil
	})
	slices.Reverse(last)
	return append(first, last...), err
}

// placeOf is where the job's file lies.
func (p *Pipeline) placeOf(row indexRow) string {
	switch row.Zone {
	case "blocked":
		return p.ws.Blocked(row.ID)
	case "outbox":
		return p.ws.FindResult(row.ID, row.CompletedAt, ".json")
	default:
		return p.ws.Approved(row.ID)
	}
}

// waits says what a job waits for, nothing where it is over.
func (p *Pipeline) waits(r *index.Reader, row indexRow) ([]string, error) {
	var out []string
	switch row.Status {
	case job.StatusQuarantined:
		if row.ErrorCode == codeOutcomeUnknown {
			return []string{"an operator: nobody knows what attempt " + fmt.Sprint(row.Attempt) + " did"}, nil
		}
		if row.NextAction == job.Quarantine {
			return []string{"a change of the proposal or of the rules"}, nil
		}
		if row.NextAction == job.RequireLLM2 && p.hasAuditors() {
			return waitsForOpinion(r, row.ID)
		}
		return []string{"an operator's decision"}, nil
	case job.StatusThrottled:
		if row.LaneWaits {
			return []string{fmt.Sprintf("another job of %s with the concurrency key %s", row.Source, row.Lane)}, nil
		}
		return p.waitsForWindow(r, row)
	case job.StatusRunning:
		return []string{fmt.Sprintf("attempt %d on %s to end, at the latest about %s", row.Attempt, row.Host, stampOf(row.LeaseUntil))}, nil
	case job.StatusPending:
		held, err := r.Held()
		if err != nil {
			return nil, err
		}
		if held.Shown(&row) == job.StatusThrottled {
			return p.waitsForOthers(r, row)
		}
	default:
		return nil, nil
	}
	deps, err := r.DependsOn(row.ID)
	if err != nil {
		return nil, err
	}
	for _, d := range deps {
		if d.Status != job.StatusCompleted {
			out = append(out, "job "+dependencyName(d)+" ("+dependencyState(d, row)+")")
		}
	}
	if row.JoinedTo != "" {
		out = append(out, "job "+row.JoinedTo+", which holds the same idempotency key")
	}
	if row.WakeAt.After(p.now()) {
		out = append(out, "its backoff, until "+stampOf(row.WakeAt))
	}
	paused, err := r.Paused()
	if err != nil {
		return nil, err
	}
	for _, pause := range paused {
		if pause.Source == "" || pause.Source == row.Source {
			out = append(out, "resume: paused because "+pause.Reason)
		}
	}
	if len(out) == 0 && row.Leased() {
		out = append(out, "a free slot of host "+row.Host)
	}
	if len(out) == 0 && row.Ready {
		out = append(out, "its turn, and a free slot")
	}
	return out, nil
}

func dependencyName(d index.Dependency) string {
	if d.Follows == d.ID {
		return d.ID
	}
	return d.Follows + ", the revision of " + d.ID
}

// dependencyState says how far a dependency of row has come.
func dependencyState(d index.Dependency, row indexRow) string {
	state := "not known yet"
	if d.Exists {
		state = string(d.Status)
	}
	if row.OnDepFailure == job.OnFailureWait && (d.Status == job.StatusFailed || d.Status == job.StatusCancelled) {
		state += ", to be retried or revised"
	}
	return state
}

// hasAuditors reports whether there is anybody who can be asked for a second opinion.
func (p *Pipeline) hasAuditors() bool {
	r, err := p.Rules(context.Background())
	return err == nil && len(r.Config.Audit.Auditors) > 0
}

// waitsForOpinion says how far the search for a second opinion has come.
func waitsForOpinion(r *index.Reader, id string) ([]string, error) {
	a, _, err := r.Audit(id)
	switch {
	case err != nil:
		return nil, err
	case !a.AskedUntil.IsZero():
		return []string{"the answer of an auditor, until " + stampOf(a.AskedUntil) + " at most, or an operator's decision"}, nil
	case a.Due.IsZero():
		return []string{fmt.Sprintf("an operator's decision: %d attempts to get a second opinion have failed", a.Attempts)}, nil
	}
	return []string{"a second opinion, to be asked for at " + stampOf(a.Due) + " or later, or an operator's decision"}, nil
}

// waitReason is waits in one line.
func (p *Pipeline) waitReason(tx *index.Tx, row indexRow) (string, error) {
	list, err := p.waits(tx.Reader, row)
	if err != nil || len(list) == 0 {
		return "it is " + string(row.Status), err
	}
	return "waits for " + strings.Join(list, "; "), nil
}

// unblock lists the commands that could let a job go on.
func (p *Pipeline) unblock(row indexRow, rep job.Report) []string {
	switch row.Status {
	case job.StatusFailed, job.StatusCancelled:
		if row.RevisedBy != "" {
			return nil
		}
		if row.Error == errRejected || row.AcceptedAt.IsZero() {
			return []string{"sheratan revise " + row.ID}
		}
		return []string{"sheratan retry " + row.ID, "sheratan revise " + row.ID}
	case job.StatusQuarantined:
	default:
		return nil
	}
	if row.ErrorCode == codeOutcomeUnknown || rep.Overridable() {
		if row.NextAction == job.RequireLLM2 && p.hasAuditors() {
			return []string{"sheratan audit --replay " + row.ID, "sheratan approve " + row.ID, "sheratan reject " + row.ID, "sheratan revise " + row.ID}
		}
		return []string{"sheratan approve " + row.ID, "sheratan reject " + row.ID, "sheratan revise " + row.ID}
	}
	list := []string{}
	for _, g := range rep.Gates {
		for _, reason := range g.Reasons {
			if reason.Code == gates.CodeNoRule && len(list) == 0 {
				list = append(list, "sheratan policy suggest --write "+row.ID, "sheratan gate --blocked "+row.ID)
			}
		}
	}
	switch p.waivable(row, rep) {
	case 0:
	case 1:
		list = append(list, "sheratan approve "+row.ID+" --waive "+gates.CodeCredential+" --reason TEXT")
	default:
		list = append(list, "sheratan approve "+row.ID) // which lists them
	}
	return append(list, "sheratan revise "+row.ID, "sheratan reject "+row.ID)
}
