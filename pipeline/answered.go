package pipeline

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
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

// repliesAtOnce is how many events are looked through in one pass, in which no end is recorded and nothing is leased.
const repliesAtOnce = 8 * batchJobs

// keptMost is how many replies that could not be removed are remembered. Where there are more, the removal goes no further.
const keptMost = 1000

// retainReplies removes replies to jobs that have been over for long enough, those of one portion of the events, and reports whether
// these were all. One that cannot be removed is kept for the next time, and holds up no other.
func (p *Pipeline) retainReplies(ctx context.Context, policy rules.Retention, now time.Time) (all bool, err error) {
	if policy.Replies == 0 {
		return true, nil
	}
	before := now.AddDate(0, 0, -policy.Replies)
	had, err := p.answered()
	if err != nil {
		return false, err
	}
	var from, to, end int64
	var due []indexRow
	err = p.view(ctx, func(r *index.Reader) error {
		pos, err := r.Position()
		if err != nil {
			return err
		}
		if from = had.to; from > pos.Size {
			from = 0 // of a ledger that went further than the one that is here now
		}
		if end, err = r.FirstAt(before); err != nil {
			return err
		}
		to = max(from, min(end, from+repliesAtOnce))
		due, err = overSince(r, had.kept, from, to, before)
		return err
	})
	if err != nil {
		return false, err
	}
	is := answered{to: to}
	for _, row := range due {
		if err := p.ws.DropReply(row.Source, row.ID); err != nil {
			p.tellOnce([]string{"replies of " + row.Source + " are kept longer than retention.replies says: " + err.Error()})
			is.kept = append(is.kept, row.ID)
		}
	}
	if len(is.kept) > keptMost {
		return true, nil // all of them are tried again the next time
	}
	if is.to != had.to || len(is.kept)+len(had.kept) > 0 {
		err = durable.ReplaceFile(p.ws.Answered(), []byte(is.String()), 0o600)
	}
	return to >= end, err
}

// overSince lists the jobs that were kept and those of these events, of which nothing was heard since. One that was taken up again, or changed in another way, has a
// later event, with which its turn comes.
func overSince(r *index.Reader, kept []string, from, to int64, before time.Time) (rows []indexRow, err error) {
	ids := slices.Clone(kept)
	if from < to {
		of, err := r.JobsOfEvents(from, to)
		if err != nil {
			return nil, err
		}
		ids = append(ids, slices.DeleteFunc(of, func(id string) bool { return slices.Contains(kept, id) })...)
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

// answered says how far replies were looked through.
type answered struct {
	to   int64    // the first event that was not
	kept []string // the jobs before it whose reply could not be removed
}

// String is the file: the number of the event, and a line for each reply that is left.
func (a answered) String() string {
	text := strconv.AppendInt(nil, a.to, 10)
	for _, id := range a.kept {
		text = append(text, "\n"+id...)
	}
	return string(text)
}

// answered reads the file. Where nobody knows, nothing was looked through.
func (p *Pipeline) answered() (a answered, err error) {
	text, err := os.ReadFile(p.ws.Answered())
	if errors.Is(err, fs.ErrNotExist) {
		return a, nil
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if n, err := strconv.ParseInt(lines[0], 10, 64); err == nil && n >= 0 {
		a.to = n
	}
	a.kept = lines[1:]
	return a, err
}
