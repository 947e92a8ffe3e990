package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/index"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// What is done beside the queue in each round.
const (
	queueSlots  = 20  // jobs that one dispatch takes
	claimed     = 100 // jobs that one claim inside this process finds
	claims      = 10  // of these in a round
	tickJobs    = 50  // jobs that come in and run in one tick
	loadedBatch = 1000
)

// queue is a workspace with many jobs ready to run.
type queue struct {
	space
	name                  string
	jobs                  int
	claim, dispatch, tick costs
}

// measureQueue compares what it costs to take jobs out of a short queue and out of a long one, and what a tick costs beside
// them. Nothing of it is committed to git, which is measured by itself.
func measureQueue(ctx context.Context, b *bench) error {
	queues := []*queue{
		{name: "short", jobs: max(1000, b.size.queued/1000)},
		{name: "long", jobs: b.size.queued},
	}
	for _, q := range queues {
		if err := q.fill(ctx, b); err != nil {
			return err
		}
	}
	for range b.size.queueRounds {
		for _, q := range queues {
			if err := q.take(ctx); err != nil {
				return err
			}
		}
	}
	// A paused queue is still there to be looked at, and a tick does not empty it.
	for _, q := range queues {
		if err := q.command("--no-commit", "pause", "backlog", "--reason", "benchmark").run(ctx); err != nil {
			return err
		}
	}
	for range b.size.queueRounds {
		for _, q := range queues {
			if err := q.work(ctx); err != nil {
				return err
			}
		}
	}
	short, long := queues[0], queues[1]
	b.report.line("beside %d and %d jobs that are ready to run; %d rounds in turn, without git", short.jobs, long.jobs, b.size.queueRounds)
	for _, row := range []struct {
		name        string
		short, long costs
	}{
		{fmt.Sprintf("claim of %d jobs, within a process", claimed), short.claim, long.claim},
		{fmt.Sprintf("sheratan dispatch, %d jobs", queueSlots), short.dispatch, long.dispatch},
		{fmt.Sprintf("sheratan tick, %d noop jobs", tickJobs), short.tick, long.tick},
	} {
		b.report.row(row.name+", short", row.short.wall)
		b.report.row(row.name+", long", row.long.wall)
		b.report.growth("long : short", float64(row.long.wall.median()), float64(row.short.wall.median()))
	}
	return nil
}

// fill makes the workspace and its queue: a noop job lives, and its life until it was approved is copied. The jobs that
// will be dispatched, the first, are whole; the others share documents.
func (q *queue) fill(ctx context.Context, b *bench) error {
	var err error
	if q.space, err = b.newSpace(ctx, "queue-"+q.name, queueSlots); err != nil {
		return err
	}
	l, err := q.live(ctx, noop, "--source", "backlog")
	if err != nil {
		return err
	}
	if l, err = l.until(job.JobApproved); err != nil {
		return err
	}
	log, docs, err := q.open()
	if err != nil {
		return err
	}
	defer log.Close()
	defer docs.Close()
	db, err := index.Open(q.IndexDB())
	if err != nil {
		return err
	}
	defer db.Close()
	whole := (b.size.queueRounds + 1) * queueSlots
	for made := 0; made < q.jobs; made += loadedBatch {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(loadedBatch, q.jobs-made)
		var events []ledger.Event
		if made < whole {
			events, err = l.copies(docs, n)
		} else {
			events = l.shallow(n)
		}
		if err != nil {
			return err
		}
		if err := load(ctx, db, log, docs, events); err != nil {
			return err
		}
	}
	return db.Checkpoint()
}

// load appends events to a ledger and applies them to its index, by the write path of the pipeline.
func load(ctx context.Context, db *index.DB, log *ledger.Log, docs *ledger.Documents, events []ledger.Event) error {
	tx, err := db.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	pos, err := tx.Position()
	if err != nil {
		return err
	}
	batch := ledger.NewBatch(pos)
	for i := range events {
		if err := batch.Add(&events[i]); err != nil {
			return err
		}
		if err := tx.Apply(&events[i], docs); err != nil {
			return err
		}
	}
	if pos, err = log.Write(batch); err != nil {
		return err
	}
	if err := tx.SetPosition(pos); err != nil {
		return err
	}
	return tx.Commit()
}

// take times one claim inside this process and one dispatch, and runs what was dispatched.
func (q *queue) take(ctx context.Context) error {
	if err := q.timeClaim(ctx); err != nil {
		return err
	}
	if err := timed(ctx, &q.dispatch, q.command("--no-commit", "dispatch")); err != nil {
		return err
	}
	return q.command("--no-commit", "run").run(ctx)
}

// timeClaim asks for the head of the queue in transactions that change nothing. The first is not timed: it compiles the
// statements and reads the pages.
func (q *queue) timeClaim(ctx context.Context) error {
	db, err := index.Open(q.IndexDB())
	if err != nil {
		return err
	}
	defer db.Close()
	for i := range 1 + claims {
		start := time.Now()
		tx, err := db.Begin(ctx)
		if err != nil {
			return err
		}
		rows, err := tx.Claim(claimed)
		if err != nil {
			return err
		}
		if err := tx.Rollback(); err != nil {
			return err
		}
		if len(rows) != claimed {
			return fmt.Errorf("%s queue: %d jobs were claimed, not %d", q.name, len(rows), claimed)
		}
		if i > 0 {
			q.claim.wall = append(q.claim.wall, time.Since(start))
		}
	}
	return nil
}

// work times a tick over a few jobs of another source.
func (q *queue) work(ctx context.Context) error {
	if err := q.submit(ctx, strings.Repeat(noop, tickJobs)); err != nil {
		return err
	}
	return timed(ctx, &q.tick, q.command("--no-commit", "tick", "--linger", "0s"))
}
