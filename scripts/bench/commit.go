package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/sheratan/sheratan/runtime/history"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// Commits of the histories that are made, and of those that are timed, in jobs.
const (
	commitJobs = 50
	timedJobs  = 1
	shortPast  = 1000 // events
)

// past is a workspace with a ledger of some length and its git history.
type past struct {
	space
	name   string
	events int
	pos    ledger.Position
	at     time.Time
	life   life
	commit costs
	bytes  int64
}

// measureCommit compares what a commit costs on top of a short history and of a long one, and what the repositories take
// on the disk.
func measureCommit(ctx context.Context, b *bench) error {
	pasts := []*past{{name: "short", events: shortPast}, {name: "long", events: b.size.events}}
	for _, p := range pasts {
		if err := p.fill(ctx, b); err != nil {
			return err
		}
	}
	for range b.size.commitRounds {
		for _, p := range pasts {
			took, err := p.grow(ctx, timedJobs)
			if err != nil {
				return err
			}
			p.commit.add(took)
		}
	}
	short, long := pasts[0], pasts[1]
	b.report.line("on top of %d and %d events, %d jobs to a commit; %d rounds in turn", short.events, long.events, commitJobs, b.size.commitRounds)
	for _, p := range pasts {
		b.report.row(fmt.Sprintf("commit of a job by a new process, %s", p.name), p.commit.wall)
	}
	b.report.growth("long : short", float64(long.commit.wall.median()), float64(short.commit.wall.median()))
	each := func(p *past) float64 { return float64(p.bytes) / float64(p.events) }
	for _, p := range pasts {
		b.report.line("%-44s %10s  %d bytes an event", "runtime/.git, "+p.name, fmt.Sprintf("%.2f MB", float64(p.bytes)/1e6), int(each(p)))
	}
	b.report.growth("bytes an event, long : short", each(long), each(short))
	return nil
}

// fill makes the ledger and its history, in commits of commitJobs jobs.
func (p *past) fill(ctx context.Context, b *bench) error {
	var err error
	if p.space, err = b.newSpace(ctx, "history-"+p.name, 2); err != nil {
		return err
	}
	if p.life, err = p.live(ctx, execTrue); err != nil {
		return err
	}
	log, docs, err := p.open()
	if err != nil {
		return err
	}
	defer log.Close()
	defer docs.Close()
	if p.pos, _, err = log.Tail(p.pos, func(*ledger.Event, []byte, ledger.Position) error { return nil }); err != nil {
		return err
	}
	repo, err := history.Open(p.Runtime())
	if err != nil {
		return err
	}
	p.at = time.Now()
	for p.pos.Size < int64(p.events) {
		if err := p.append(log, docs, commitJobs); err != nil {
			return err
		}
		if err := p.commitTo(ctx, repo); err != nil {
			return err
		}
		if repo.PackDue() { // as a tick does
			if _, err := repo.Pack(ctx); err != nil {
				return err
			}
		}
	}
	p.bytes, _, err = folderSizes(filepath.Join(p.Runtime(), ".git"))
	p.events = int(p.pos.Size)
	return err
}

// append adds the lives of n jobs to the ledger.
func (p *past) append(log *ledger.Log, docs *ledger.Documents, n int) error {
	events, err := p.life.copies(docs, n)
	if err != nil {
		return err
	}
	batch := ledger.NewBatch(p.pos)
	for i := range events {
		if err := batch.Add(&events[i]); err != nil {
			return err
		}
	}
	p.pos, err = log.Write(batch)
	return err
}

func (p *past) commitTo(ctx context.Context, repo *history.Repository) error {
	p.at = p.at.Add(time.Minute)
	_, changed, err := repo.Commit(ctx, history.Snapshot{
		Ledger:   history.Position{Size: p.pos.Size, Segment: p.pos.Segment, Offset: p.pos.Offset},
		Subject:  "tick",
		Trailers: []history.Trailer{{Key: "Ledger-Root", Value: p.pos.RootHex()}},
		Time:     p.at,
	})
	if err == nil && !changed {
		err = fmt.Errorf("%s history: nothing was committed", p.name)
	}
	return err
}

// grow adds n jobs and times their commit by a process that has just opened the repository, and so checks it first.
func (p *past) grow(ctx context.Context, n int) (spent, error) {
	log, docs, err := p.open()
	if err != nil {
		return spent{}, err
	}
	defer log.Close()
	defer docs.Close()
	if err := p.append(log, docs, n); err != nil {
		return spent{}, err
	}
	cpu, start := ownCPU(), time.Now()
	repo, err := history.Open(p.Runtime())
	if err != nil {
		return spent{}, err
	}
	err = p.commitTo(ctx, repo)
	return spent{wall: time.Since(start), cpu: ownCPU() - cpu}, err
}
