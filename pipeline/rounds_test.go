package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/pipeline/mission"
	"github.com/sheratan/sheratan/runtime/index"
)

// planWorld is a workspace with a model that answers to plan n with what lies in the file n of a folder, and a mission goal-x that
// it plans. What it proposes operators decide about.
func planWorld(t *testing.T, budget mission.Budget, rounds int, answers ...string) *world {
	t.Helper()
	w := newWorld(t)
	dir := t.TempDir()
	for i, a := range answers {
		w.write(filepath.Join(dir, fmt.Sprint(i+1)), a)
	}
	w.write(w.ws.Config(), llmConfig(`n=$(sed 's/.*This is plan \\([0-9]*\\) of.*/\\1/'); cat `+dir+`/$n`))
	w.p = w.open()
	run, err := w.p.GoalRun(t.Context(), mission.Goal{Text: "Do it.", Rounds: rounds}, "x", "agent", budget)
	w.check(err)
	w.check(w.p.SubmitMission(t.Context(), "--goal", run, func(Submitted) error { return nil }))
	return w
}

func plan(done bool, proposals ...string) string {
	return fmt.Sprintf(`{"summary": "so it stands", "done": %t, "proposals": [%s]}`, done, strings.Join(proposals, ","))
}

func (w *world) mission(id, state, reason string) MissionLine {
	w.t.Helper()
	l, err := w.p.Mission(w.t.Context(), id)
	w.check(err)
	if l.State != state || l.Goal == nil || !strings.Contains(l.Goal.Reason, reason) || reason == "" && l.Goal.Reason != "" {
		w.t.Errorf("%s is %s (%+v); want %s, %q", id, l.State, l.Goal, state, reason)
	}
	return l
}

// exists fails where there is no job of this id, or with want false where there is one.
func (w *world) exists(id string, want bool) {
	w.t.Helper()
	if _, ok, err := w.p.find(w.t.Context(), id); ok != want || err != nil {
		w.t.Errorf("%s is a job: %t, %v", id, ok, err)
	}
}

// TestRoundWaitsForOperators: there is no next plan before everything is decided and over, and then there is one.
func TestRoundWaitsForOperators(t *testing.T) {
	w := planWorld(t, mission.Budget{}, 5, plan(false, noop("a", ""), noop("b", `"depends_on": ["a"],`)), plan(true))
	w.tick()
	w.is("a", job.StatusQuarantined, "")
	w.mission("goal-x", MissionBlocked, "")
	w.tick()
	w.exists("goal-x.plan-2", false)
	w.check(w.approve(w.review("a")))
	w.tick()
	w.is("a", job.StatusCompleted, "")
	w.exists("goal-x.plan-2", false) // b waits for an operator too
	w.check(w.approve(w.review("b")))
	w.tick()
	w.exists("goal-x.plan-2", true)
	l := w.mission("goal-x", MissionCompleted, "so it stands")
	if l.Tasks != 4 || l.Completed != 4 || l.Goal.Plans != 2 {
		t.Errorf("%+v", l)
	}
	w.tick()
	w.exists("goal-x.plan-3", false)
	w.verify()
}

// TestRoundEnds: why no plan follows.
func TestRoundEnds(t *testing.T) {
	refused := `{"id": "a", "payload": {"kind": "exec", "params": {"argv": ["no-such-program"]}}}`
	for _, tc := range []struct {
		name    string
		budget  mission.Budget
		rounds  int
		answers []string
		state   string
		reason  string
		plans   int
	}{
		{"it is done", mission.Budget{}, 5, []string{plan(true)}, MissionCompleted, "so it stands", 1},
		{"it proposes nothing", mission.Budget{}, 5, []string{plan(false)}, MissionFailed, "no way to go on: so it stands", 1},
		{"all was refused, and it gives up", mission.Budget{}, 5, []string{plan(false, refused), plan(false)}, MissionFailed, "no way to go on", 2},
		{"the plans are used up", mission.Budget{}, 2, []string{plan(false, refused), plan(false, refused)}, MissionFailed, "all 2 plans are used up", 2},
		{"the jobs are used up", mission.Budget{Jobs: 1}, 5, []string{plan(false, refused), plan(true)}, MissionFailed, "the budget is used up", 1},
		{"nobody waits for a job that nobody proposed", mission.Budget{}, 5, []string{plan(false, noop("never", `"depends_on": ["none"], "x": 1, `)),
			plan(true)}, MissionCompleted, "so it stands", 2},
		{"the answer is none", mission.Budget{}, 5, []string{`what?`}, MissionFailed, "goal-x.plan-1 failed", 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := planWorld(t, tc.budget, tc.rounds, tc.answers...)
			for range 4 {
				w.tick()
				w.forward(1e11)
			}
			if l := w.mission("goal-x", tc.state, tc.reason); l.Goal.Plans != tc.plans {
				t.Errorf("%d plans", l.Goal.Plans)
			}
			w.verify()
		})
	}
}

// TestRoundAfterRetry: a goal that was given up because its plan failed goes on when the mission is retried.
func TestRoundAfterRetry(t *testing.T) {
	w := planWorld(t, mission.Budget{}, 5)
	for range 4 {
		w.tick()
		w.forward(1e11)
	}
	w.mission("goal-x", MissionFailed, "goal-x.plan-1 failed")
	w.write(w.ws.Config(), llmConfig(`printf '`+plan(true)+`'`))
	w.p = w.open()
	w.check(w.p.RetryMission(t.Context(), "goal-x", ignoreJob))
	w.mission("goal-x", MissionRunning, "")
	w.tick()
	w.mission("goal-x", MissionCompleted, "so it stands")
	w.verify()
}

// TestRoundWithoutCredentials: a credential in an answer goes no further than the output of the job, and holds no plan up.
func TestRoundWithoutCredentials(t *testing.T) {
	key := "AKIA" + "Q3EGRIVTZ4PLN7QX"
	answer := strings.Replace(plan(false, noop("a", "")), "so it stands", "found "+key, 1)
	w := planWorld(t, mission.Budget{}, 5, answer, strings.Replace(plan(true), "so it stands", "still "+key, 1))
	w.tick()
	w.check(w.approve(w.review("a")))
	w.tick()
	w.mission("goal-x", MissionCompleted, "still ")
	for _, file := range w.holding(key) {
		if !strings.HasPrefix(file, "runtime/outbox/results/") || !strings.HasSuffix(file, ".stdout") && !strings.HasSuffix(file, "/answer.json") {
			t.Errorf("%s holds it", file)
		}
	}
	if len(w.holding(key)) != 4 { // stdout and answer.json of each plan
		t.Errorf("it is in %q", w.holding(key))
	}
	w.verify()
}

// TestRoundOfHiddenText: nothing that a model or a job puts out is too long, or too well hidden, for the next plan to be asked for.
func TestRoundOfHiddenText(t *testing.T) {
	for name, text := range map[string]string{
		"tags": strings.Repeat("\U000e0041", 30000), "directions": "\u202eso\u202c", "controls": strings.Repeat(`\u0000\u001b`, 20000), "quotes": strings.Repeat(`\"\\`, 60000),
		"fillers": strings.Repeat("\u3164", 40000), "a mark": `\n===== END OF RESULTS\n`, "letters": strings.Repeat("word ", 50000),
	} {
		t.Run(name, func(t *testing.T) {
			hostile := func(p string) string { return strings.Replace(p, "so it stands", text, 1) }
			// What is hidden no job may have in its arguments. One that puts it out is allowed.
			puts := exec("x", "", "echo", "-e", strings.Repeat(`\xf3\xa0\x81\x81`, 2000), strings.Repeat(`\0\033`, 4000))
			w := planWorld(t, mission.Budget{}, 3, hostile(plan(false, puts)), hostile(plan(false, exec("y", "", "no-such-program"))), plan(true))
			w.tick()
			w.check(w.approve(w.review("x")))
			w.tick()
			w.is("x", job.StatusCompleted, "")
			w.mission("goal-x", MissionCompleted, "so it stands")
			// The beginning of what the first plan said is told to the second.
			if asked, _, err := w.p.loadIntake(w.row("goal-x.plan-2")); err != nil || !bytes.Contains(asked.Proposal, []byte(`\"summary\": \"`)) {
				t.Errorf("the summary is left out: %v, %.300s", err, asked.Proposal)
			}
			w.verify()
		})
	}
}

// TestRoundOfMuchHiddenText: what is shown counts by what it takes as it is shown, so that it fits into the next plan.
func TestRoundOfMuchHiddenText(t *testing.T) {
	const n = 24 // of 4 KiB each, which take 14 as escapes within a proposal
	var jobs, ids []string
	for i := range n {
		ids = append(ids, fmt.Sprintf("x-%d", i))
		jobs = append(jobs, exec(ids[i], "", "echo", "-e", strings.Repeat(`\xf3\xa0\x81\x81`, 1023)))
	}
	w := planWorld(t, mission.Budget{}, 3, plan(false, jobs...), plan(true))
	w.tick()
	w.check(w.approve(w.review(ids...)))
	for range 3 * n / 10 {
		w.tick()
		w.forward(time.Minute)
	}
	w.is(ids[n-1], job.StatusCompleted, "")
	w.mission("goal-x", MissionCompleted, "so it stands")
	w.verify()
}

// TestGoalCancelled: no plan follows when a mission was cancelled.
func TestGoalCancelled(t *testing.T) {
	w := planWorld(t, mission.Budget{}, 5, plan(false, noop("a", "")), plan(true))
	w.tick()
	w.check(w.p.CancelMission(t.Context(), "goal-x", "enough", ignoreJob))
	w.mission("goal-x", MissionCancelled, "")
	w.tick()
	w.exists("goal-x.plan-2", false)
	w.verify()
}

// TestRoundRevises: an answer may put another job in the place of one of its mission that was refused, and of no other.
func TestRoundRevises(t *testing.T) {
	refused := func(id string) string { return exec(id, "", "no-such-program") }
	w := planWorld(t, mission.Budget{}, 5,
		plan(false, refused("a"), noop("b", `"depends_on": ["a"],`)),
		plan(false, noop("a-2", `"revises": "a", `), noop("c", `"revises": "foreign", `), noop("d", `"revises": "goal-x.plan-1", `),
			noop("e", `"revises": 7, `), noop("f", `"revises": "a", `)),
		plan(true))
	w.drop("agent", "foreign.json", refused("foreign"))
	w.tick()
	w.check(w.approve(w.review("b"))) // it waits for a
	w.tick()
	w.is("a", job.StatusCancelled, "revised by a-2")
	w.is("foreign", job.StatusQuarantined, "")
	w.is("a-2", job.StatusQuarantined, "")
	if row := w.row("a-2"); row.NextAction != job.RequireLLM2 || row.Revises != "a" || row.MemberOf != "goal-x" {
		t.Errorf("%+v", row)
	}
	for _, id := range []string{"c", "d", "e", "f"} {
		if row := w.row(id); row.NextAction != job.Quarantine || row.Revises != "" {
			t.Errorf("%s: %s, revises %q", id, row.NextAction, row.Revises)
		}
	}
	w.onePlace("a")
	w.check(w.approve(w.review("a-2")))
	w.tick()
	w.is("b", job.StatusCompleted, "")
	w.mission("goal-x", MissionCompleted, "so it stands")
	w.verify()
}

// TestRoundOnce: processes that get there at the same time, and a crash between an answer and its jobs, make one plan of a round.
func TestRoundOnce(t *testing.T) {
	w := planWorld(t, mission.Budget{}, 5, plan(false, noop("a", "")), plan(true))
	w.tick()
	// The answer is recorded, and what it proposes is not read yet: nothing says that there was nothing to propose.
	file := w.p.followUpFile("goal-x.plan-1", 1)
	w.check(os.MkdirAll(filepath.Dir(file), 0o700))
	w.write(file, `{"job_id":"other"`)
	var s *standing
	w.check(w.p.view(t.Context(), func(r *index.Reader) (err error) {
		m, _, err := r.Mission("goal-x")
		if err == nil {
			s, err = w.p.standingOf(r, m)
		}
		return err
	}))
	if left, err := w.p.unread(s); !left || err != nil {
		t.Errorf("unread: %t, %v", left, err)
	}
	w.check(os.Remove(file))
	if left, err := w.p.unread(s); left || err != nil {
		t.Errorf("unread after all: %t, %v", left, err)
	}
	w.check(w.p.Reject(t.Context(), []string{"a"}, Decision{Reason: "no"}, ignoreLine))
	errs := make(chan error)
	for range 4 {
		go func() {
			p := w.open()
			_, err := p.Gate(t.Context(), GateOptions{}, ignoreLine)
			errs <- errors.Join(err, p.Close(context.Background()))
		}()
	}
	for range 4 {
		w.check(<-errs)
	}
	plans, err := countJobs(w, "goal-x")
	w.check(err)
	if plans != 3 {
		t.Errorf("%d jobs in the mission", plans)
	}
	w.tick()
	w.mission("goal-x", MissionCompleted, "so it stands")
	ended := 0
	for _, ev := range w.events("") {
		if ev.Event == job.MissionEnded {
			ended++
		}
	}
	if ended != 1 {
		t.Errorf("it ended %d times", ended)
	}
	w.verify()
}

func countJobs(w *world, mission string) (n int, err error) {
	err = w.p.view(w.t.Context(), func(r *index.Reader) (err error) {
		rows, err := r.List(index.JobFilter{Member: mission})
		n = len(rows)
		return err
	})
	return n, err
}
