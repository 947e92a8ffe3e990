package pipeline

import (
	"fmt"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/pipeline/rules"
	"github.com/sheratan/sheratan/runtime/index"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// window returns the rate window of a bucket that can be filled now, and how many jobs still fit in.
func (b *batch) window(w index.Limit) (start time.Time, room int) {
	if w.Window.IsZero() || !b.now.Before(w.Window.Add(index.WindowLength)) {
		return b.now, w.JobsPerMinute
	}
	return w.Window, max(0, w.JobsPerMinute-w.Count)
}

// slot finds a place in the rate window of a bucket for a job that comes now. Where there is none, or others wait for one, it
// returns the time until which the job has to wait at least, and it lines up behind those of its source.
func (b *batch) slot(bucket string) (window string, until time.Time, err error) {
	w, err := b.tx.RateWindow(bucket)
	if err != nil || w.JobsPerMinute == 0 {
		return "", time.Time{}, err
	}
	start, room := b.window(w)
	if room == 0 {
		return "", start.Add(index.WindowLength), nil
	}
	lines, known := b.lines[bucket]
	if !known {
		rows, err := b.tx.Throttled(bucket, 1)
		if err != nil {
			return "", time.Time{}, err
		}
		lines = len(rows) > 0
		b.line(bucket, lines)
	}
	if lines {
		return "", b.now, nil
	}
	return job.FormatTime(start), time.Time{}, nil
}

// line remembers whether jobs of a bucket are throttled.
func (b *batch) line(bucket string, lines bool) {
	if b.lines == nil {
		b.lines = map[string]bool{}
	}
	b.lines[bucket] = lines
}

// throttle makes a job wait for a rate window, or for the others in its lane.
func (b *batch) throttle(actor string, row indexRow, wait ledger.Throttled) {
	b.jobEvent(actor, job.JobThrottled, row.ID, row.TraceID, "approved", wait, nil)
	if !wait.Lane {
		b.line(row.Bucket, true)
	}
}

// openWindows gives the places in rate windows that there are now to the jobs that wait for one: the sources of a bucket
// take turns, so that one with very many keeps the others waiting no longer than one with few. It returns the jobs that
// ended instead, with the holder of their key. What the limits of the sources are now counts, not what they were when the
// jobs were throttled.
func (b *batch) openWindows(r *rules.Rules) (ended []string, err error) {
	buckets, err := b.tx.ThrottledBuckets()
	if err != nil {
		return nil, err
	}
	for _, bucket := range buckets {
		w, err := b.tx.RateWindow(bucket)
		if err != nil {
			return nil, err
		}
		start, room := b.window(w)
		ready := ledger.Ready{Slot: job.FormatTime(start)}
		if w.JobsPerMinute == 0 {
			ready.Slot, room = "", batchJobs
		}
		rows, err := b.tx.Throttled(bucket, min(room, batchJobs))
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			joined, over, err := b.joinLate(r, row)
			if err != nil {
				return nil, err
			}
			if over {
				ended = append(ended, row.ID)
			}
			if joined {
				continue
			}
			if err := b.enterLane(row, ready.Slot); err != nil {
				return nil, err
			}
		}
		delete(b.lines, bucket)
	}
	return ended, b.failed
}

// enterLane makes a job that has its place in a rate window ready, or lets it wait for the others in its lane.
func (b *batch) enterLane(row indexRow, window string) error {
	taken, err := b.laneTaken(row)
	if err != nil {
		return err
	}
	if taken {
		b.throttle("dispatch", row, ledger.Throttled{Lane: true, Slot: window})
		return b.failed
	}
	b.jobEvent("dispatch", job.JobReady, row.ID, row.TraceID, "approved", ledger.Ready{Slot: window}, nil)
	return b.failed
}

// waitsForOthers says what a job waits for whose bucket has as many in flight as it may.
func (p *Pipeline) waitsForOthers(r *index.Reader, row indexRow) ([]string, error) {
	limit, err := r.RateWindow(row.Bucket)
	if err != nil {
		return nil, err
	}
	text := fmt.Sprintf("the end of another job of source %s: %d at a time", row.Source, limit.Concurrent)
	if row.Bucket != row.Source {
		text += ", together with the other sources of " + row.Bucket
	}
	return []string{text}, nil
}

// waitsForWindow says what a throttled job waits for.
func (p *Pipeline) waitsForWindow(r *index.Reader, row indexRow) ([]string, error) {
	w, err := r.RateWindow(row.Bucket)
	if err != nil {
		return nil, err
	}
	text := fmt.Sprintf("its turn within the rate of source %s: %d jobs a minute", row.Source, w.JobsPerMinute)
	if row.Bucket != row.Source {
		text += ", in turn with the other sources of " + row.Bucket
	}
	if opens := w.Window.Add(index.WindowLength); w.Count >= w.JobsPerMinute && opens.After(p.now()) {
		text += "; the next window begins at " + stampOf(opens)
	}
	return []string{text}, nil
}
