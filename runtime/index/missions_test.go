package index

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// declare submits a mission with the tasks a, b, c, …, whose jobs have the same names.
func (f *fixture) declare(id string, concurrent int, budget Usage, tasks ...string) {
	f.t.Helper()
	list := []any{}
	for _, t := range tasks {
		list = append(list, map[string]any{"id": t, "job_id": t, "proposal_sha256": anyDigest})
	}
	doc := map[string]any{"source": "agent", "title": "Test", "max_concurrent": concurrent, "tasks": list,
		"budget": map[string]any{"jobs": budget.Jobs, "retries": budget.Retries, "seconds": int(budget.Time.Seconds())}}
	f.eventWith(job.MissionSubmitted, "", ledger.MissionSubmitted{Mission: id, Tasks: len(tasks)}, doc)
}

// member proposes and approves a job of a mission.
func (f *fixture) member(mission, id string) {
	f.t.Helper()
	f.propose(id, func(m *ledger.Received) { m.MissionID, m.Member = mission, true })
	f.approve(id, true)
}

func (f *fixture) mission(id string) (m Mission) {
	f.t.Helper()
	f.read(func(r *Reader) {
		var ok bool
		var err error
		if m, ok, err = r.Mission(id); err != nil || !ok {
			f.t.Fatalf("%s: %t, %v", id, ok, err)
		}
	})
	return m
}

func (f *fixture) wantStopped(want ...string) {
	f.t.Helper()
	f.read(func(r *Reader) {
		rows, err := r.StoppedJobs(100)
		if err != nil || !slices.Equal(idsOf(rows), want) {
			f.t.Errorf("stopped: %v, %v; want %v", idsOf(rows), err, want)
		}
	})
}

// A mission that limits how many run at a time keeps nobody else back, however many of its jobs are ready.
func TestMissionConcurrency(t *testing.T) {
	f := newFixture(t)
	f.configure(map[string][2]int{"*": {0, 0}})
	f.declare("m", 2, Usage{}, "a", "b", "c")
	for _, id := range []string{"a", "b", "c"} {
		f.member("m", id)
	}
	f.propose("other", func(m *ledger.Received) { m.MissionID = "m" }) // only says so
	f.approve("other", true)
	f.wantClaim(10, "a", "b", "other")
	f.dispatch("a", 1)
	f.wantClaim(10, "b", "other")
	f.dispatch("b", 1)
	f.wantClaim(10, "other")
	f.read(func(r *Reader) {
		if rows, err := r.ClaimIDs([]string{"c", "other"}); err != nil || !slices.Equal(idsOf(rows), []string{"other"}) {
			t.Errorf("%v, %v", idsOf(rows), err)
		}
	})
	f.start("a", 1)
	f.complete("a")
	f.wantClaim(10, "c", "other")
	f.event(job.Paused, "", ledger.PausedMeta{Source: "agent"})
	f.wantClaim(10)
	if m := f.mission("m"); m.InFlight != 1 || m.Ready != 1 || m.Status[job.StatusCompleted] != 1 || m.Used.Jobs != 2 || m.Tasks != 3 {
		t.Errorf("%+v", m)
	}
}

func TestMissionBudget(t *testing.T) {
	f := newFixture(t)
	f.configure(map[string][2]int{"*": {0, 0}})
	f.declare("jobs", 0, Usage{Jobs: 1}, "a", "b")
	f.member("jobs", "a")
	f.member("jobs", "b")
	f.wantStopped()
	f.dispatch("a", 1)
	f.wantStopped("b")
	f.start("a", 1)
	f.event(job.JobAttemptFailed, "a", ledger.Ended{Attempt: 1, Code: "EXIT"})
	f.event(job.JobRetryScheduled, "a", ledger.RetryScheduled{Retry: 1, WakeAt: job.FormatTime(epoch)})
	f.wantStopped("b") // a has begun, and may go on
	if m := f.mission("jobs"); m.Used.Retries != 1 || m.Stopped() != StopNew {
		t.Errorf("%+v", m)
	}
	f.event(job.MissionRetried, "", ledger.MissionTurned{Mission: "jobs"})
	f.wantStopped()
	if m := f.mission("jobs"); m.Used != (Usage{}) {
		t.Errorf("%+v", m)
	}
	f.event(job.MissionCancelled, "", ledger.MissionTurned{Mission: "jobs"})
	f.wantStopped("a", "b")

	f.declare("seconds", 0, Usage{Time: 2 * time.Second}, "c", "d")
	f.member("seconds", "c")
	f.member("seconds", "d")
	f.dispatch("c", 1)
	f.event(job.JobStarted, "c", ledger.Started{Attempt: 1, StartedAt: job.FormatTime(epoch)})
	f.event(job.JobCompleted, "c", ledger.Ended{Attempt: 1, CompletedAt: job.FormatTime(epoch.Add(2500 * time.Millisecond))})
	f.wantStopped("a", "b", "d")
	if m := f.mission("seconds"); m.Used.Time != 2500*time.Millisecond {
		t.Errorf("%+v", m)
	}
	if diffs, err := f.db.CheckRebuild(t.Context(), f.h, f.h, 10, CheckProgress{}); err != nil || len(diffs) > 0 {
		t.Error(diffs, err)
	}
}

// However many missions there were, one that is over costs a claim nothing.
func TestOldMissionsCostNothing(t *testing.T) {
	f := newFixture(t)
	f.configure(map[string][2]int{"*": {0, 0}})
	cost := func(label string) time.Duration {
		best := time.Hour
		f.read(func(r *Reader) {
			for range 20 {
				start := time.Now()
				if _, err := r.Claim(10); err != nil {
					t.Fatal(err)
				}
				if _, err := r.Waking(epoch); err != nil {
					t.Fatal(err)
				}
				best = min(best, time.Since(start))
			}
		})
		t.Logf("%s: %v", label, best)
		return best
	}
	f.propose("x", nil)
	f.approve("x", true)
	before := cost("none")
	for n := range 300 {
		id := fmt.Sprint("m", n)
		f.declare(id, 1, Usage{Jobs: 1}, id+".a")
		f.member(id, id+".a")
		f.run(id + ".a")
	}
	if after := cost("300"); after > 4*before+time.Millisecond {
		t.Errorf("a claim took %v, and takes %v", before, after)
	}
}

// A mission with a goal is open until it has ended, is taken up again by a retry, and never after it was reached.
func TestGoals(t *testing.T) {
	f := newFixture(t)
	f.configure(map[string][2]int{"*": {0, 0}})
	f.declare("plain", 0, Usage{}, "p")
	for _, id := range []string{"won", "lost", "stopped"} {
		f.eventWith(job.MissionSubmitted, "", ledger.MissionSubmitted{Mission: id, Tasks: 1}, map[string]any{"source": "agent", "goal": map[string]any{},
			"budget": map[string]any{}, "tasks": []any{map[string]any{"id": id, "job_id": id, "proposal_sha256": anyDigest},
				map[string]any{"id": id + "2", "job_id": id + "2"}}})
	}
	open := func(want ...string) {
		t.Helper()
		f.read(func(r *Reader) {
			list, err := r.Goals()
			var ids []string
			for _, m := range list {
				ids = append(ids, m.ID)
			}
			if err != nil || !slices.Equal(ids, want) {
				t.Errorf("open: %v, %v; want %v", ids, err, want)
			}
		})
	}
	open("lost", "stopped", "won")
	f.member("won", "won")
	f.propose("child", func(m *ledger.Received) { m.MissionID, m.Member, m.ParentID = "won", true, "won" })
	if m := f.mission("won"); m.Tasks != 1 || m.FollowUps != 1 || m.Goal != GoalOpen {
		t.Errorf("%+v", m)
	}
	f.event(job.MissionEnded, "", ledger.MissionEnded{Mission: "won", Done: true, Reason: "there it is"})
	f.event(job.MissionEnded, "", ledger.MissionEnded{Mission: "lost", Reason: "no way"})
	f.event(job.MissionCancelled, "", ledger.MissionTurned{Mission: "stopped"})
	open()
	if m := f.mission("lost"); m.Goal != GoalGivenUp || m.GoalReason != "no way" {
		t.Errorf("%+v", m)
	}
	for _, id := range []string{"won", "lost", "stopped", "plain"} {
		f.event(job.MissionRetried, "", ledger.MissionTurned{Mission: id})
	}
	open("lost", "stopped")
	if m := f.mission("won"); m.Goal != GoalReached || m.GoalReason != "there it is" {
		t.Errorf("%+v", m)
	}
}
