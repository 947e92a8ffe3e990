package pipeline

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/history"
	"github.com/sheratan/sheratan/runtime/index"
	"github.com/sheratan/sheratan/runtime/workspace"
)

// DoctorMachine looks at what this machine offers, and at the file system of dir, where a workspace may be made.
func DoctorMachine(ctx context.Context, dir string) []workspace.Check {
	return append(workspace.ProbeMachine(ctx, dir, workspace.ProbeOptions{Now: timeNow()}), sandboxChecks(nil)...)
}

// Doctor looks at the machine and at the workspace. What is wrong is in the checks, each with the way out.
func (p *Pipeline) Doctor(ctx context.Context) ([]workspace.Check, error) {
	var checks []workspace.Check
	last, known, err := p.lookForDoctor(ctx)
	if err != nil {
		checks = append(checks, workspace.Check{Name: "ledger", Status: workspace.HealthBad, Detail: err.Error(), Fix: "sheratan ledger verify"})
	} else {
		checks = append(checks, workspace.Check{Name: "ledger", Status: workspace.HealthOK, Detail: "the index and the end of the ledger agree"})
	}
	checks = append(checks, p.ws.Probe(ctx, workspace.ProbeOptions{Now: p.opts.Now(), LastEvent: last, Known: known})...)
	r, err := p.Rules(ctx)
	checks = append(checks, sandboxChecks(r)...)
	if r != nil {
		checks = append(checks, specialChecks(r)...)
		checks = append(checks, userCheck(r)...)
	}
	if err != nil {
		checks = append(checks, workspace.Check{Name: "config", Status: workspace.HealthBad, Detail: err.Error(), Fix: "sheratan config check"})
	} else {
		missing := []string{}
		for _, prog := range r.Gates.Programs() {
			if prog.Real == "" {
				missing = append(missing, prog.Name)
			}
		}
		check := workspace.Check{Name: "config", Status: workspace.HealthOK, Detail: "rules " + r.Digest[:12]}
		if len(missing) > 0 {
			check.Status, check.Fix = workspace.HealthWarn, "install them, or remove their rules from config/sheratan.json"
			check.Detail += "; not on this machine: " + strings.Join(missing, ", ")
		}
		for _, text := range r.Elsewhere() {
			checks = append(checks, workspace.Check{Name: "place", Status: workspace.HealthWarn, Detail: text, Fix: "edit config/sheratan.json"})
		}
		checks = append(checks, check)
	}
	return append(checks, p.doctorHistory()), nil
}

// lookForDoctor reads the time of the last event, and prepares the question whether a file in the queue is a job's.
func (p *Pipeline) lookForDoctor(ctx context.Context) (last time.Time, known func(id string) bool, err error) {
	err = p.view(ctx, func(r *index.Reader) error {
		pos, err := r.Position()
		if err != nil || pos.Size == 0 {
			return err
		}
		ev, _, err := r.Event(pos.Size - 1)
		if err != nil {
			return err
		}
		last, err = job.ParseTime(ev.Timestamp)
		return err
	})
	if err != nil {
		return last, nil, err
	}
	return last, func(id string) bool {
		row, ok, err := p.find(ctx, id)
		return err != nil || ok && row.Zone == "approved"
	}, nil
}

func (p *Pipeline) doctorHistory() workspace.Check {
	c := workspace.Check{Name: "history", Status: workspace.HealthOK}
	repo, err := p.repository()
	if err == nil {
		var head history.Entry
		if head, err = repo.Head(); err == nil {
			c.Detail = fmt.Sprintf("%d events are committed, the last time at %s", head.LedgerSize, job.FormatTime(head.Time))
			return c
		}
	}
	c.Status, c.Detail, c.Fix = workspace.HealthWarn, err.Error(), "the next command that writes begins the history again: sheratan tick"
	if errors.Is(err, history.ErrNoCommits) {
		c.Status, c.Detail, c.Fix = workspace.HealthOK, "nothing is committed yet", ""
	}
	return c
}
