package pipeline

import (
	"crypto/rand"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/sheratan/sheratan/hosts/agent"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/pipeline/rules"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// attemptFailed decides what follows a failed attempt: another one, or the end of the job. retryable says whether the failure
// is of a kind that repetition can mend. It returns whether the job is over.
func (b *batch) attemptFailed(r *rules.Rules, j job.Job, row indexRow, meta ledger.Ended, doc ledger.Ref, retryable bool) (over bool, err error) {
	if meta.Code == agent.CodeExit {
		retryable = retryable && j.RetriesExit(meta.ExitCode)
	}
	switch {
	case meta.Code == codeInterrupted:
		b.jobEvent("run", job.JobCancelled, row.ID, row.TraceID, "outbox",
			ledger.Cancelled{Code: codeInterrupted, Reason: "interrupted while it ran"}, nil)
		return true, b.failed
	case meta.Code == agent.CodeCancelled && row.Rerun:
		// It did not fail by itself: it goes back into the queue, and the attempt does not count as a retry.
		b.retry(row, row.RetryCount, b.now)
		return false, b.failed
	case meta.Code == agent.CodeCancelled:
		unknown := ledger.Unknown{Attempt: row.Attempt, Reason: reasonInterrupted}
		if meta.Error == reasonPaused {
			unknown.Reason = reasonPaused
		}
		b.jobEvent("run", job.OutcomeUnknown, row.ID, row.TraceID, "blocked", unknown, nil)
		return false, b.failed
	case retryable && row.RetryCount < row.MaxRetries:
		refusal, err := b.noRetry(r, row)
		if err != nil {
			return false, err
		}
		if refusal != "" {
			meta.Error = shorten(refusal + ": " + meta.Error)
			break
		}
		wait, err := b.p.retryWait(r, j, row.RetryCount)
		if err != nil {
			return false, err
		}
		b.retry(row, row.RetryCount+1, b.now.Add(wait))
		return false, b.failed
	case retryable && row.MaxRetries > 0:
		meta.Error = shorten("Max retries exceeded: " + codeFirst(meta))
	}
	b.jobEvent("run", job.JobFailed, row.ID, row.TraceID, "outbox", meta, &doc)
	return true, b.failed
}

// codeInterrupted is the error code of an attempt, and of its job, that was ended because whoever submitted the job and ran it
// did not want it any more. An attempt that was ended for another reason has agent.CodeCancelled.
const codeInterrupted = "INTERRUPTED"

// Why nobody knows the outcome of an attempt that this program has ended. The result of the attempt is that of the event before.
const (
	reasonInterrupted = "interrupted"
	reasonPaused      = "paused"
)

// endedByUs reports whether an outcome is unknown because the attempt was ended on purpose.
func endedByUs(reason string) bool { return reason == reasonInterrupted || reason == reasonPaused }

// codeFirst is the error of an attempt behind the exit code of the program, where there was one.
func codeFirst(meta ledger.Ended) string {
	code := fmt.Sprintf("exit status %d", meta.ExitCode)
	if meta.ExitCode <= 0 || strings.HasPrefix(meta.Error, code) {
		return meta.Error
	}
	return code + ": " + meta.Error
}

// noRetry says why a failed attempt is not repeated although the job would allow it: its mission has used up its retries, or its
// bucket those of this hour.
func (b *batch) noRetry(r *rules.Rules, row indexRow) (string, error) {
	if refusal, err := b.missionRetries(row); err != nil || refusal != "" {
		return refusal, err
	}
	most := r.Config.Sources[row.Bucket].MaxRetriesPerHour
	if most == 0 {
		return "", nil
	}
	used, err := b.tx.RetriesUsed(row.Bucket, b.now)
	if err != nil || used < most {
		return "", err
	}
	return fmt.Sprintf("Retry budget of source %s is used up", row.Bucket), nil
}

// retryWait is the pause before retry k = 0, 1, 2, … of a job.
func (p *Pipeline) retryWait(r *rules.Rules, j job.Job, k int) (time.Duration, error) {
	wait := j.RetryBackoff.Wait(k, time.Duration(r.Config.Limits.RetryWait)*time.Second)
	if j.RetryJitter != job.JitterFull {
		return wait, nil
	}
	n, err := rand.Int(p.opts.Rand, big.NewInt(int64(wait)+1))
	if err != nil {
		return 0, fmt.Errorf("random source: %w", err)
	}
	return time.Duration(n.Int64()), nil
}

func (b *batch) retry(row indexRow, count int, at time.Time) {
	b.jobEvent("run", job.JobRetryScheduled, row.ID, row.TraceID, "approved",
		ledger.RetryScheduled{Retry: count, WakeAt: job.FormatTime(at)}, nil)
}

// claim is the head of the queue, as far as the limit over all sources leaves room, without the jobs that rest.
func (b *batch) claim(r *rules.Rules, n int) ([]indexRow, error) {
	n, err := b.room(r, n)
	if err != nil {
		return nil, err
	}
	return b.p.rest.claim(b.tx.Reader, n, b.now)
}

// room is how many of n jobs may be dispatched without there being more than limits.in_flight.
func (b *batch) room(r *rules.Rules, n int) (int, error) {
	most := r.Config.Limits.InFlight
	if most == 0 || n == 0 {
		return n, nil
	}
	busy, err := b.tx.InFlight()
	return min(n, max(0, most-busy)), err
}
