package stress_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// decided is a mission in which an operator decides about most jobs: they are blocked, fail, or wait for those that do.
const decided = `{"$schema": "sheratan.mission/v1", "id": "m", "tasks": [
  {"id": "write", "job": {"payload": {"kind": "file_write", "params": {"path": "written.txt", "mode": "append", "content": "x\n"}}}},
  {"id": "refused", "job": {"payload": {"kind": "exec", "params": {"argv": ["no-such-program"]}}}},
  {"id": "failing", "job": {"max_retries": 1, "payload": {"kind": "exec", "params": {"argv": ["tee", "-a", "MARKS", "/dev/null/nothing"]}}}},
  {"id": "long", "job": {"payload": {"kind": "exec", "params": {"argv": ["sleep", "0.2"]}}}},
  {"id": "script", "job": {"payload": {"kind": "file_write", "params": {"path": "other.txt", "mode": "append", "content": "y\n"}}}},
  {"id": "after", "depends_on": ["write", "long"], "job": {"payload": {"kind": "noop", "params": {}}}},
  {"id": "skipped", "depends_on": ["refused"], "on_dependency_failure": "skip", "job": {"payload": {"kind": "noop", "params": {}}}},
  {"id": "unless", "depends_on": ["failing"], "on_dependency_failure": "skip", "job": {"payload": {"kind": "noop", "params": {}}}},
  {"id": "patient", "depends_on": ["after", "skipped"], "on_dependency_failure": "wait", "job": {"payload": {"kind": "noop", "params": {}}}}]}`

// TestKillDecisions decides at random about the jobs of missions, in several processes at once, while ticks run, and kills most of
// them. Whatever they had begun, a job that is over was ended by an event, its files say the same, and a rebuild comes to the same.
func TestKillDecisions(t *testing.T) {
	t.Parallel()
	sites, span, missions := 1, 8*time.Second, 12
	if long {
		sites, span, missions = 10, 40*time.Second, 40
	}
	begin := seed(t)
	for round := range sites {
		d := &decider{killer: killer{site: newSite(t, 4), rand: rand.New(rand.NewPCG(begin, uint64(round)))}}
		path := filepath.Join(filepath.Dir(d.dir), "m.json")
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(decided, "MARKS", d.marks)), 0o600); err != nil {
			t.Fatal(err)
		}
		d.until = time.Now().Add(span)
		var wg sync.WaitGroup
		wg.Go(func() {
			for i := range missions {
				d.must("mission", "submit", path, "--run", fmt.Sprint(i), "--quiet")
				time.Sleep(d.moment(span / time.Duration(missions)))
			}
		})
		for range 2 {
			wg.Go(func() { d.repeat(1500*time.Millisecond, func() []string { return []string{"tick", "--json"} }) })
			wg.Go(func() { d.repeat(600*time.Millisecond, d.decision) })
		}
		wg.Wait()
		d.quiet()
		wrong, ends := unended(d.decisionsOf())
		for _, complaint := range append(d.inspect(expectation{}), wrong...) {
			t.Error(complaint)
		}
		t.Logf("%d jobs are over; %d of %d processes killed", ends, d.killed, d.started)
		if ends == 0 || d.killed == 0 {
			t.Error("nothing was put to the test")
		}
		if t.Failed() {
			return
		}
	}
}

// decider is a killer that decides about jobs.
type decider struct {
	killer
	until time.Time
}

// repeat runs commands until the time is over, and kills each within a time, if it has not ended by then.
func (d *decider) repeat(within time.Duration, command func() []string) {
	for time.Now().Before(d.until) {
		if args := command(); args != nil {
			d.lethal(within, `{"payload":{"kind":"noop","params":{}}}`, args...)
		} else {
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// decision is a command about a job or a mission. What does not fit its state is refused, which is as good.
func (d *decider) decision() []string {
	list := d.start("", "jobs", "--json")
	if list.wait() != 0 {
		return nil
	}
	jobs := lines[jobLine](d.t, list.out.String())
	if len(jobs) == 0 {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	j := jobs[d.rand.IntN(len(jobs))]
	// Those that are blocked are most worth a decision.
	if open := slices.DeleteFunc(slices.Clone(jobs), func(j jobLine) bool { return j.Status != "quarantined" }); len(open) > 0 && d.rand.IntN(2) == 0 {
		j = open[d.rand.IntN(len(open))]
	}
	mission, _, _ := strings.Cut(j.ID, ".")
	commands := [][]string{
		{"approve", j.ID, "--reason", "test"}, {"approve", j.ID, "--reason", "test"}, {"reject", j.ID, "--reason", "test"},
		{"cancel", j.ID}, {"revise", j.ID, "-"}, {"retry", j.ID}, {"gate", "--blocked"},
		{"mission", "cancel", mission}, {"mission", "retry", mission},
	}
	return commands[d.rand.IntN(len(commands))]
}

// decisionsOf returns what a test of decisions looks at: all events about jobs, and all jobs.
func (s *site) decisionsOf() ([]event, []jobLine) {
	return lines[event](s.t, s.must("ledger", "log", "--json")), lines[jobLine](s.t, s.must("jobs", "--json"))
}

// unended compares the state of each job with its events: one that is over was ended by one of them, and one that was revised has its
// revision. It also counts the jobs that are over.
func unended(events []event, jobs []jobLine) (wrong []string, over int) {
	last, revised := map[string]string{}, map[string]string{}
	for _, ev := range events {
		switch ev.Event {
		case "JOB_COMPLETED", "JOB_FAILED", "JOB_CANCELLED", "OPERATOR_REJECTED":
			last[ev.JobID] = ev.Event
		case "JOB_RETRY_SCHEDULED":
			delete(last, ev.JobID)
		case "JOB_REVISED":
			revised[ev.JobID] = ev.Meta.Revision
		}
	}
	by := map[string][]string{"completed": {"JOB_COMPLETED"}, "failed": {"JOB_FAILED"}, "cancelled": {"JOB_CANCELLED", "OPERATOR_REJECTED"}}
	known := map[string]bool{"": true}
	for _, j := range jobs {
		known[j.ID] = true
		want, final := by[j.Status]
		if final {
			over++
		} else {
			want = []string{""}
		}
		if !slices.Contains(want, last[j.ID]) {
			wrong = append(wrong, fmt.Sprintf("%s: is %s (%s), and its last end is %q", j.ID, j.Status, j.Error, last[j.ID]))
		}
	}
	for id, by := range revised {
		if !known[by] {
			wrong = append(wrong, fmt.Sprintf("%s: was revised by %s, which is no job", id, by))
		}
	}
	return wrong, over
}

// The comparison finds an end that is missing, one that is no end, and a revision that is none.
func TestControlUnended(t *testing.T) {
	events := []event{{JobID: "a", Event: "JOB_COMPLETED"}, {JobID: "b", Event: "JOB_CANCELLED"}, {JobID: "b", Event: "JOB_REVISED"}, {JobID: "c", Event: "OPERATOR_REJECTED"}}
	events[2].Meta.Revision = "a"
	jobs := []jobLine{{ID: "a", Status: "completed"}, {ID: "b", Status: "cancelled"}, {ID: "c", Status: "cancelled"}, {ID: "d", Status: "pending"}}
	if wrong, over := unended(events, jobs); len(wrong) > 0 || over != 3 {
		t.Fatalf("%d are over; %q", over, wrong)
	}
	for i := range events {
		less := slices.Delete(slices.Clone(events), i, i+1)
		if wrong, _ := unended(less, jobs); (len(wrong) == 1) != (events[i].Event != "JOB_REVISED") {
			t.Errorf("without %s of %s: %q", events[i].Event, events[i].JobID, wrong)
		}
	}
	more := append(slices.Clone(events), event{JobID: "b", Event: "JOB_RETRY_SCHEDULED"}, event{JobID: "d", Event: "JOB_FAILED"})
	more[2].Meta.Revision = "nobody"
	if wrong, _ := unended(more, jobs); len(wrong) != 3 {
		t.Errorf("%q", wrong)
	}
}
