package stress_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
)

// Real workflows (github.com/wfcommons/WfInstances), of which each task sleeps as long as it ran, scaled.
var (
	smallWorkflows = []string{"helloworld/helloworld-chain-5-chameleon.json", "helloworld/helloworld-forkjoin-10-chameleon.json",
		"nextflow/bacass-dirt02-001.json", "nextflow/hic-dirt02-001.json",
		"pegasus/epigenomics/epigenomics-chameleon-hep-1seq-100k-001.json", "makeflow/bwa/bwa-chameleon-small-001.json"}
	// slack is how much longer a workflow may take than what no schedule can do without: the critical path, or the work divided
	// by the slots.
	slack = 1.15
)

// workflows returns the files to run, and skips where they are not.
func workflows(t *testing.T) []string {
	t.Helper()
	root := os.Getenv("SHERATAN_CORPORA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "..", "..", "shared", "corpora")
	}
	root = filepath.Join(root, "wfinstances")
	if _, err := os.Stat(root); err != nil {
		t.Skipf("no workflows: %v; SHERATAN_CORPORA names the folder with wfinstances", err)
	}
	if !long {
		var files []string
		for _, name := range smallWorkflows {
			files = append(files, filepath.Join(root, name))
		}
		return files
	}
	var files []string
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".json") {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// workflow is a mission made of one of them.
type workflow struct {
	*site
	id    string
	tasks int
	best  float64 // seconds that no schedule can do without
	deps  map[string][]string
}

// newWorkflow submits a workflow scaled to a number of seconds.
func newWorkflow(t *testing.T, file string, seconds float64) *workflow {
	t.Helper()
	w := &workflow{site: newSite(t, 1), deps: map[string][]string{}}
	made, err := os.Create(w.missionFile())
	if err != nil {
		t.Fatal(err)
	}
	defer made.Close()
	var summary strings.Builder
	convert := exec.Command("go", "run", "github.com/sheratan/sheratan/scripts/wfmission", "-id", "wf",
		"-seconds", fmt.Sprint(seconds), file)
	convert.Stdout, convert.Stderr = made, &summary
	if err := convert.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", file, err, summary.String())
	}
	var facts struct {
		Mission string  `json:"mission"`
		Tasks   int     `json:"tasks"`
		Slots   int     `json:"slots"`
		Best    float64 `json:"best_seconds"`
		List    float64 `json:"list_seconds"`
	}
	if err := json.Unmarshal([]byte(summary.String()), &facts); err != nil {
		t.Fatal(err)
	}
	w.configure(func(config map[string]any) {
		config["limits"] = map[string]any{"depends_on": 0}
		config["host"] = map[string]any{"max_concurrent": facts.Slots}
		gates := config["gates"].(map[string]any)
		gates["exec"] = append(gates["exec"].([]any), map[string]any{"program": "sleep", "args": []string{`[0-9]+\.[0-9]+`},
			"decision": "allow", "rerun": "safe"})
	})
	w.id, w.tasks, w.best = facts.Mission, facts.Tasks, facts.Best
	t.Logf("%d tasks on %d slots: %.2f s at best, %.2f s for a list schedule", facts.Tasks, facts.Slots, facts.Best, facts.List)
	w.must("mission", "submit", w.missionFile())
	return w
}

// proposals are those of the mission.
func (w *workflow) proposals() []job.Proposal {
	w.t.Helper()
	return lines[job.Proposal](w.t, w.must("mission", "submit", w.missionFile(), "--print"))
}

func (w *workflow) missionFile() string { return filepath.Join(filepath.Dir(w.dir), "mission.json") }

// completeMission proposes anew what was set aside because two processes were killed over it. No other proposal may have been lost.
func (w *workflow) completeMission() {
	w.t.Helper()
	for range 3 {
		known := map[string]bool{}
		for _, j := range lines[jobLine](w.t, w.must("jobs", "--json")) {
			known[j.ID] = true
		}
		missing := 0
		for _, p := range w.proposals() {
			if known[p.ID] {
				continue
			}
			if missing++; !w.setAside(p.ID) {
				w.t.Errorf("%s is lost", p.ID)
			}
		}
		if missing == 0 {
			return
		}
		w.t.Logf("%d proposals were set aside", missing)
		w.must("mission", "submit", w.missionFile())
		w.quiet()
	}
}

// check reads the ledger: every job completed once, and none began before those that it depends on had ended. It returns how
// often jobs were started.
func (w *workflow) check() (starts int, first, last time.Time) {
	w.t.Helper()
	for _, p := range w.proposals() {
		w.deps[p.ID] = p.DependsOn
	}
	began, ended := map[string]time.Time{}, map[string]time.Time{}
	for _, ev := range lines[struct {
		Event job.EventName
		JobID string `json:"job_id"`
		Meta  struct {
			StartedAt   string `json:"started_at"`
			CompletedAt string `json:"completed_at"`
		}
	}](w.t, w.must("ledger", "log", "--json")) {
		switch ev.Event {
		case job.JobStarted:
			starts++
			at, err := job.ParseTime(ev.Meta.StartedAt)
			if err != nil {
				w.t.Fatal(err)
			}
			if _, again := began[ev.JobID]; !again {
				began[ev.JobID] = at
			}
			for _, d := range w.deps[ev.JobID] {
				if end, over := ended[d]; !over || at.Before(end) {
					w.t.Errorf("%s was started at %v, and %s, on which it depends, ended at %v", ev.JobID, at, d, end)
				}
			}
			if first.IsZero() || at.Before(first) {
				first = at
			}
		case job.JobCompleted:
			at, err := job.ParseTime(ev.Meta.CompletedAt)
			if err != nil {
				w.t.Fatal(err)
			}
			if _, twice := ended[ev.JobID]; twice {
				w.t.Errorf("%s completed twice", ev.JobID)
			}
			ended[ev.JobID] = at
			if at.After(last) {
				last = at
			}
		case job.JobFailed, job.JobAttemptFailed, job.JobCancelled, job.OutcomeUnknown:
			w.t.Errorf("%s of %s", ev.Event, ev.JobID)
		}
	}
	if len(ended) != w.tasks || len(w.deps) != w.tasks {
		w.t.Errorf("%d of %d tasks completed, %d jobs were proposed", len(ended), w.tasks, len(w.deps))
	}
	return starts, first, last
}

// TestWorkflows runs real workflows: every job once, none before its dependencies, and in little more time than the best
// schedule takes.
func TestWorkflows(t *testing.T) {
	seconds := 4.0
	if long {
		seconds = 10
	}
	for _, file := range workflows(t) {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			// What holds of the order holds each time. The time is that of the best of some tries, each with longer tasks: what
			// is lost between them is to be seen, not what the machine has to do besides.
			best := math.Inf(1)
			for try := 0; try < 3 && best > slack && !t.Failed(); try++ {
				best = min(best, runWorkflow(t, file, seconds*float64(try+1)))
			}
			if best > slack && !raceDetector {
				t.Errorf("took %.3f of the best schedule, and may take %.2f", best, slack)
			}
		})
	}
}

// runWorkflow runs a workflow, and returns how long that took beside what no schedule can do without.
func runWorkflow(t *testing.T, file string, seconds float64) float64 {
	t.Helper()
	w := newWorkflow(t, file, seconds)
	begin := time.Now()
	w.must("tick", "--json")
	wall := time.Since(begin).Seconds()
	starts, first, last := w.check()
	if starts != w.tasks {
		t.Errorf("%d starts of %d jobs", starts, w.tasks)
	}
	took := last.Sub(first).Seconds()
	t.Logf("%.2f s, %.3f of the best schedule; the whole tick took %.2f s", took, took/w.best, wall)
	w.must("mission", "wait", w.id)
	w.must("index", "check")
	return took / w.best
}

// TestWorkflowsKilled is the same with ticks that are killed at random moments.
func TestWorkflowsKilled(t *testing.T) {
	kills, files := 4, workflows(t)
	if long {
		kills = 12
	} else {
		files = files[len(files)-2:]
	}
	random := rand.New(rand.NewPCG(seed(t), 1))
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			w := newWorkflow(t, file, 2.5)
			for range kills {
				p := w.start("", "tick", "--json")
				select {
				case <-p.done:
				case <-time.After(time.Duration(random.Int64N(int64(1200 * time.Millisecond)))):
				}
				p.kill()
			}
			w.quiet()
			w.completeMission()
			starts, _, _ := w.check()
			t.Logf("%d tasks, %d starts", w.tasks, starts)
			w.must("mission", "wait", w.id)
			w.must("index", "check")
			w.must("ledger", "verify")
		})
	}
}
