package pipeline

import (
	"errors"
	"fmt"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/pipeline/rules"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// batchJobs is how many jobs one batch takes at most.
const batchJobs = 1000

// sweep moves the jobs that wait for nothing any more: those whose dependencies, backoff or rate window have let them
// through become ready, those whose dependency failed fail, those that share the end of another job end with it. Those
// whose dependency turned out to be none that they may have are blocked, and those whose mission lets none begin any more are
// cancelled. It returns the ids of the jobs that ended or
// were blocked. At most a batch of each is taken.
func (b *batch) sweep(r *rules.Rules) (ended, blocked []string, err error) {
	if err := b.wakeLanes(); err != nil {
		return nil, nil, err
	}
	if ended, err = b.openWindows(r); err != nil { // who was throttled comes before those that become due now
		return nil, nil, err
	}
	due, err := b.tx.Due(b.now, batchJobs)
	if err != nil {
		return nil, nil, err
	}
	due, blocked, err = b.gateCrossing(r, due)
	if err != nil {
		return nil, nil, err
	}
	for _, row := range due {
		over, err := b.wake(r, row)
		if err != nil {
			return nil, nil, err
		}
		if over {
			ended = append(ended, row.ID)
		}
	}
	orphans, err := b.tx.DepFailed(batchJobs)
	if err != nil {
		return nil, nil, err
	}
	orphans, refused, err := b.gateCrossing(r, orphans)
	if err != nil {
		return nil, nil, err
	}
	for _, row := range orphans {
		if now, ok, err := b.tx.Job(row.ID); err != nil {
			return nil, nil, err
		} else if !ok || now.Status.Final() {
			continue // it shared the end of one that was failed a moment ago
		}
		if err := b.orphan(row); err != nil {
			return nil, nil, err
		}
		ended = append(ended, row.ID)
		joined, err := b.endAllJoined(row.ID)
		if err != nil {
			return nil, nil, err
		}
		ended = append(ended, joined...)
	}
	stopped, err := b.stopMissions()
	return append(ended, stopped...), append(blocked, refused...), errors.Join(err, b.failed)
}

// orphan ends a job one of whose dependencies will not complete, in the way that it asked for.
func (b *batch) orphan(row indexRow) error {
	if row.OnDepFailure == job.OnFailureSkip {
		how, err := b.howEnded(row.ID, row.DepFailed)
		if err != nil {
			return err
		}
		b.jobEvent("dispatch", job.JobCancelled, row.ID, row.TraceID, "outbox", ledger.Cancelled{
			Code: codeSkipped, Reason: "Skipped: dependency " + row.DepFailed + " " + how}, nil)
		b.skipped++
		return b.failed
	}
	b.jobEvent("dispatch", job.JobFailed, row.ID, row.TraceID, "outbox", ledger.Ended{
		Code: "DEPENDENCY_FAILED", Error: "Dependency failed: " + row.DepFailed, ExitCode: -1,
		CompletedAt: job.FormatTime(b.now)}, nil)
	return b.failed
}

// codeSkipped is the error code of a job that was cancelled because it was not needed any more.
const codeSkipped = "DEPENDENCY_SKIPPED"

// howEnded says what became of a dependency that will not complete.
func (b *batch) howEnded(id, dependency string) (string, error) {
	deps, err := b.tx.DependsOn(id)
	if err != nil {
		return "", err
	}
	for _, d := range deps {
		if d.ID != dependency || d.Status != job.StatusCancelled {
			continue
		}
		row, _, err := b.tx.Job(d.Follows)
		if row.ErrorCode == codeSkipped {
			return "was skipped", err
		}
		return "was cancelled", err
	}
	return "failed", nil
}

// gateCrossing gates those of the jobs again that depend on a job of another source, and returns those that may go on and
// the ids of those that are blocked. A job may have been approved while nobody knew whose its dependency would be.
func (b *batch) gateCrossing(r *rules.Rules, rows []indexRow) (rest []indexRow, blocked []string, err error) {
	var crossing []indexRow
	for _, row := range rows {
		crosses, err := b.crosses(row)
		if err != nil {
			return nil, nil, err
		}
		if crosses {
			crossing = append(crossing, row)
		}
	}
	refused, err := b.gateAgain(r, crossing)
	if err != nil {
		return nil, nil, err
	}
	for _, row := range rows {
		if _, ok := refused[row.ID]; ok {
			blocked = append(blocked, row.ID)
		} else {
			rest = append(rest, row)
		}
	}
	return rest, blocked, nil
}

// crosses reports whether a job that has not been in the queue yet depends on one of another source.
func (b *batch) crosses(row indexRow) (bool, error) {
	if counted(row) {
		return false, nil
	}
	deps, err := b.tx.DependsOn(row.ID)
	if err != nil {
		return false, err
	}
	for _, d := range deps {
		dep, ok, err := b.tx.Job(d.ID)
		if err != nil {
			return false, err
		}
		if ok && dep.Source != row.Source {
			return true, nil
		}
	}
	return false, nil
}

// counted reports whether a job has had its place in a rate window: it is only tried again. One that is throttled waits for
// it, but was ready to go.
func counted(row indexRow) bool {
	return row.Status == job.StatusThrottled || row.RetryCount > 0 || row.Attempt > 0
}

// joinLate joins a job to the holder of its key where a crash came between its approval and the event that does so. over is
// whether it has ended with it.
func (b *batch) joinLate(r *rules.Rules, row indexRow) (joined, over bool, err error) {
	if row.Key == row.ID || row.HoldsKey {
		return false, false, nil
	}
	holder, ok, err := b.tx.KeyHolder(row.Source, row.Key)
	if err != nil || !ok || holder.ID == row.ID {
		return false, false, err
	}
	if keyFree(r, holder, b.now) {
		b.freeKey("dispatch", holder, row.ID)
		return false, false, b.failed
	}
	return true, holder.Status.Final(), b.join(row.ID, row.TraceID, holder)
}

// wake makes a waiting job ready, or throttles it where its source is over its rate or another one has its concurrency key.
// It returns whether the job is over, by sharing the end of another.
func (b *batch) wake(r *rules.Rules, row indexRow) (over bool, err error) {
	if joined, over, err := b.joinLate(r, row); err != nil || joined {
		return over, err
	}
	window, wait, err := b.turn(row)
	if err != nil {
		return false, err
	}
	if wait != nil {
		b.throttle("dispatch", row, *wait)
	} else {
		b.jobEvent("dispatch", job.JobReady, row.ID, row.TraceID, "approved", ledger.Ready{Slot: window}, nil)
	}
	return false, b.failed
}

// wakeLanes makes the jobs ready whose turn it is among those with their concurrency key.
func (b *batch) wakeLanes() error {
	next, err := b.tx.NextInLane(batchJobs)
	if err != nil {
		return err
	}
	for _, row := range next {
		b.jobEvent("dispatch", job.JobReady, row.ID, row.TraceID, "approved", ledger.Ready{}, nil)
	}
	return b.failed
}

// endAllJoined ends the jobs that wait for the end of the holder of their key, and those that wait for them, and returns their
// ids.
func (b *batch) endAllJoined(holder string) ([]string, error) {
	var ended []string
	for todo := []string{holder}; len(todo) > 0; {
		row, ok, err := b.tx.Job(todo[0])
		if err != nil {
			return nil, err
		}
		if !ok || !row.Status.Final() {
			todo = todo[1:]
			continue
		}
		joined, err := b.tx.Joined(row.ID, batchJobs)
		if err != nil {
			return nil, err
		}
		if len(joined) < batchJobs {
			todo = todo[1:]
		}
		for _, j := range joined {
			if err := b.endJoined(j.ID, j.TraceID, row); err != nil {
				return nil, err
			}
			ended = append(ended, j.ID)
			todo = append(todo, j.ID)
		}
	}
	return ended, nil
}

// endLostJoined ends the jobs whose holder has ended in a batch that a crash cut short.
func (b *batch) endLostJoined() ([]string, error) {
	rows, err := b.tx.JoinedToEnded(batchJobs)
	if err != nil {
		return nil, err
	}
	var ended []string
	for _, row := range rows {
		list, err := b.endAllJoined(row.JoinedTo)
		if err != nil {
			return nil, err
		}
		ended = append(ended, list...)
	}
	return ended, nil
}

// endJoined gives a job the outcome of the one that holds its key.
func (b *batch) endJoined(id, trace string, holder indexRow) error {
	meta := ledger.Ended{ExitCode: holder.ExitCode, DeduplicatedOf: holder.ID, CompletedAt: job.FormatTime(b.now)}
	if holder.Status == job.StatusCompleted {
		b.jobEvent("dispatch", job.JobCompleted, id, trace, "outbox", meta, nil)
		return b.failed
	}
	meta.Code = "DEDUPLICATED"
	meta.Error = fmt.Sprintf("Job %s, which holds the idempotency key, %s", holder.ID, holder.Status)
	b.jobEvent("dispatch", job.JobFailed, id, trace, "outbox", meta, nil)
	return b.failed
}
