package pipeline

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/history"
	"github.com/sheratan/sheratan/runtime/index"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// trailerJobs is how many jobs a commit names; where there are more it names none.
const trailerJobs = 20

// commitWhile brings what is in the ledger and not in git into a commit, and returns its hash, "" where there was nothing to
// commit. The subject says what the tick did. It does something else beside it, as soon as it has read what it needs from the index.
func (p *Pipeline) commitWhile(ctx context.Context, t TickLine, beside func()) (hash string, err error) {
	defer func() { p.uncommitted = err != nil }()
	repo, err := p.repository()
	if err != nil {
		return "", err
	}
	snapshot, err := p.snapshot(ctx, repo, t)
	var wg sync.WaitGroup
	if beside != nil {
		wg.Go(beside)
		defer wg.Wait()
	}
	if err != nil || snapshot.Ledger.Size == 0 {
		return "", err
	}
	done, changed, err := repo.Commit(ctx, snapshot)
	for _, r := range done.Repairs {
		p.warn("git: %s", r.Message)
	}
	if err != nil || !changed {
		return "", err
	}
	return done.Hash, nil
}

// snapshot is the ledger as the index knows it, which is what a commit is made of.
func (p *Pipeline) snapshot(ctx context.Context, repo *history.Repository, t TickLine) (history.Snapshot, error) {
	var pos ledger.Position
	var trailers []history.Trailer
	err := p.view(ctx, func(r *index.Reader) (err error) {
		if pos, err = r.Position(); err != nil || pos.Size == 0 {
			return err
		}
		trailers, err = p.trailers(r, repo, pos, t)
		return err
	})
	segment, size := p.docs.Synced()
	return history.Snapshot{
		Synced:   history.Position{Segment: segment, Offset: size},
		Ledger:   history.Position{Size: pos.Size, Segment: pos.Segment, Offset: pos.Offset},
		Subject:  subject(t, pos),
		Trailers: trailers,
		Time:     p.now(),
	}, err
}

// mend commits what other processes left out of git: one that was killed over its commit, or had no room for it. Two looks
// at files tell whether there is anything. A loop does so by itself.
func (p *Pipeline) mend(ctx context.Context) error {
	due, err := p.commitDue()
	if err != nil || !due {
		return err
	}
	if _, err = p.commitWhile(ctx, TickLine{}, nil); err == nil {
		p.rebooted = false
	}
	return err
}

// commitDue tells whether git lacks something. After a reboot that takes more than a look.
func (p *Pipeline) commitDue() (bool, error) {
	repo, err := p.repository()
	if err != nil {
		return false, err
	}
	size, err := p.log.Size()
	if err != nil {
		return false, err
	}
	return p.rebooted || repo.Due(size), nil
}

// abandoned is how long after the last event git may lack it while somebody may yet be about to commit it: a tick may wait ten
// seconds for a job that is to be retried.
const abandoned = 15 * time.Second

// rests reports whether nobody has written to the ledger for so long.
func (p *Pipeline) rests(d time.Duration) (bool, error) {
	at, err := p.log.Written()
	return err == nil && p.opts.Now().Sub(at) > d, err
}

// mendHistory looks through the last commits, which the first commit of a process begins with, while jobs run. The function
// that it returns waits for it.
func (p *Pipeline) mendHistory(ctx context.Context) (wait func()) {
	repo, err := p.repository()
	if err != nil {
		return func() {} // the commit says so
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		// What cannot be mended is found and told by the commit as well.
		repairs, _ := repo.Repair(context.WithoutCancel(ctx))
		for _, r := range repairs {
			p.warn("git: %s", r.Message)
		}
	})
	return wg.Wait
}

// repository opens the ledger's repository once in the life of a process.
func (p *Pipeline) repository() (*history.Repository, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.git == nil {
		repo, err := history.Open(p.ws.Runtime())
		if err != nil {
			return nil, err
		}
		p.git = repo
	}
	return p.git, nil
}

// subject is the line that people read in git log.
func subject(t TickLine, pos ledger.Position) string {
	var parts []string
	for _, c := range []struct {
		n    int
		what string
	}{{t.Received, "received"}, {t.Blocked, "blocked"}, {t.Completed, "completed"}, {t.Failed, "failed"}} {
		if c.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c.n, c.what))
		}
	}
	if len(parts) == 0 {
		return fmt.Sprintf("ledger: to event %d", pos.Size-1)
	}
	what := "ledger"
	if t.Events > 0 {
		what = "tick"
	}
	return what + ": " + strings.Join(parts, ", ")
}

// trailers name the state of the ledger, and the jobs whose state changed since the last commit.
func (p *Pipeline) trailers(r *index.Reader, repo *history.Repository, pos ledger.Position, t TickLine) ([]history.Trailer, error) {
	from := int64(0)
	if head, err := repo.Head(); err == nil && head.LedgerSize > 0 && head.LedgerSize <= pos.Size {
		from = head.LedgerSize
	}
	list := []history.Trailer{
		{Key: "Ledger-Root", Value: pos.RootHex()},
		{Key: "Ledger-Range", Value: fmt.Sprintf("%d-%d", from, max(from, pos.Size-1))},
	}
	if last, ok, err := r.Event(pos.Size - 1); err == nil && ok && last.Event == job.Tick {
		list = append(list, history.Trailer{Key: "Sheratan-Tick", Value: last.ID})
	}
	if max(t.Received, t.Completed+t.Failed) > trailerJobs {
		return list, nil // without asking for each of them
	}
	ids, err := r.JobsOfEvents(from, pos.Size)
	if err != nil || len(ids) > trailerJobs {
		return list, err
	}
	for _, id := range ids {
		row, ok, err := r.Job(id)
		if err != nil {
			return nil, err
		}
		if ok && job.ValidID(id) {
			list = append(list, history.Trailer{Key: "Job", Value: id}, history.Trailer{Key: "Job-Status", Value: string(row.Status)})
		}
	}
	return list, nil
}

// checkpoint writes the WAL of the index back, so that it does not grow for ever.
func (p *Pipeline) checkpoint() {
	p.mu.Lock()
	db := p.db
	p.mu.Unlock()
	if db == nil {
		return
	}
	if err := db.Checkpoint(); err != nil {
		p.warn("%v", err)
	}
}
