package cli

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sheratan/sheratan/pipeline"
	"github.com/sheratan/sheratan/pipeline/job"
)

// printMission prints a mission and the tree of its tasks.
func (a *app) printMission(l pipeline.MissionLine) error {
	if a.global.JSON {
		return a.out.line(l)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s  %d/%d tasks completed", escape(l.MissionID), a.out.style.word(l.State), l.Completed, l.Tasks)
	for _, c := range []struct {
		n    int
		word string
	}{{l.Running, "running"}, {l.Waiting, "waiting"}, {l.Quarantined, "blocked"}, {l.Failed, "failed"}, {l.Cancelled, "cancelled"}} {
		if c.n > 0 {
			fmt.Fprintf(&b, ", %d %s", c.n, c.word)
		}
	}
	b.WriteByte('\n')
	if l.Title != "" {
		fmt.Fprintf(&b, "%s\n", escape(l.Title))
	}
	if g := l.Goal; g != nil {
		fmt.Fprintf(&b, "plan %d of %d at most, by %s", g.Plans, g.Rounds, escape(g.Model))
		if g.Reason != "" {
			fmt.Fprintf(&b, ": %s", escape(g.Reason))
		}
		b.WriteByte('\n')
	}
	var bounds []string
	if l.MaxConcurrent > 0 {
		bounds = append(bounds, fmt.Sprintf("at most %d at a time", l.MaxConcurrent))
	}
	if l.Budget.Jobs > 0 {
		bounds = append(bounds, fmt.Sprintf("%d of %d jobs started", l.Used.Jobs, l.Budget.Jobs))
	}
	if l.Budget.Retries > 0 {
		bounds = append(bounds, fmt.Sprintf("%d of %d retries", l.Used.Retries, l.Budget.Retries))
	}
	if l.Budget.Seconds > 0 {
		bounds = append(bounds, fmt.Sprintf("%.1f of %.0f seconds", l.Used.Seconds, l.Budget.Seconds))
	}
	if len(bounds) > 0 {
		fmt.Fprintf(&b, "%s\n", strings.Join(bounds, ", "))
	}
	newTaskTree(l.TaskList).write(&b, a)
	return a.out.printf("%s", b.String())
}

// taskTree draws the tasks of a mission: each below the last of those that it waits for, in the order in which they are listed.
type taskTree struct {
	tasks    []pipeline.TaskLine
	children map[string][]int // by the id of the task above
	place    map[string]int
	width    int // of the widest task with what is drawn before it
}

// deepest is how many characters are drawn before a task at most.
const deepest = 48

func newTaskTree(tasks []pipeline.TaskLine) *taskTree {
	t := &taskTree{tasks: tasks, children: map[string][]int{}, place: map[string]int{}}
	depth := map[string]int{"": -1}
	for i, task := range tasks {
		t.place[task.TaskID] = i
		above := t.above(task)
		t.children[above] = append(t.children[above], i)
		depth[task.TaskID] = depth[above] + 1
		t.width = max(t.width, min(3*depth[task.TaskID], deepest+3)+len([]rune(escape(task.TaskID))))
	}
	return t
}

// above is the last of the tasks that one waits for; where these came out of another job, or there are none, the one out of which
// it came, "" where there is none.
func (t *taskTree) above(task pipeline.TaskLine) string {
	last := ""
	for _, d := range task.DependsOn {
		if at, ok := t.place[d]; ok && at < t.place[task.TaskID] && t.tasks[at].Parent == task.Parent && (last == "" || at > t.place[last]) {
			last = d
		}
	}
	if at, ok := t.place[task.Parent]; last == "" && ok && at < t.place[task.TaskID] {
		return task.Parent
	}
	return last
}

func (t *taskTree) write(b *strings.Builder, a *app) {
	for _, i := range t.children[""] {
		t.writeTask(b, a, i, "", "")
	}
}

// writeTask writes a task and those below it. first is drawn before its own line, rest before those below.
func (t *taskTree) writeTask(b *strings.Builder, a *app, i int, first, rest string) {
	task := t.tasks[i]
	name := first + escape(task.TaskID)
	words := []string{a.out.style.word(task.Status)}
	if text := took(job.State{ExecutionStartedAt: task.StartedAt, ExecutionCompletedAt: task.EndedAt}); text != "" {
		words = append(words, text)
	}
	if task.Attempt > 1 {
		words = append(words, fmt.Sprintf("attempt %d", task.Attempt))
	}
	if others := t.others(task); len(others) > 0 {
		words = append(words, "also after "+escape(clip(strings.Join(others, ", "), 60)))
	}
	if task.Error != "" {
		words = append(words, escape(clip(task.Error, 80)))
	}
	fmt.Fprintf(b, "%s%s  %s\n", name, strings.Repeat(" ", max(0, t.width-len([]rune(name)))), strings.Join(words, "  "))
	below := t.children[task.TaskID]
	deeper := [2]string{"   ", "│  "}
	if len([]rune(rest)) >= deepest {
		deeper = [2]string{} // a long chain would otherwise run out of the page, and its drawing grow with its square
	}
	for n, c := range below {
		if n == len(below)-1 {
			t.writeTask(b, a, c, rest+"└─ ", rest+deeper[0])
		} else {
			t.writeTask(b, a, c, rest+"├─ ", rest+deeper[1])
		}
	}
}

// others are the tasks that one waits for and does not stand below.
func (t *taskTree) others(task pipeline.TaskLine) []string {
	above := t.above(task)
	return slices.DeleteFunc(slices.Clone(task.DependsOn), func(d string) bool { return d == above })
}

// completeMissions offers the ids of missions.
func (a *app) completeMissions(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(cmd.Context(), completionLimit)
	defer cancel()
	a.global.NoCommit = true
	a.people.mute()
	var ids []string
	err := a.with(ctx, func(p *pipeline.Pipeline) error {
		return p.Missions(ctx, maxCompletions, func(l pipeline.MissionLine) error {
			ids = append(ids, l.MissionID+"\t"+escape(l.State+" "+l.Title))
			return nil
		})
	})
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}

// completeMissionFiles offers the names of declared missions.
func (a *app) completeMissionFiles(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	ws, err := a.find()
	if err != nil {
		return nil, cobra.ShellCompDirectiveDefault
	}
	files, err := filepath.Glob(filepath.Join(ws.Missions(), "*.json"))
	if err != nil {
		return nil, cobra.ShellCompDirectiveDefault
	}
	names := make([]string, 0, len(files))
	for _, f := range files {
		names = append(names, strings.TrimSuffix(filepath.Base(f), ".json"))
	}
	return names, cobra.ShellCompDirectiveDefault
}
