package pipeline

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/pipeline/rules"
	"github.com/sheratan/sheratan/runtime/index"
)

// Bounds of retention: how often a workspace is looked through, and how much one tick removes. What is left over is removed by
// the next tick.
const (
	retainEvery   = 10 * time.Minute
	retainPause   = time.Second // between two passes, where one has left something
	retainBatches = 10
)

// Reasons of removals by policy.
const (
	reasonAge  = "retention: age"
	reasonSize = "retention: size"
)

// retain removes output files, artifacts and replies that are kept longer, or are more, than the config says.
func (t *ticker) retain(ctx context.Context, now time.Time) (err error) {
	pause := time.Minute
	if t.retains {
		pause = retainPause
	}
	if now.Sub(t.retained) < pause {
		return nil
	}
	t.retained = now
	t.retains, err = t.p.retain(ctx, t.engine.rules, now, t.o.needs == nil)
	return err
}

// retain makes one pass, and reports whether it has left replies for the next. A tick that somebody drives for jobs of his own leaves
// all of them to others.
func (p *Pipeline) retain(ctx context.Context, r *rules.Rules, now time.Time, replies bool) (more bool, err error) {
	if err := p.finishRemovals(ctx); err != nil {
		return false, err
	}
	policy := r.Config.Retention
	if policy == (rules.Retention{}) || p.retained(policy, now) {
		return false, nil
	}
	output, err := p.retainOutput(ctx, policy, now)
	if err != nil {
		return false, err
	}
	all := policy.Replies == 0
	if replies {
		if all, err = p.retainReplies(ctx, policy, now); err != nil {
			return false, err
		}
	}
	if !output || !all {
		return replies && !all, nil
	}
	return false, p.noteRetained(policy, now)
}

// retainOutput removes output files and artifacts, and reports whether that was all.
func (p *Pipeline) retainOutput(ctx context.Context, policy rules.Retention, now time.Time) (all bool, err error) {
	if policy.Days == 0 && policy.Bytes == 0 {
		return true, nil
	}
	after := int64(-1)
	for range retainBatches {
		due, err := p.overdue(ctx, policy, now, after)
		if err != nil || len(due) == 0 {
			return true, err
		}
		if _, err := p.removing(ctx, func(b *batch) (list []Removal, err error) {
			for _, d := range due {
				if len(list) >= batchJobs {
					break
				}
				more, err := b.remove("tick", d.Seq, d.reason, func(job.Artifact) bool { return true })
				if err != nil {
					return nil, err
				}
				list = append(list, more...)
				after = d.Seq
			}
			return list, nil
		}); err != nil {
			return false, err
		}
	}
	return false, nil
}

// overdueAttempt is an attempt whose files are to be removed.
type overdueAttempt struct {
	index.Kept
	reason string
}

// overdue lists the oldest attempts whose files are to be removed, behind the one with the number after.
func (p *Pipeline) overdue(ctx context.Context, policy rules.Retention, now time.Time, after int64) (due []overdueAttempt, err error) {
	var kept []index.Kept
	var total int64
	err = p.view(ctx, func(r *index.Reader) (err error) {
		if kept, err = r.OldestKept(after, batchJobs/4); err == nil && len(kept) > 0 && policy.Bytes > 0 {
			total, err = r.KeptBytes()
		}
		return err
	})
	for _, k := range kept {
		switch {
		case policy.Days > 0 && k.EndedAt.Before(now.AddDate(0, 0, -policy.Days)):
			due = append(due, overdueAttempt{k, reasonAge})
		case policy.Bytes > 0 && total > policy.Bytes:
			due = append(due, overdueAttempt{k, reasonSize})
		default:
			return due, err // the others are younger
		}
		total -= k.Bytes
	}
	return due, err
}

// retained reports whether a workspace was looked through for this policy a short while ago.
func (p *Pipeline) retained(policy rules.Retention, now time.Time) bool {
	info, err := os.Stat(p.ws.Retained())
	if err != nil || now.Sub(info.ModTime()).Abs() >= retainEvery {
		return false
	}
	had, err := os.ReadFile(p.ws.Retained())
	return err == nil && string(had) == policyText(policy)
}

// noteRetained notes that under this policy there was nothing more to remove.
func (p *Pipeline) noteRetained(policy rules.Retention, now time.Time) error {
	if err := os.WriteFile(p.ws.Retained(), []byte(policyText(policy)), 0o600); err != nil {
		return err
	}
	return os.Chtimes(p.ws.Retained(), now, now)
}

func policyText(policy rules.Retention) string {
	return fmt.Sprintf("%d days, %d bytes, replies %d days\n", policy.Days, policy.Bytes, policy.Replies)
}
