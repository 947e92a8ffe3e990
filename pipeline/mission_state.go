package pipeline

import (
	"context"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/pipeline/mission"
	"github.com/sheratan/sheratan/runtime/index"
)

// The states of a mission.
const (
	MissionRunning   = "running"   // something of it runs or can go on
	MissionBlocked   = "blocked"   // nothing can go on before a person decides, retries or revises
	MissionCompleted = "completed" // all tasks did
	MissionFailed    = "failed"    // it is over, and a task failed
	MissionCancelled = "cancelled" // it is over, and a task was cancelled or skipped
)

// MissionUsage is what the jobs of a mission used, or may use.
type MissionUsage struct {
	Jobs    int     `json:"jobs"`
	Retries int     `json:"retries"`
	Seconds float64 `json:"seconds"`
}

// MissionLine says how far a mission has come. Tasks are counted by the state of their jobs; a revision is the job of the task
// then.
type MissionLine struct {
	MissionID     string       `json:"mission_id"`
	Title         string       `json:"title"`
	State         string       `json:"state"`
	Source        string       `json:"source"`
	SubmittedAt   string       `json:"submitted_at"`
	Tasks         int          `json:"tasks"`
	Completed     int          `json:"completed"`
	Failed        int          `json:"failed"`
	Cancelled     int          `json:"cancelled"`
	Quarantined   int          `json:"quarantined"`
	Running       int          `json:"running"`
	Waiting       int          `json:"waiting"` // not over, not blocked and not running, in the inbox too
	MaxConcurrent int          `json:"max_concurrent"`
	Budget        MissionUsage `json:"budget"`
	Used          MissionUsage `json:"used"`
	Goal          *GoalLine    `json:"goal,omitempty"`
	TaskList      []TaskLine   `json:"task_list,omitempty"`
}

// GoalLine is the goal of a mission for which a model plans.
type GoalLine struct {
	mission.Goal
	Plans  int    `json:"plans"`            // that were asked for
	Reason string `json:"reason,omitempty"` // why no plan follows any more
}

// TaskLine is a task of a mission with the state of its job, or a job that came out of one of its jobs.
type TaskLine struct {
	TaskID    string   `json:"task_id"`
	Title     string   `json:"title"`
	JobID     string   `json:"job_id"`
	Status    string   `json:"status"` // of the job; inbox where it was not received yet
	DependsOn []string `json:"depends_on"`
	Parent    string   `json:"parent,omitempty"` // id of the task out of whose job it came
	Attempt   int      `json:"attempt"`
	Error     string   `json:"error"`
	StartedAt string   `json:"started_at"`
	EndedAt   string   `json:"ended_at"`
}

// statusInbox is the status of a task whose proposal was not received yet.
const statusInbox = "inbox"

// Missions calls emit with the newest missions, the newest last; 0 is all.
func (p *Pipeline) Missions(ctx context.Context, limit int, emit func(MissionLine) error) error {
	var lines []MissionLine
	err := p.view(ctx, func(r *index.Reader) error {
		lines = nil
		list, err := r.Missions(limit)
		for i := len(list) - 1; i >= 0 && err == nil; i-- {
			m := list[i]
			line := lineOf(m)
			// The counts tell all of a mission that is over; of others it matters who waits for whom.
			if line.Waiting > 0 || line.Running > 0 || line.Quarantined > 0 || m.Goal == index.GoalOpen {
				line, err = p.missionLine(r, m.ID, false)
			}
			lines = append(lines, line)
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, line := range lines {
		if err := emit(line); err != nil {
			return err
		}
	}
	return nil
}

// Mission tells how far a mission and each of its tasks have come.
func (p *Pipeline) Mission(ctx context.Context, id string) (line MissionLine, err error) {
	err = p.view(ctx, func(r *index.Reader) (err error) {
		line, err = p.missionLine(r, id, true)
		return err
	})
	return line, err
}

// WaitMission waits until a mission is over or nothing of it can go on, and returns how it ended.
func (p *Pipeline) WaitMission(ctx context.Context, id string, o WaitOptions, progress func(MissionLine)) (MissionLine, error) {
	deadline := time.Time{}
	if o.Timeout > 0 {
		deadline = p.opts.Now().Add(o.Timeout)
	}
	for {
		if o.Drive {
			if err := p.Tick(ctx, TickOptions{Linger: waitEvery, Settle: true}, nil); err != nil {
				return MissionLine{}, err
			}
		}
		line, err := p.Mission(ctx, id)
		if err != nil || line.State != MissionRunning {
			return line, err
		}
		progress(line)
		if !deadline.IsZero() && !p.opts.Now().Before(deadline) {
			return line, ErrWaitTimeout
		}
		select {
		case <-ctx.Done():
			return line, context.Cause(ctx)
		case <-time.After(waitEvery):
		}
	}
}

func lineOf(m index.Mission) MissionLine {
	line := MissionLine{MissionID: m.ID, Title: m.Title, Source: m.Source, SubmittedAt: stampOf(m.SubmittedAt), Tasks: m.Tasks + m.FollowUps,
		Completed: m.Status[job.StatusCompleted], Failed: m.Status[job.StatusFailed], Cancelled: m.Status[job.StatusCancelled],
		Quarantined: m.Status[job.StatusQuarantined], Running: m.Status[job.StatusRunning], MaxConcurrent: m.MaxConcurrent,
		Budget: usageOf(m.Budget), Used: usageOf(m.Used)}
	if known := 0; m.Goal != index.GoalNone {
		for _, n := range m.Status {
			known += n
		}
		line.Tasks = max(m.Tasks, known) // the plans after the first one are nobody's tasks before they are made
	}
	line.Waiting = line.Tasks - line.Completed - line.Failed - line.Cancelled - line.Quarantined - line.Running
	line.State = line.outcome()
	switch {
	case m.Goal == index.GoalReached:
		line.State = MissionCompleted
	case m.Goal == index.GoalGivenUp && m.Cancelled:
		line.State = MissionCancelled
	case m.Goal == index.GoalGivenUp:
		line.State = MissionFailed
	}
	return line
}

func usageOf(u index.Usage) MissionUsage {
	return MissionUsage{Jobs: u.Jobs, Retries: u.Retries, Seconds: u.Time.Seconds()}
}

// outcome is the state of a mission of which nothing can go on by itself, going by its counts.
func (l *MissionLine) outcome() string {
	switch {
	case l.Waiting+l.Quarantined+l.Running > 0:
		return MissionBlocked
	case l.Failed > 0:
		return MissionFailed
	case l.Cancelled > 0:
		return MissionCancelled
	}
	return MissionCompleted
}

// missionLine looks at each job of a mission.
func (p *Pipeline) missionLine(r *index.Reader, id string, tasks bool) (MissionLine, error) {
	m, ok, err := r.Mission(id)
	if err != nil {
		return MissionLine{}, err
	}
	if !ok {
		return MissionLine{}, unknownMission(id)
	}
	s, err := p.standingOf(r, m)
	if err != nil {
		return MissionLine{}, err
	}
	line := lineOf(m)
	if s.run.Goal != nil {
		line.Goal = &GoalLine{Goal: *s.run.Goal, Plans: s.plans, Reason: m.GoalReason}
	}
	switch {
	case s.goesOn, m.Goal == index.GoalOpen && s.settled():
		line.State = MissionRunning
	case m.Goal == index.GoalOpen:
		line.State = MissionBlocked
	}
	if tasks {
		for i := range s.members {
			line.TaskList = append(line.TaskList, s.members[i].TaskLine)
		}
	}
	return line, nil
}

// lastRevision returns the job that stands for one that may have been revised.
func lastRevision(r *index.Reader, id string) (index.Row, bool, error) {
	for n := 0; ; n++ {
		row, ok, err := r.Job(id)
		if err != nil || !ok || row.RevisedBy == "" || n == joinedLimit {
			return row, ok, err
		}
		id = row.RevisedBy
	}
}

func unknownMission(id string) error {
	return &InputError{File: id, Message: "no such mission", Way: "sheratan mission list"}
}
