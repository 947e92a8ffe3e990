package pipeline

import (
	"context"
	"fmt"

	"github.com/sheratan/sheratan/gates"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/pipeline/rules"
)

// resolve finds the program of a command line, if the rules still allow that; with the name of a kind of the operator's own it
// is the program of that. The file must be the one that was there when the rules were loaded, or for a program in a root, when
// the job was approved.
func resolve(r *rules.Rules, j job.Job, kindName string, argv []string) (path, sha256 string, err error) {
	if kindName != "" {
		own, ok := r.Gates.KindProgram(kindName)
		if !ok || own.Real == "" {
			return "", "", fmt.Errorf("%s: the program of the kind %s is not on this machine", argv[0], kindName)
		}
		return own.Real, own.SHA256, r.SameProgram(own.Real, own.SHA256)
	}
	d := r.Gates.Exec(argv)
	if d.Decision != gates.DecisionAllow && d.Decision != gates.DecisionAsk || d.Program == "" {
		return "", "", fmt.Errorf("%s: no exec rule allows this command line", argv[0])
	}
	if !d.InRoot {
		return d.Program, d.SHA256, r.SameProgram(d.Program, d.SHA256)
	}
	return d.Program, d.SHA256, sameProgram(j.GateDecisions, d.Program, d.SHA256)
}

// sameProgram compares a program in a root with what the gates said of it.
func sameProgram(list []job.GateReport, path, sha256 string) error {
	was := programOf(list)
	if !was.inRoot || was.path != path || was.sha256 != sha256 {
		return &rules.ProgramChangedError{Path: path, Want: was.sha256, Have: sha256, Approved: true}
	}
	return nil
}

// bindProgram gives a job whose program lies in a root the reports of the gates that allowed it, by which resolve knows that the
// file is still the same. Other jobs do not need them. The command line of a job with waivers is not known here.
func (p *Pipeline) bindProgram(ctx context.Context, a *attempt, row indexRow) error {
	r, err := p.Rules(ctx)
	if err != nil || !r.Gates.InRoots() {
		return err
	}
	argv, ok := argvOf(a.job.Payload)
	if !ok || len(a.waivers) == 0 && !r.Gates.Exec(argv).InRoot {
		return nil
	}
	rep, err := p.loadReport(row)
	a.job.GateDecisions = rep.Gates
	return err
}

// gatedProgram is what the gates said of the program of a job.
type gatedProgram struct {
	path, sha256 string
	inRoot       bool
}

func programOf(list []job.GateReport) (found gatedProgram) {
	for _, g := range list {
		if g.GateID != "G3" {
			continue
		}
		found.path, _ = g.Evidence["program"].(string)
		found.sha256, _ = g.Evidence["program_sha256"].(string)
		found.inRoot, _ = g.Evidence["program_in_root"].(bool)
	}
	return found
}

// programChanged reports whether a program in a root that a job was approved with is another one by now.
func (p *Pipeline) programChanged(row indexRow, now job.Report) (error, error) {
	program := programOf(now.Gates)
	if !program.inRoot {
		return nil, nil
	}
	was, err := p.loadReport(row)
	if err != nil {
		return nil, err
	}
	return sameProgram(was.Gates, program.path, program.sha256), nil
}
