package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// workflow is what a file in WfFormat says of times and dependencies.
type workflow struct {
	name    string
	tasks   []*task
	work    float64 // seconds, of all tasks together
	longest float64 // seconds, along the critical path
}

type task struct {
	id       string // in the file
	name     string // in the mission
	seconds  float64
	parents  []*task
	children []*task
	left     float64 // seconds from its beginning to the end of the workflow, along the longest way
	seen     int     // of the search for it: 1 begun, 2 done
}

// document is the part of WfFormat 1.5 that matters here.
type document struct {
	Name     string `json:"name"`
	Workflow struct {
		Specification struct {
			Tasks []struct {
				ID      string   `json:"id"`
				Parents []string `json:"parents"`
			} `json:"tasks"`
		} `json:"specification"`
		Execution struct {
			Tasks []struct {
				ID      string  `json:"id"`
				Runtime float64 `json:"runtimeInSeconds"`
			} `json:"tasks"`
		} `json:"execution"`
	} `json:"workflow"`
}

func read(data []byte) (*workflow, error) {
	var doc document
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, err
	}
	w := &workflow{name: doc.Name}
	byID := map[string]*task{}
	for _, t := range doc.Workflow.Specification.Tasks {
		if byID[t.ID] != nil {
			return nil, fmt.Errorf("task %s: is there twice", t.ID)
		}
		byID[t.ID] = &task{id: t.ID}
		w.tasks = append(w.tasks, byID[t.ID])
	}
	if len(w.tasks) == 0 {
		return nil, errors.New("has no workflow.specification.tasks; is it WfFormat 1.5?")
	}
	for _, t := range doc.Workflow.Execution.Tasks {
		if byID[t.ID] == nil {
			return nil, fmt.Errorf("task %s: ran, and is not specified", t.ID)
		}
		byID[t.ID].seconds = max(0, t.Runtime)
	}
	for _, t := range doc.Workflow.Specification.Tasks {
		for _, id := range t.Parents {
			parent := byID[id]
			if parent == nil {
				return nil, fmt.Errorf("task %s: its parent %s is not there", t.ID, id)
			}
			if !slices.Contains(byID[t.ID].parents, parent) {
				byID[t.ID].parents = append(byID[t.ID].parents, parent)
				parent.children = append(parent.children, byID[t.ID])
			}
		}
	}
	for _, t := range w.tasks {
		if err := t.measure(); err != nil {
			return nil, err
		}
		w.work += t.seconds
		w.longest = max(w.longest, t.left)
	}
	// Of the tasks that could begin, the one with the longest way to the end should: the mission keeps this order.
	slices.SortStableFunc(w.tasks, func(a, b *task) int { return cmp.Compare(b.left, a.left) })
	for i, t := range w.tasks {
		t.name = fmt.Sprintf("%03d-%s", i, clean(t.id, 24))
	}
	return w, nil
}

// measure finds out how long it is from the beginning of a task to the end of the workflow.
func (t *task) measure() error {
	switch t.seen {
	case 1:
		return fmt.Errorf("task %s: waits for itself", t.id)
	case 2:
		return nil
	}
	t.seen = 1
	for _, c := range t.children {
		if err := c.measure(); err != nil {
			return err
		}
		t.left = max(t.left, c.left)
	}
	t.left += t.seconds
	t.seen = 2
	return nil
}

// clean makes an identifier of at most n characters of s.
func clean(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if r < 0x80 && (r == '-' || r == '_' || '0' <= r && r <= '9' || 'a' <= r|0x20 && r|0x20 <= 'z') {
			return r
		}
		return '-'
	}, s)
	return strings.Trim(s[:min(n, len(s))], "-_")
}

// summary is what a schedule of the mission can be compared with.
func (w *workflow) summary(id string, scale float64, slots int) map[string]any {
	return map[string]any{"mission": id, "tasks": len(w.tasks), "scale": scale, "slots": slots, "work_seconds": w.work * scale,
		"critical_path_seconds": w.longest * scale, "best_seconds": max(w.longest, w.work/float64(slots)) * scale,
		"list_seconds": w.list(slots) * scale}
}

// mission makes the document.
func (w *workflow) mission(id string, scale float64) map[string]any {
	tasks := make([]any, 0, len(w.tasks))
	for _, t := range w.tasks {
		deps := []string{}
		for _, p := range t.parents {
			deps = append(deps, p.name)
		}
		argv := []string{"sleep", strconv.FormatFloat(t.seconds*scale, 'f', 3, 64)}
		tasks = append(tasks, map[string]any{"id": t.name, "title": t.id[:min(len(t.id), 200)], "depends_on": deps,
			"job": map[string]any{"payload": map[string]any{"kind": "exec", "params": map[string]any{"argv": argv}}}})
	}
	return map[string]any{"$schema": "sheratan.mission/v1", "id": id, "title": w.name[:min(len(w.name), 200)], "tasks": tasks}
}
