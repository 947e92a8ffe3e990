package mission

import (
	"encoding/json"
	"fmt"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/schemas"
)

// Run is one submission of a mission, as the ledger keeps it: what was declared, with which values, and which proposals belong
// to it. A proposal counts as a job of the run only if it is one of these, to the byte, and from the same source.
type Run struct {
	Schema        string          `json:"$schema"`
	ID            string          `json:"id"`
	Title         string          `json:"title,omitempty"`
	Source        string          `json:"source"`
	MaxConcurrent int             `json:"max_concurrent,omitempty"`
	Budget        Budget          `json:"budget"`
	Mission       json.RawMessage `json:"mission"`
	Params        map[string]any  `json:"params"`
	Goal          *Goal           `json:"goal,omitempty"`
	Tasks         []RunTask       `json:"tasks"` // each behind those that it depends on

	Proposals [][]byte `json:"-"` // of the tasks
}

// RunTask is a task of a run.
type RunTask struct {
	ID             string   `json:"id"`
	Title          string   `json:"title,omitempty"`
	JobID          string   `json:"job_id"`
	DependsOn      []string `json:"depends_on"`                // ids of tasks
	ProposalSHA256 string   `json:"proposal_sha256,omitempty"` // "" keeps the id for a plan that may follow
}

// RunID is the id of a run: that of the mission, with -NAME behind it where the run has a name.
func (m *Mission) RunID(name string) string {
	if name == "" {
		return m.ID
	}
	return m.ID + "-" + name
}

// Expand makes a run. Each proposal is checked against the schema of proposals; everything else is for the gates to say.
func (m *Mission) Expand(name, source string, values map[string]any) (*Run, error) {
	r := &Run{Schema: SchemaRun, ID: m.RunID(name), Title: m.Title, Source: source, MaxConcurrent: m.MaxConcurrent, Budget: m.Budget,
		Mission: m.source, Params: values}
	if !job.ValidID(r.ID) {
		return nil, faultAt("/id", "%q is no id for a run: up to 64 letters, digits and . _ -", r.ID)
	}
	place := map[string]int{}
	for i, t := range m.Tasks {
		place[t.ID] = i
	}
	order, err := m.order(place)
	if err != nil {
		return nil, err
	}
	for _, i := range order {
		t := &m.Tasks[i]
		doc, err := m.proposal(r.ID, t, values)
		if err != nil {
			err.Pointer = fmt.Sprintf("/tasks/%d", i) + err.Pointer
			return nil, err
		}
		r.Proposals = append(r.Proposals, doc)
		r.Tasks = append(r.Tasks, RunTask{ID: t.ID, Title: t.Title, JobID: JobID(r.ID, t.ID), DependsOn: append([]string{}, t.DependsOn...),
			ProposalSHA256: schemas.Digest(doc)})
	}
	return r, nil
}

// JobID is the id of the job of a task.
func JobID(run, task string) string { return run + "." + task }

// proposal fills in the template of a task.
func (m *Mission) proposal(run string, t *Task, values map[string]any) ([]byte, *Error) {
	id := JobID(run, t.ID)
	if !job.ValidID(id) {
		return nil, faultAt("/id", "the id of the job would be %s, which has %d characters of 64 at most; shorten the ids of mission, run or task", id, len(id))
	}
	obj, _ := fill(t.Job, values).(map[string]any)
	obj["id"], obj["mission_id"], obj["task_id"] = id, run, t.ID
	if len(t.DependsOn) > 0 {
		deps := make([]any, len(t.DependsOn))
		for i, d := range t.DependsOn {
			deps[i] = JobID(run, d)
		}
		obj["depends_on"] = deps
	}
	if t.OnDependencyFailure != "" {
		obj["on_dependency_failure"] = string(t.OnDependencyFailure)
	}
	for _, violation := range schemas.Validate("proposal", obj) {
		return nil, faultAt("/job"+violation.Pointer, "%s", violation.Message)
	}
	doc, err := schemas.Marshal(obj)
	if err != nil {
		return nil, faultAt("/job", "%v", err)
	}
	return doc, nil
}
