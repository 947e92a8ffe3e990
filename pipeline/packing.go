package pipeline

import "context"

// packDue reports whether the ledger's repository has become worth packing.
func (p *Pipeline) packDue() bool {
	repo, err := p.repository()
	return err == nil && repo.PackDue()
}

// pack lets git pack the repository when it has become worth it, and waits for it.
func (p *Pipeline) pack(ctx context.Context) {
	repo, err := p.repository()
	if err != nil || !repo.PackDue() {
		return // the commit says so
	}
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
	done   chan struct{} // nil where it was never begun
	cancel context.CancelFunc
}

// begin packs where that is due.
func (g *packing) begin(ctx context.Context, p *Pipeline) {
	if g.busy() || !p.packDue() {
		return
	}
	ctx, g.cancel = context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	g.done = done
	go func() {
		defer close(done)
		p.pack(ctx)
	}()
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
