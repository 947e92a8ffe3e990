package stress_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// fate is what may become of a job.
type fate int

const (
	safe    fate = iota // safe to rerun: completed
	unsafe              // completed with one mark, or unknown with at most one
	failing             // fails each time and leaves a mark: failed, or unknown
	blocked             // refused by the gates
	manual              // blocked until somebody approves it, then as unsafe
	waiting             // depends on an unsafe job
	shared              // one of several with the same key and mark: as unsafe, together
)

// want is a job that has to be there.
type want struct {
	fate fate
	mark string // that it leaves; "" is none
	dep  string // that it waits for
}

// jobLine is what is asked of a job document.
type jobLine struct {
	ID         string `json:"job_id"`
	Status     string `json:"status"`
	Error      string `json:"error"`
	Provenance struct {
		File  string `json:"file"`
		Token string `json:"token"`
	} `json:"provenance"`
}

func (j jobLine) unknown() bool {
	return j.Status == "quarantined" && strings.HasPrefix(j.Error, "OUTCOME_UNKNOWN")
}

// event is what is asked of a ledger line.
type event struct {
	Seq   int64  `json:"seq"`
	Event string `json:"event"`
	JobID string `json:"job_id"`
	Meta  struct {
		Token    string `json:"token"`
		Line     int    `json:"line"`
		Revision string `json:"revision"`
	} `json:"meta"`
}

// expectation is what a test knows about the workspace.
type expectation struct {
	jobs  map[string]want
	files map[string]int // names of inbox files to the number of proposals in them
	alive bool           // no process was killed, so no outcome is unknown
}

// inspect returns what is wrong with a workspace in which nothing happens any more.
func (s *site) inspect(e expectation) []string {
	s.t.Helper()
	var wrong []string
	add := func(format string, args ...any) {
		if len(wrong) < 40 {
			wrong = append(wrong, fmt.Sprintf(format, args...))
		}
	}
	for _, check := range [][]string{{"ledger", "verify"}, {"index", "check"}} {
		if code, out, stderr := s.run(append(check, "--json")...); code != 0 {
			add("%s: exit %d: %s%s", strings.Join(check, " "), code, out, stderr)
		}
	}
	if out, err := exec.Command("git", "-C", s.path(), "fsck", "--no-dangling").CombinedOutput(); err != nil || len(out) > 0 {
		add("git fsck: %v: %s", err, out)
	}
	jobs := map[string]jobLine{}
	for _, j := range lines[jobLine](s.t, s.must("jobs", "--json")) {
		jobs[j.ID] = j
	}
	s.inspectPlaces(jobs, add)
	s.inspectJobs(e, jobs, add)
	s.inspectIntake(e, jobs, add)
	s.inspectRemains(add)
	return wrong
}

type complain func(format string, args ...any)

// inspectPlaces compares the folders with the index: each job lies in one of them, and in the right one.
func (s *site) inspectPlaces(jobs map[string]jobLine, add complain) {
	places := map[string][]string{}
	zones := map[string]string{"approved": s.path("queue", "approved"), "blocked": s.path("queue", "blocked"),
		"outbox": s.path("outbox", "results")}
	for zone, dir := range zones {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || path == dir {
				return err
			}
			id, isJSON := strings.CutSuffix(d.Name(), ".json")
			switch {
			case zone == "outbox" && d.IsDir() && strings.HasSuffix(d.Name(), ".artifacts"):
				return fs.SkipDir
			case zone == "blocked" && d.IsDir():
				places[d.Name()] = append(places[d.Name()], zone)
				if _, err := os.Lstat(filepath.Join(path, "job.json")); err != nil {
					add("%v", err)
				}
				return fs.SkipDir
			case !d.IsDir() && isJSON:
				places[id] = append(places[id], zone)
				s.inspectFile(path, jobs[id], add)
			}
			return nil
		})
		if err != nil {
			add("%v", err)
		}
	}
	for id, j := range jobs {
		zone := "outbox"
		switch j.Status {
		case "quarantined":
			zone = "blocked"
		case "pending", "throttled", "running":
			zone = "approved"
		}
		if !slices.Equal(places[id], []string{zone}) {
			add("%s: is %s and lies in %v", id, j.Status, places[id])
		}
	}
	for id, at := range places {
		if _, ok := jobs[id]; !ok {
			add("%s: lies in %v and is no job", id, at)
		}
	}
}

// inspectFile compares a file of a job with the index.
func (s *site) inspectFile(path string, j jobLine, add complain) {
	text, err := os.ReadFile(path)
	var doc struct{ ID, Status string }
	if err == nil {
		err = json.Unmarshal(text, &doc)
	}
	if err != nil || doc.ID != j.ID || doc.Status != j.Status {
		add("%s: holds %+v, %v; the index has %s, %s", path, doc, err, j.ID, j.Status)
	}
}

// setAside reports whether a proposal is kept unread, with a report which says that two processes died while they judged it.
// Where processes are killed all the time, that happens to proposals which nobody died of.
func (s *site) setAside(id string) bool {
	reports, err := filepath.Glob(filepath.Join(s.dir, "runtime/queue/blocked/*/report.json"))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, name := range reports {
		report, err := os.ReadFile(name)
		if err != nil || !bytes.Contains(report, []byte("two processes died while they judged it")) {
			continue
		}
		job := filepath.Base(filepath.Dir(name))
		if raw, err := os.ReadFile(filepath.Join(s.dir, "runtime/.sheratan/private", job+".json")); err == nil && bytes.Contains(raw, []byte(strconv.Quote(id))) {
			return true
		}
	}
	return false
}

// inspectJobs compares what became of the jobs with what may become of them, and with the marks that they left.
func (s *site) inspectJobs(e expectation, jobs map[string]jobLine, add complain) {
	marks := s.marked()
	failures := map[string]int{}
	for _, ev := range lines[event](s.t, s.must("ledger", "log", "--event", "JOB_ATTEMPT_FAILED", "--json")) {
		failures[ev.JobID]++
	}
	completed := map[string]int{}
	for id, w := range e.jobs {
		j, ok := jobs[id]
		if !ok {
			if e.alive || !s.setAside(id) {
				add("%s: was acknowledged and is lost", id)
			}
			continue
		}
		if j.unknown() && e.alive {
			add("%s: unknown outcome, and nothing was killed", id)
		}
		if j.Status == "completed" {
			completed[w.mark]++
		}
		n := marks[w.mark]
		good := true
		switch w.fate {
		case safe:
			good = j.Status == "completed"
		case unsafe, shared:
			good = j.Status == "completed" && n == 1 || j.unknown() && n <= 1 ||
				w.fate == shared && j.Status == "pending" // its holder's outcome is unknown
		case failing:
			good = j.Status == "failed" && n == failures[id] || j.unknown() && n >= failures[id] && n <= failures[id]+1
		case blocked:
			good = j.Status == "quarantined" && !j.unknown()
		case manual:
			good = j.Status == "quarantined" && n <= 1 || j.Status == "completed" && n == 1
			if j.Status == "quarantined" && !j.unknown() {
				good = n == 0
			}
		case waiting:
			dep, known := jobs[w.dep] // where it is not, it was set aside, or is a complaint of its own
			good = j.Status == "completed" && dep.Status == "completed" || j.Status == "pending" && (dep.unknown() || !known) && n == 0 ||
				j.unknown() && dep.Status == "completed"
		}
		if !good {
			add("%s: is %s (%s) with %d marks and %d failed attempts", id, j.Status, j.Error, n, failures[id])
		}
	}
	for mark, n := range marks {
		if n > 1 && (completed[mark] > 0 || e.alive) && !s.failingMark(e, mark) {
			add("%s: was executed %d times", mark, n)
		}
	}
}

func (s *site) failingMark(e expectation, mark string) bool { return e.jobs[mark].fate == failing }

// inspectIntake looks for proposals that came in twice or not at all.
func (s *site) inspectIntake(e expectation, jobs map[string]jobLine, add complain) {
	type place struct {
		token string
		line  int
	}
	ids, places := map[string]bool{}, map[place]string{}
	for _, ev := range lines[event](s.t, s.must("ledger", "log", "--event", "PROPOSAL_RECEIVED", "--json")) {
		if ids[ev.JobID] {
			add("%s: was received twice", ev.JobID)
		}
		ids[ev.JobID] = true
		at := place{ev.Meta.Token, ev.Meta.Line}
		if other := places[at]; other != "" {
			add("line %d of %s became %s and %s", at.line, at.token, other, ev.JobID)
		}
		places[at] = ev.JobID
	}
	count := map[string]int{}
	for _, j := range jobs {
		count[j.Provenance.File]++
	}
	for name, n := range e.files {
		if count[name] != n {
			add("%s: has %d proposals and made %d jobs", name, n, count[name])
		}
	}
}

// inspectRemains looks for what should not be left when everything is quiet.
func (s *site) inspectRemains(add complain) {
	for what, dir := range map[string]string{
		"claims": s.path(".sheratan", "claimed"), "unfinished projections": s.path(".sheratan", "projecting"),
		"start markers": s.path(".sheratan", "jobs", "started"),
	} {
		names, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			add("%v", err)
		}
		names = slices.DeleteFunc(names, func(d fs.DirEntry) bool { return d.Name() == ".base" })
		if len(names) > 0 {
			add("%s: %d are left, for example %s", what, len(names), names[0].Name())
		}
	}
	if left := s.inbox(); len(left) > 0 {
		add("inbox: %v", left)
	}
	if pids := s.jobProcesses(); len(pids) > 0 {
		add("processes of jobs are left: %v", pids)
	}
}
