package index

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// Mission is a run of a mission, with what its jobs have used of it.
type Mission struct {
	ID            string
	Source        string
	Title         string
	SubmittedAt   time.Time
	Document      ledger.Ref
	Tasks         int // that it has; a revision is the job of the same task
	FollowUps     int // jobs that came out of its jobs
	Goal          Goal
	GoalReason    string // why nobody plans any more
	MaxConcurrent int    // 0 is unlimited, also in the budget
	Budget        Usage
	Used          Usage // since it was submitted, or retried as a whole
	Cancelled     bool

	Ready    int // jobs that may be claimed
	InFlight int // leased or running
	Status   map[job.Status]int
}

// Usage is what jobs used, or may use.
type Usage struct {
	Jobs    int // that were started
	Retries int
	Time    time.Duration // for which attempts ran
}

// Goal says how far a mission has come for which a model plans.
type Goal int

// The values of Goal.
const (
	GoalNone    Goal = iota // nobody plans for it
	GoalOpen                // another plan may follow
	GoalReached             // the model said so
	GoalGivenUp             // no plan follows
)

// Stop says which of the jobs of a mission that have not begun must not any more.
type Stop int

// The values of Stop.
const (
	StopNone Stop = iota
	StopNew       // those that had no attempt yet: the budget of jobs is used up
	StopAll       // all: the budget of seconds is used up, or the mission was cancelled
)

// Stopped says whether the mission lets jobs begin.
func (m *Mission) Stopped() Stop {
	switch {
	case m.Cancelled || m.Budget.Time > 0 && m.Used.Time >= m.Budget.Time:
		return StopAll
	case m.Budget.Jobs > 0 && m.Used.Jobs >= m.Budget.Jobs:
		return StopNew
	}
	return StopNone
}

// submitMission applies MISSION_SUBMITTED.
func (tx *Tx) submitMission(ev *ledger.Event, at time.Time, docs DocReader) error {
	var m ledger.MissionSubmitted
	if err := decode(ev, &m); err != nil {
		return err
	}
	var run struct {
		Source        string `json:"source"`
		Title         string `json:"title"`
		MaxConcurrent int    `json:"max_concurrent"`
		Budget        struct{ Jobs, Retries, Seconds int }
		Goal          *struct{}
		Tasks         []struct {
			ID             string `json:"id"`
			JobID          string `json:"job_id"`
			ProposalSHA256 string `json:"proposal_sha256"`
		} `json:"tasks"`
	}
	ref := artifact(ev, m.Located)
	doc, err := docs.Read(ref)
	if err == nil {
		err = json.Unmarshal(doc, &run)
	}
	if err == nil && !job.ValidID(m.Mission) {
		err = fmt.Errorf("%q is not an identifier", m.Mission)
	}
	if err == nil {
		var known bool
		if known, err = tx.c.one("SELECT 1 FROM missions WHERE id = ?", func(*stmt) error { return nil }, m.Mission); known {
			err = fmt.Errorf("there is one already")
		}
	}
	if err != nil {
		return eventError(ev, fmt.Errorf("mission %s: %w", m.Mission, err))
	}
	goal, tasks := GoalNone, 0
	if run.Goal != nil {
		goal = GoalOpen
	}
	for _, t := range run.Tasks {
		if t.ProposalSHA256 != "" { // without one, the id is kept for a plan that may follow
			tasks++
		}
	}
	err = tx.c.run(`INSERT INTO missions (id, seq, source, title, submitted_at, doc_path, doc_offset, doc_bytes, doc_sha256, tasks, goal,
    max_concurrent, budget_jobs, budget_retries, budget_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		m.Mission, ev.Seq, run.Source, run.Title, at, ref.Path, ref.Offset, ref.Bytes, ref.SHA256, tasks, int(goal), run.MaxConcurrent,
		run.Budget.Jobs, run.Budget.Retries, int64(run.Budget.Seconds)*1000)
	for i, t := range run.Tasks {
		if err == nil {
			err = tx.c.run("INSERT INTO mission_tasks (mission, place, task, job, proposal_sha256) VALUES (?, ?, ?, ?, ?)",
				m.Mission, i, t.ID, t.JobID, t.ProposalSHA256)
		}
	}
	if err != nil {
		return fmt.Errorf("mission %s: %w", m.Mission, err)
	}
	return nil
}

// endMission applies MISSION_ENDED.
func (tx *Tx) endMission(ev *ledger.Event) error {
	var m ledger.MissionEnded
	if err := decode(ev, &m); err != nil {
		return err
	}
	goal := GoalGivenUp
	if m.Done {
		goal = GoalReached
	}
	if err := tx.c.run("UPDATE missions SET goal = ?, goal_reason = ? WHERE id = ? AND goal > 0", int(goal), m.Reason, m.Mission); err != nil {
		return fmt.Errorf("mission %s: %w", m.Mission, err)
	}
	if tx.c.Changes() == 0 {
		return eventError(ev, fmt.Errorf("mission %s: there is none with a goal", m.Mission))
	}
	return nil
}

// turnMission applies MISSION_CANCELLED, and MISSION_RETRIED, from which on the budget counts anew.
func (tx *Tx) turnMission(ev *ledger.Event) error {
	var m ledger.MissionTurned
	if err := decode(ev, &m); err != nil {
		return err
	}
	if err := tx.flushMissions(); err != nil {
		return err
	}
	sql := "UPDATE missions SET cancelled = 1, goal = CASE goal WHEN 1 THEN 3 ELSE goal END WHERE id = ?"
	if ev.Event == job.MissionRetried {
		sql = "UPDATE missions SET cancelled = 0, goal = CASE goal WHEN 3 THEN 1 ELSE goal END, goal_reason = CASE goal WHEN 3 THEN '' ELSE goal_reason END, base_jobs = started, base_retries = retries, base_ms = run_ms WHERE id = ?"
	}
	if err := tx.c.run(sql, m.Mission); err != nil {
		return fmt.Errorf("mission %s: %w", m.Mission, err)
	}
	if tx.c.Changes() == 0 {
		return eventError(ev, fmt.Errorf("mission %s: there is none", m.Mission))
	}
	return tx.c.run(updateStop, m.Mission)
}

// trackOf is the track of the claim order in which a new job of a mission waits: one of its own where the mission limits how many
// run at a time, so that a claim passes over all of them at once.
func (tx *Tx) trackOf(mission string) (track string, err error) {
	found, err := tx.c.one("SELECT max_concurrent > 0 FROM missions WHERE id = ?", func(s *stmt) error {
		if s.ColumnBool(0) {
			track = mission
		}
		return nil
	}, mission)
	if err == nil && !found {
		err = fmt.Errorf("mission %s: there is none", mission)
	}
	return track, err
}

const selectMissions = `SELECT id, source, title, submitted_at, doc_path, doc_offset, doc_bytes, doc_sha256, tasks, follow_ups, goal, max_concurrent,
  budget_jobs, budget_retries, budget_ms, started - base_jobs, retries - base_retries, run_ms - base_ms, cancelled, ready, in_flight,
  pending, throttled, running, completed, failed, quarantined, cancelled_jobs, goal_reason FROM missions `

func (r *Reader) missionsWhere(where string, values ...any) ([]Mission, error) {
	if err := r.syncCounts(); err != nil {
		return nil, err
	}
	var list []Mission
	err := r.c.each(selectMissions+where, func(s *stmt) error {
		m := Mission{ID: s.ColumnText(0), Source: s.ColumnText(1), Title: s.ColumnText(2), SubmittedAt: fromMicros(s.ColumnInt64(3)),
			Document: ledger.Ref{Path: s.ColumnText(4), Offset: s.ColumnInt64(5), Bytes: s.ColumnInt64(6), SHA256: s.ColumnText(7)},
			Tasks:    s.ColumnInt(8), FollowUps: s.ColumnInt(9), Goal: Goal(s.ColumnInt(10)), MaxConcurrent: s.ColumnInt(11),
			Budget: Usage{s.ColumnInt(12), s.ColumnInt(13), time.Duration(s.ColumnInt64(14)) * time.Millisecond},
			Used:   Usage{s.ColumnInt(15), s.ColumnInt(16), time.Duration(s.ColumnInt64(17)) * time.Millisecond},

			Cancelled: s.ColumnBool(18), Ready: s.ColumnInt(19), InFlight: s.ColumnInt(20), Status: map[job.Status]int{}}
		for i, status := range statusColumns {
			m.Status[status] = s.ColumnInt(21 + i)
		}
		m.GoalReason = s.ColumnText(21 + len(statusColumns))
		list = append(list, m)
		return nil
	}, values...)
	return list, err
}

// Missions returns the newest limit missions, the newest first; 0 is all.
func (r *Reader) Missions(limit int) ([]Mission, error) {
	if limit <= 0 {
		limit = -1
	}
	return r.missionsWhere("ORDER BY seq DESC LIMIT ?", limit)
}

// Goals returns the missions for which another plan may follow. Its cost does not depend on how many missions there are.
func (r *Reader) Goals() ([]Mission, error) {
	return r.missionsWhere("INDEXED BY missions_goal WHERE goal = 1 ORDER BY id")
}

// Mission returns the mission with this id, and whether there is one.
func (r *Reader) Mission(id string) (Mission, bool, error) {
	list, err := r.missionsWhere("WHERE id = ?", id)
	if err != nil || len(list) == 0 {
		return Mission{}, false, err
	}
	return list[0], true, nil
}

// TaskOf returns the task of a mission that has this id for its job, and the digest of the proposal that is meant.
func (r *Reader) TaskOf(jobID string) (mission, source, proposalSHA256 string, found bool, err error) {
	found, err = r.c.one(`SELECT t.mission, m.source, t.proposal_sha256 FROM mission_tasks AS t JOIN missions AS m ON m.id = t.mission
  WHERE t.job = ?`, func(s *stmt) error {
		mission, source, proposalSHA256 = s.ColumnText(0), s.ColumnText(1), s.ColumnText(2)
		return nil
	}, jobID)
	return mission, source, proposalSHA256, found, err
}

// StoppedJobs returns up to limit jobs that wait in missions which do not let them begin. Its cost does not depend on how many
// missions there are.
func (r *Reader) StoppedJobs(limit int) ([]Row, error) {
	if err := r.syncCounts(); err != nil {
		return nil, err
	}
	type stopped struct {
		id   string
		stop Stop
	}
	var missions []stopped
	err := r.c.each("SELECT id, stop FROM missions INDEXED BY missions_stop WHERE stop > 0 AND (fresh > 0 OR stop = 2 AND waiting > 0)",
		func(s *stmt) error {
			missions = append(missions, stopped{s.ColumnText(0), Stop(s.ColumnInt(1))})
			return nil
		})
	if err != nil || len(missions) == 0 {
		return nil, err
	}
	if err := r.sync(); err != nil {
		return nil, err
	}
	var rows []Row
	for _, m := range missions {
		sql := selectRows + `INDEXED BY jobs_member_waiting WHERE member_of = ? AND member_of <> '' AND host = ''
  AND status IN ('pending', 'throttled') AND zone = 'approved' AND (attempt = 0 OR ?) ORDER BY seq LIMIT ?`
		list, err := r.c.rows(sql, m.id, m.stop == StopAll, limit-len(rows))
		if err != nil {
			return nil, err
		}
		if rows = append(rows, list...); len(rows) >= limit {
			break
		}
	}
	return rows, nil
}
