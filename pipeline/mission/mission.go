// Package mission reads declared missions: tasks with job templates, parameters and dependencies, and bounds for all of them
// together. It checks them and expands them into proposals. It is pure: no files, no clock, no database.
//
// A mission is declared once, and submitted any number of times: each time is a run, which has an id of its own. The job of a
// task has the id RUN.TASK, so that the same mission with the same parameters always gives the same proposals.
package mission

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/schemas"
)

// Schema names, the value of "$schema".
const (
	Schema    = "sheratan.mission/v1"
	SchemaRun = "sheratan.mission-run/v1"
)

// Mission is a declared mission.
type Mission struct {
	ID            string                     `json:"id"`
	Title         string                     `json:"title"`
	Params        map[string]json.RawMessage `json:"params"` // JSON Schemas of the parameters
	MaxConcurrent int                        `json:"max_concurrent"`
	Budget        Budget                     `json:"budget"`
	Tasks         []Task                     `json:"tasks"`

	source json.RawMessage // in canonical form
	params map[string]*param
}

// Budget bounds what all jobs of a run may use together; 0 is without limit.
type Budget struct {
	Jobs    int `json:"jobs,omitempty"`    // that are started
	Retries int `json:"retries,omitempty"` // by the retry policy; those that a person asks for do not count
	Seconds int `json:"seconds,omitempty"` // for which attempts ran
}

// Task is one job of a mission.
type Task struct {
	ID                  string         `json:"id"`
	Title               string         `json:"title"`
	Job                 map[string]any `json:"-"` // the template: a proposal without what the mission sets
	DependsOn           []string       `json:"depends_on"`
	OnDependencyFailure job.OnFailure  `json:"on_dependency_failure"`
}

// maxBytes bounds a mission, so that a run of it is a document that can be handled.
const maxBytes = 16 << 20

// Error says what is wrong with a mission, and where.
type Error struct {
	Pointer string // RFC 6901
	Message string
	Line    int // from 1, where the text is no JSON; 0 is not known
	Column  int
}

func (e *Error) Error() string {
	if e.Pointer == "" {
		return e.Message
	}
	return e.Pointer + ": " + e.Message
}

func faultAt(pointer, format string, args ...any) *Error {
	return &Error{Pointer: pointer, Message: fmt.Sprintf(format, args...)}
}

// Parse reads a mission and checks everything that does not depend on its parameters. The error is an *Error.
func Parse(b []byte) (*Mission, error) {
	v, canonical, err := schemas.ParseCanonical(b, schemas.Limits{Bytes: maxBytes})
	if perr, ok := err.(*schemas.ParseError); ok {
		return nil, &Error{Pointer: perr.Pointer, Message: perr.Message, Line: perr.Line, Column: perr.Column}
	}
	if err != nil {
		return nil, &Error{Message: err.Error()}
	}
	for _, violation := range schemas.Validate("mission", v) {
		return nil, &Error{Pointer: violation.Pointer, Message: violation.Message}
	}
	m := &Mission{source: canonical}
	if err := json.Unmarshal(canonical, m); err != nil { // what is unknown the schema has refused
		return nil, &Error{Message: err.Error()}
	}
	tasks, _ := v.(map[string]any)["tasks"].([]any)
	for i := range m.Tasks {
		task, _ := tasks[i].(map[string]any)
		m.Tasks[i].Job, _ = task["job"].(map[string]any)
	}
	if m.params, err = compileParams(m.Params); err != nil {
		return nil, err
	}
	return m, m.check()
}

// set are the members of a proposal that the mission sets itself.
var set = []string{"id", "idempotency_key", "source", "depends_on", "on_dependency_failure", "task_id", "mission_id"}

// check finds tasks that cannot be.
func (m *Mission) check() error {
	place := map[string]int{}
	for i, t := range m.Tasks {
		at := fmt.Sprintf("/tasks/%d", i)
		if first, twice := place[t.ID]; twice {
			return faultAt(at+"/id", "task %s is at /tasks/%d already", t.ID, first)
		}
		place[t.ID] = i
		for _, name := range set {
			if _, there := t.Job[name]; there {
				return faultAt(at+"/job/"+name, "the mission sets this member itself; depends_on and on_dependency_failure stand beside job")
			}
		}
	}
	for i, t := range m.Tasks {
		for n, id := range t.DependsOn {
			if _, ok := place[id]; !ok {
				return faultAt(fmt.Sprintf("/tasks/%d/depends_on/%d", i, n), "there is no task %s", id)
			}
		}
	}
	if _, err := m.order(place); err != nil {
		return err
	}
	for i := range m.Tasks {
		if err := m.checkTemplate(fmt.Sprintf("/tasks/%d/job", i), m.Tasks[i].Job); err != nil {
			return err
		}
	}
	return nil
}

// order returns the places of the tasks so that each comes behind those that it depends on, and otherwise as they are declared.
func (m *Mission) order(place map[string]int) ([]int, error) {
	left := make([]int, len(m.Tasks))
	dependents := make([][]int, len(m.Tasks))
	for i, t := range m.Tasks {
		left[i] = len(t.DependsOn)
		for _, id := range t.DependsOn {
			dependents[place[id]] = append(dependents[place[id]], i)
		}
	}
	var ready, order []int
	for i, n := range left {
		if n == 0 {
			ready = append(ready, i)
		}
	}
	for len(ready) > 0 {
		at := ready[0]
		ready = ready[1:]
		order = append(order, at)
		for _, i := range dependents[at] {
			if left[i]--; left[i] == 0 {
				// Among those that are ready the one that was declared first comes first.
				n, _ := slices.BinarySearch(ready, i)
				ready = slices.Insert(ready, n, i)
			}
		}
	}
	if len(order) < len(m.Tasks) {
		at := slices.IndexFunc(left, func(n int) bool { return n > 0 })
		return nil, faultAt(fmt.Sprintf("/tasks/%d/depends_on", at), "the tasks wait for each other: %s", strings.Join(m.cycle(at, left, place), " → "))
	}
	return order, nil
}

// cycle walks from a task that is never ready along others of the kind until it meets one again. Every such task waits for one.
func (m *Mission) cycle(at int, left []int, place map[string]int) []string {
	var way []string
	for {
		id := m.Tasks[at].ID
		if n := slices.Index(way, id); n >= 0 {
			return append(way[n:], id)
		}
		way = append(way, id)
		for _, d := range m.Tasks[at].DependsOn {
			if left[place[d]] > 0 {
				at = place[d]
				break
			}
		}
	}
}
