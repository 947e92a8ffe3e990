package pipeline

import (
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/pipeline/mission"
	"github.com/sheratan/sheratan/runtime/index"
)

// standing is how far the jobs of a mission have come.
type standing struct {
	run     mission.Run
	members []member
	plans   int     // of a goal: how many have a job
	plan    *member // the last of them
	goesOn  bool    // something of it runs, or can without anybody
}

// member is a job of a mission: that of a task, or one that came out of another.
type member struct {
	TaskLine
	row   index.Row
	known bool
	stuck bool // waits for a person, itself or through others
}

// settled reports whether nothing of a goal is left to wait for: what is not over was refused, or waits for what was. The plan
// itself is over.
func (s *standing) settled() bool {
	if s.goesOn || s.plan == nil || !s.plan.row.Status.Final() {
		return false
	}
	for i := range s.members {
		if m := &s.members[i]; m.known && m.row.Status == job.StatusQuarantined && m.row.NextAction != job.Quarantine {
			return false
		}
	}
	return true
}

// standingOf looks at all jobs of a mission: its tasks as they were declared, and then what came out of their jobs.
func (p *Pipeline) standingOf(r *index.Reader, m index.Mission) (*standing, error) {
	s := &standing{}
	var err error
	if s.run, err = p.loadRun(m); err != nil {
		return nil, err
	}
	taskOf := map[string]string{} // id of a job to its task, or to itself
	for _, t := range s.run.Tasks {
		row, known, err := lastRevision(r, t.JobID)
		if err != nil {
			return nil, err
		}
		if !known && s.run.Goal != nil && t.ProposalSHA256 == "" {
			break // a plan that nobody has asked for
		}
		s.members = append(s.members, newMember(TaskLine{TaskID: t.ID, Title: t.Title, JobID: t.JobID, DependsOn: t.DependsOn}, row, known))
		taskOf[t.JobID], taskOf[s.members[len(s.members)-1].JobID] = t.ID, t.ID
		if s.run.Goal != nil && known {
			s.plans++
		}
	}
	declared := len(s.members)
	if err := s.addFollowUps(r, m, taskOf); err != nil {
		return nil, err
	}
	if s.plans > 0 {
		s.plan = &s.members[s.plans-1]
	}
	held, err := r.Held()
	if err != nil {
		return nil, err
	}
	for i := range s.members {
		if m := &s.members[i]; m.known {
			m.Status = string(held.Shown(&m.row))
		}
	}
	return s, s.judge(p, r, declared)
}

func newMember(t TaskLine, row index.Row, known bool) member {
	t.Status = statusInbox
	if known {
		t.JobID, t.Status, t.Attempt, t.Error = row.ID, string(row.Status), row.Attempt, row.Error
		t.StartedAt, t.EndedAt = stampOf(row.StartedAt), stampOf(row.CompletedAt)
	}
	return member{TaskLine: t, row: row, known: known}
}

// addFollowUps adds what came out of the jobs of a mission, in the order of arrival.
func (s *standing) addFollowUps(r *index.Reader, m index.Mission, taskOf map[string]string) error {
	if m.FollowUps == 0 {
		return nil
	}
	rows, err := r.List(index.JobFilter{Member: m.ID})
	if err != nil {
		return err
	}
	for _, row := range rows {
		if row.ParentID == "" || row.RevisedBy != "" {
			continue
		}
		t := TaskLine{TaskID: row.ID, JobID: row.ID, Parent: row.ParentID, DependsOn: []string{}}
		if task, ok := taskOf[row.ParentID]; ok {
			t.Parent = task
		}
		deps, err := r.DependsOn(row.ID)
		if err != nil {
			return err
		}
		for _, d := range deps {
			if task, ok := taskOf[d.Follows]; ok {
				d.Follows = task
			}
			t.DependsOn = append(t.DependsOn, d.Follows)
		}
		s.members = append(s.members, newMember(t, row, true))
	}
	return nil
}

// judge says who waits for a person, and whether anything goes on without one. Tasks are behind those that they depend on;
// what came out of jobs is in any order, and may depend on jobs of others.
func (s *standing) judge(p *Pipeline, r *index.Reader, declared int) error {
	byTask := map[string]*member{}
	for i := range s.members {
		m := &s.members[i]
		byTask[m.TaskID] = m
		if m.known && m.row.Status == job.StatusQuarantined {
			opinion, err := p.opinionComes(r, m.row)
			if err != nil {
				return err
			}
			m.stuck = !opinion
		}
	}
	for again := true; again; {
		again = false
		for i := range s.members {
			m := &s.members[i]
			if m.stuck || m.over() || m.known && m.row.Status != job.StatusPending {
				continue
			}
			for _, id := range m.DependsOn {
				d, ok := byTask[id]
				if !ok {
					var err error
					if d, err = outsider(r, id); err != nil {
						return err
					}
					byTask[id] = d
				}
				if d.stuck || d.over() && d.row.Status != job.StatusCompleted && m.row.OnDepFailure == job.OnFailureWait {
					m.stuck, again = true, i >= declared
					break
				}
			}
		}
	}
	for i := range s.members {
		s.goesOn = s.goesOn || !s.members[i].stuck && !s.members[i].over()
	}
	return nil
}

func (m *member) over() bool { return m.known && m.row.Status.Final() }

// outsider is a job on which one of a mission depends and which is none of it. One that nobody has proposed waits for a person.
func outsider(r *index.Reader, id string) (*member, error) {
	row, known, err := lastRevision(r, id)
	return &member{row: row, known: known, stuck: !known || row.Status == job.StatusQuarantined}, err
}

// opinionComes reports whether a blocked job is to get a second opinion without anybody's doing.
func (p *Pipeline) opinionComes(r *index.Reader, row index.Row) (bool, error) {
	if row.NextAction != job.RequireLLM2 && row.NextAction != job.Allow || !p.hasAuditors() {
		return false, nil
	}
	a, _, err := r.Audit(row.ID)
	return !a.Due.IsZero(), err
}
