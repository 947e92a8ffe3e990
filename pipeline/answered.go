package pipeline

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/sheratan/sheratan/pipeline/rules"
	"github.com/sheratan/sheratan/runtime/durable"
	"github.com/sheratan/sheratan/runtime/index"
)

// Replies are not documents: they follow from the ledger and the rules for answers, so that nothing is recorded when they go. Which of
// them are due follows from the events in their order. A file says how far these were looked through; where it is lost, that begins
// anew and removes nothing twice.

// repliesAtOnce is how many events are looked through between two notes of how far that has come.
const repliesAtOnce = 8 * batchJobs

// retainReplies removes replies to jobs that have been over for long enough, and reports whether these were all.
func (p *Pipeline) retainReplies(ctx context.Context, policy rules.Retention, now time.Time) (all bool, err error) {
	if policy.Replies == 0 {
		return true, nil
	}
	before := now.AddDate(0, 0, -policy.Replies)
	from, err := p.answered()
	if err != nil {
		return false, err
	}
	for range retainBatches {
		var to, end int64
		var due []indexRow
		err := p.view(ctx, func(r *index.Reader) (err error) {
			due = nil
			if end, err = r.FirstAt(before); err != nil {
				return err
			}
			to = min(end, from+repliesAtOnce)
			due, err = overSince(r, from, to, before)
			return err
		})
		if err != nil || from >= to {
			return err == nil, err
		}
		for _, row := range due {
			if err := p.ws.DropReply(row.Source, row.ID); err != nil {
				p.tellOnce([]string{"replies of " + row.Source + " are kept longer than retention.replies says: " + err.Error()})
			}
		}
		if err := durable.ReplaceFile(p.ws.Answered(), strconv.AppendInt(nil, to, 10), 0o600); err != nil {
			return false, err
		}
		if from = to; from == end {
			return true, nil
		}
	}
	return false, nil
}

// overSince lists the jobs of these events of which nothing was heard since. One that was taken up again, or changed in another way, has a
// later event, with which its turn comes.
func overSince(r *index.Reader, from, to int64, before time.Time) (rows []indexRow, err error) {
	if from >= to {
		return nil, nil
	}
	ids, err := r.JobsOfEvents(from, to)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		row, ok, err := r.Job(id)
		if err != nil {
			return nil, err
		}
		if ok && row.Status.Final() && row.UpdatedAt.Before(before) {
			rows = append(rows, row)
		}
	}
	return rows, nil
}

// answered is the first event that was not looked through for replies that are due, 0 where nobody knows.
func (p *Pipeline) answered() (int64, error) {
	text, err := os.ReadFile(p.ws.Answered())
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	n, parseErr := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if parseErr != nil || n < 0 {
		n = 0
	}
	return n, err
}
