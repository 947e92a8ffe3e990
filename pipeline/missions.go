package pipeline

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/sheratan/sheratan/gates/secrets"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/pipeline/mission"
	"github.com/sheratan/sheratan/runtime/index"
	"github.com/sheratan/sheratan/runtime/ledger"
	"github.com/sheratan/sheratan/schemas"
)

// SubmitMission records a run of a mission and puts its proposals into the inbox, as Submit does with any: each of them passes
// the gates. file names the mission in messages. What an earlier call began and did not finish is finished; emit is called for
// each proposal that is put there now.
func (p *Pipeline) SubmitMission(ctx context.Context, file string, run *mission.Run, emit func(Submitted) error) error {
	doc, err := schemas.Marshal(run)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if len(secrets.Find(doc)) > 0 {
		return &InputError{File: file, Message: "mission or parameters have a credential in them, and it would stay in the history",
			Way: "remove it, and revoke it if it is real; a job reads secrets from files or its environment"}
	}
	var known bool
	var left []int
	err = p.view(ctx, func(r *index.Reader) (err error) {
		known, left, err = submittable(r, file, run, doc)
		return err
	})
	if err != nil {
		return err
	}
	if !known {
		if err := p.recordMission(ctx, file, run, doc); err != nil {
			return err
		}
	}
	var drafts []Draft
	for _, i := range left {
		drafts = append(drafts, Draft{Name: file, Data: run.Proposals[i]})
	}
	if len(drafts) == 0 {
		p.note("%s: all jobs of mission %s have been proposed", file, run.ID)
		return nil
	}
	done, err := p.Submit(ctx, run.Source, drafts)
	for _, s := range done {
		if err := emit(s); err != nil {
			return err
		}
	}
	return err
}

// GoalRun makes the run of a mission for whose goal a model plans; SubmitMission submits it. Without a model it is the one that jobs
// may ask, where there is one.
func (p *Pipeline) GoalRun(ctx context.Context, g mission.Goal, name, source string, budget mission.Budget) (*mission.Run, error) {
	r, err := p.Rules(ctx)
	if err != nil {
		return nil, err
	}
	if models := r.Config.Gates.Models; g.Model == "" && len(models) == 1 {
		g.Model = models[0]
	} else if g.Model == "" {
		return nil, &InputError{File: p.ws.Rel(p.ws.Config()), Pointer: "/gates/models", Message: fmt.Sprintf("has %d models that jobs may ask", len(models)),
			Way: "sheratan mission submit --goal TEXT --model NAME says which one plans"}
	}
	return mission.NewGoal(g, name, source, r.Guide(), budget)
}

// submittable says whether a run is in the ledger already, and which of its tasks have no job. A run of the same id with another
// content is refused, and so are jobs under its ids that are not its own.
func submittable(r *index.Reader, file string, run *mission.Run, doc []byte) (known bool, left []int, err error) {
	m, known, err := r.Mission(run.ID)
	if err != nil {
		return false, nil, err
	}
	if known && m.Document.SHA256 != schemas.Digest(doc) {
		return false, nil, &InputError{File: file, Pointer: "/id", Message: fmt.Sprintf("mission %s was submitted before, with another content, "+
			"other parameters or another source", run.ID), Way: "sheratan mission submit --run NAME gives this one an id of its own"}
	}
	for i, t := range run.Tasks {
		row, exists, err := r.Job(t.JobID)
		switch {
		case err != nil:
			return false, nil, err
		case exists && row.MemberOf != run.ID:
			return false, nil, &InputError{File: file, Pointer: "/id", Message: fmt.Sprintf("job %s exists already and is none of this mission", t.JobID),
				Way: "sheratan mission submit --run NAME gives this one ids of its own"}
		case !exists && t.ProposalSHA256 != "":
			left = append(left, i)
		}
		if owner, _, _, taken, err := r.TaskOf(t.JobID); err != nil {
			return false, nil, err
		} else if taken && owner != run.ID {
			return false, nil, &InputError{File: file, Pointer: "/id", Message: fmt.Sprintf("job %s belongs to mission %s", t.JobID, owner),
				Way: "sheratan mission submit --run NAME gives this one ids of its own"}
		}
	}
	return known, left, nil
}

// recordMission writes MISSION_SUBMITTED. It comes before the proposals: these count as jobs of the mission because the ledger
// names them.
func (p *Pipeline) recordMission(ctx context.Context, file string, run *mission.Run, doc []byte) error {
	refs, err := p.docs.Append([][]byte{doc})
	if err != nil {
		return err
	}
	return p.transact(ctx, func(b *batch) error {
		known, _, err := submittable(b.tx.Reader, file, run, doc)
		if err != nil || known {
			return err
		}
		b.remember(refs[0].SHA256, doc)
		b.workspaceEvent(p.opts.Actor, job.MissionSubmitted,
			ledger.MissionSubmitted{Located: located(refs[0]), Mission: run.ID, Tasks: len(run.Tasks)}, &refs[0])
		return b.failed
	})
}

// stampMission notes in the provenance of a proposal that it is one of the jobs that a mission was submitted with: the ledger
// names its id, its source and its digest. A proposal that only claims to belong to the mission has another.
func stampMission(k known, c *candidate) error {
	id := c.proposal.MissionID
	if id == "" || c.intake.Proposal == nil || c.intake.Provenance.MissionID != "" || !job.ValidID(c.proposal.ID) {
		return nil
	}
	name, source, digest, found, err := k.TaskOf(c.proposal.ID)
	if err == nil && found && name == id && source == c.intake.Provenance.Source && digest == schemas.Digest(c.intake.Proposal) {
		c.intake.Provenance.MissionID = name
	}
	return err
}

// CancelMission ends all jobs of a mission that are not over, and lets none begin that arrives later.
func (p *Pipeline) CancelMission(ctx context.Context, id, reason string, emit func(JobLine) error) error {
	reason, _ = redactText(reason)
	err := p.turnMission(ctx, id, job.MissionCancelled, reason, func(m MissionLine) error {
		if m.State == MissionRunning || m.State == MissionBlocked {
			return nil
		}
		return &StateError{ID: id, Status: m.State, Want: "there is nothing to cancel", Way: "sheratan mission show " + id}
	})
	if err != nil {
		return err
	}
	return p.Cancel(ctx, Selection{Member: id}, reason, emit)
}

// RetryMission takes a mission up again from where it failed: its failed, skipped and cancelled jobs wait for their turn again,
// and the budget counts anew.
func (p *Pipeline) RetryMission(ctx context.Context, id string, emit func(JobLine) error) error {
	err := p.turnMission(ctx, id, job.MissionRetried, "", func(m MissionLine) error {
		if m.Failed+m.Cancelled > 0 {
			return nil
		}
		return &StateError{ID: id, Status: m.State, Want: "no job of it has failed or was cancelled", Way: "sheratan mission show " + id}
	})
	if err != nil {
		return err
	}
	return p.Retry(ctx, Selection{Member: id}, emit)
}

// turnMission records an event about a mission, if check has nothing against it.
func (p *Pipeline) turnMission(ctx context.Context, id string, event job.EventName, reason string, check func(MissionLine) error) error {
	return p.transact(ctx, func(b *batch) error {
		line, err := p.missionLine(b.tx.Reader, id, false)
		if err == nil {
			err = check(line)
		}
		if err != nil {
			return err
		}
		b.workspaceEvent(p.opts.Actor, event, ledger.MissionTurned{Mission: id, Reason: shorten(reason)}, nil)
		return b.failed
	})
}

// loadRun reads the document of a mission.
func (p *Pipeline) loadRun(m index.Mission) (mission.Run, error) {
	var run mission.Run
	doc, err := p.docs.Read(m.Document)
	if err == nil {
		err = json.Unmarshal(doc, &run)
	}
	if err != nil {
		return run, fmt.Errorf("mission %s: %w", m.ID, err)
	}
	return run, nil
}
