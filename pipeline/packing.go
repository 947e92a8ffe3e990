package pipeline

import (
	"context"
	"time"

	"github.com/sheratan/sheratan/runtime/history"
)

// packLast packs at the end of a tick where that is due. One that wrote nothing does so once in an hour at most: cron starts a tick each
// minute, and where git fails, or leaves loose objects, each would try.
func (p *Pipeline) packLast(ctx context.Context) {
	repo, err := p.repository()
	if err != nil || !repo.PackDue() {
		return // the commit says so
	}
	if passed := p.now().Sub(repo.LastPack()); p.wrote > 0 || passed >= packAtLast || passed < 0 {
		p.pack(ctx, repo)
	}
}

// pack lets git pack the repository, and waits for it.
func (p *Pipeline) pack(ctx context.Context, repo *history.Repository) {
	if packed, err := repo.Pack(ctx); err != nil && ctx.Err() == nil {
		p.warn("git: %v", err)
	} else if packed.Reason != "" && !p.toldPack {
		p.toldPack = true
		p.note("the ledger's repository was not packed: %s", packed.Reason)
	}
}

// packing is a loop's git at work beside the jobs: with a long history it takes seconds, in which the loop would start nothing and
// record nothing.
type packing struct {
	done    chan struct{} // nil where it was never begun
	cancel  context.CancelFunc
	attempt attempted // the last one, once it is done
}

// begin packs where that is due.
func (g *packing) begin(ctx context.Context, p *Pipeline) {
	if g.busy() {
		return
	}
	repo, err := p.repository()
	if err != nil || !g.attempt.again(p.now(), repo.Loose()) {
		return // the commit says so
	}
	ctx, g.cancel = context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	g.done = done
	go func() {
		defer close(done)
		p.pack(ctx, repo)
		g.attempt.ended(p.now(), repo.Loose())
	}()
}

// attempted keeps a loop from running git without pause where git fails, or leaves loose objects.
type attempted struct {
	at   time.Time
	left int           // loose objects after it
	wait time.Duration // until the next one; 0 where it left less than a batch
}

const (
	packAgain  = time.Minute // after the first attempt that left what it was to pack, and twice as long after each further one
	packAtLast = time.Hour
)

func (a *attempted) ended(now time.Time, left int) {
	if left <= history.LooseBatch {
		*a = attempted{}
		return
	}
	*a = attempted{now, left, min(max(packAgain, 2*a.wait), packAtLast)}
}

// again reports whether there is enough to pack, and enough time has passed or enough objects have come since the last attempt.
func (a *attempted) again(now time.Time, loose int) bool {
	if loose > a.left+history.LooseBatch {
		return true
	}
	passed := now.Sub(a.at)
	return loose > history.LooseBatch && (passed >= a.wait || passed < 0) // the clock may be set back
}

func (g *packing) busy() bool {
	if g.done == nil {
		return false
	}
	select {
	case <-g.done:
		return false
	default:
		return true
	}
}

// end stops what is at work, which does no harm: the next one packs as much.
func (g *packing) end() {
	if g.done != nil {
		g.cancel()
		<-g.done
	}
}
