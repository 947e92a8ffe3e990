package index

import (
	"fmt"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// memberTally is a change to the counts of a mission.
type memberTally struct {
	ready, inFlight int
	waiting         int // pending or throttled, without a lease
	fresh           int // of these, without an attempt
	started         int // with an attempt
	retries         int
	runMS           int64
	followUps       int
	status          [numStatuses]int // of the jobs that were not revised
}

func (tx *Tx) memberTally(mission string) *memberTally {
	t := tx.members[mission]
	if t == nil {
		t = &memberTally{}
		tx.members[mission] = t
	}
	return t
}

// countMember adds sign times a job to the counts of its mission.
func (tx *Tx) countMember(r *Row, sign int) {
	t := tx.memberTally(r.MemberOf)
	if r.Ready {
		t.ready += sign
	}
	if r.inFlight() {
		t.inFlight += sign
	}
	if r.Attempt > 0 {
		t.started += sign
	}
	if (r.Status == job.StatusPending || r.Status == job.StatusThrottled) && !r.Leased() && r.Zone == zoneApproved {
		t.waiting += sign
		if r.Attempt == 0 {
			t.fresh += sign
		}
	}
	if r.RevisedBy == "" {
		if r.ParentID != "" {
			t.followUps += sign
		}
		t.status[statusColumn(r.Status)] += sign
	}
}

// charge adds to the counts of a mission what an event about one of its jobs used up: a retry, or the time of an attempt that is
// over. old is the job as it was before the event.
func (tx *Tx) charge(old, row *Row, ev *ledger.Event, at time.Time) {
	if row.MemberOf == "" {
		return
	}
	if ev.Event == job.JobRetryScheduled && row.RetryCount > old.RetryCount {
		tx.memberTally(row.MemberOf).retries++
	}
	if old.Status != job.StatusRunning || old.StartedAt.IsZero() {
		return
	}
	var ran time.Duration
	switch ev.Event {
	case job.JobAttemptFailed, job.JobCompleted:
		ran = row.CompletedAt.Sub(old.StartedAt)
	case job.JobCancelled, job.OutcomeUnknown, job.LeaseExpired:
		if !old.CompletedAt.IsZero() {
			return // JOB_ATTEMPT_FAILED has told it already
		}
		// Nobody knows when the attempt ended; it had no longer than this.
		ran = min(at.Sub(old.StartedAt), time.Duration(old.TimeoutSeconds)*time.Second)
	default:
		return // what JOB_ATTEMPT_FAILED has told already
	}
	tx.memberTally(row.MemberOf).runMS += max(0, ran).Milliseconds()
}

const (
	updateMember = `UPDATE missions SET ready = ready + ?2, in_flight = in_flight + ?3, waiting = waiting + ?4, fresh = fresh + ?5,
    started = started + ?6, retries = retries + ?7, run_ms = run_ms + ?8, follow_ups = follow_ups + ?9, pending = pending + ?10,
    throttled = throttled + ?11, running = running + ?12, completed = completed + ?13, failed = failed + ?14,
    quarantined = quarantined + ?15, cancelled_jobs = cancelled_jobs + ?16 WHERE id = ?1`
	// updateStop restates Mission.Stopped.
	updateStop = `UPDATE missions SET stop = CASE
    WHEN cancelled OR budget_ms > 0 AND run_ms - base_ms >= budget_ms THEN 2
    WHEN budget_jobs > 0 AND started - base_jobs >= budget_jobs THEN 1 ELSE 0 END WHERE id = ?`
)

func (tx *Tx) flushMissions() error {
	for mission, t := range tx.members {
		if *t == (memberTally{}) {
			continue
		}
		values := []any{mission, t.ready, t.inFlight, t.waiting, t.fresh, t.started, t.retries, t.runMS, t.followUps}
		for _, n := range t.status {
			values = append(values, n)
		}
		err := tx.c.run(updateMember, values...)
		if err == nil {
			err = tx.c.run(updateStop, mission)
		}
		if err != nil {
			return fmt.Errorf("counts of mission %s: %w", mission, err)
		}
		*t = memberTally{}
	}
	return nil
}
