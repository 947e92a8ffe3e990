package pipeline

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/index"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// guardTorn refuses to take as unfinished what git says was finished: without an index, the last commit is what remembers
// how far the ledger went.
func (p *Pipeline) guardTorn(torn *ledger.TornTail) error {
	committed, err := p.committed()
	if err != nil {
		return err
	}
	return torn.Guard(committed)
}

// guardSize refuses a ledger that ends before what git has of it. Only an index that is new needs this: another one
// remembers the end itself.
func (p *Pipeline) guardSize(end ledger.Position) error {
	committed, err := p.committed()
	if err != nil || end.Size >= committed {
		return err
	}
	return &ledger.TamperError{Code: ledger.CodeShorter, Seq: end.Size,
		Message: fmt.Sprintf("the ledger ends here, and %d lines are in git", committed)}
}

// committed is how many lines of the ledger are in git; 0 where nothing is.
func (p *Pipeline) committed() (int64, error) {
	repo, err := p.repository()
	if err != nil {
		return 0, err
	}
	head, err := repo.Head()
	if err != nil {
		return 0, nil // nothing was committed, so nothing remembers more
	}
	return head.LedgerSize, nil
}

// guardDocuments makes sure, once in the life of a process, that the document that was named last is where it was put.
// Where the end of the documents is gone, the next one would get the place of an old one.
func (p *Pipeline) guardDocuments(tx *index.Tx, pos ledger.Position) error {
	if p.guarded {
		return nil
	}
	var ref ledger.Ref
	found := false
	f := index.EventFilter{From: max(0, pos.Size-4*batchJobs), To: pos.Size, Reverse: true}
	err := tx.Events(f, func(ev ledger.Event) (err error) {
		// What was taken out of the store on purpose is named by an event of its own.
		if ev.Event == job.DocumentRemoved {
			if strings.HasPrefix(ev.ArtifactPath, ledger.DocumentsDir+"/") {
				return errFound
			}
			return nil // an output file or artifact, which lies elsewhere
		}
		// The bids of a dispatch may have been stored long before it: they say nothing about the end.
		if ev.Event == job.JobDispatched {
			return nil
		}
		if ref, found, err = ledger.RefOf(&ev); err == nil && found {
			err = errFound
		}
		return err
	})
	if err != nil && !errors.Is(err, errFound) {
		return err
	}
	if found {
		if _, err := p.docs.Read(ref); err != nil {
			return err
		}
	}
	p.guarded = true
	return nil
}

// discardGarbage moves an index aside that turned out to be unusable after it was opened, and reports whether it did. The
// next to ask makes it again from the ledger. The caller holds the lock.
func (p *Pipeline) discardGarbage(err error) bool {
	var garbage *index.GarbageError
	if !errors.As(err, &garbage) {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.db == nil {
		return false // done already, or it could not even be opened, and openIndex has dealt with that
	}
	p.db.Close() // nothing of it is needed
	p.db = nil
	path := p.ws.IndexDB()
	aside, moveErr := index.MoveAside(path, p.now().Format("20060102T150405.000000000"))
	if moveErr != nil {
		p.warn("%v", moveErr)
		return false
	}
	p.warn("%v; it was moved to %s and is made again from the ledger", garbage, aside)
	return true
}

// discardLocked is discardGarbage for those who only read, and hold no lock.
func (p *Pipeline) discardLocked(ctx context.Context, err error) error {
	lock, lockErr := p.ws.Lock(ctx)
	if lockErr != nil {
		return lockErr
	}
	p.discardGarbage(err)
	return lock.Unlock()
}

// errFound ends a search.
var errFound = errors.New("found")
