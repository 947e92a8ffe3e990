package history

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// Position is how much of the ledger is committed, in the sense of the write path: lines beyond it may yet be cut off.
type Position struct {
	Size    int64 // number of events
	Segment int64 // number of the first event of the active segment; 0 while there is none
	Offset  int64 // bytes of the active segment that are committed
}

// Snapshot is what a commit is made of, beside the files.
type Snapshot struct {
	Ledger   Position
	Synced   Position  // of the documents, as far as they are known to be on the disk; its Size does not matter
	Subject  string    // for people, one line
	Trailers []Trailer // after Ledger-Size and Documents-Size, which Commit writes
	Time     time.Time // of author and committer, to the second
	Name     string    // of author and committer; "sheratan" where empty
	Email    string    // "sheratan@localhost" where empty
}

// Commit is a commit that was made, or the present HEAD where nothing was to be committed.
type Commit struct {
	Hash   string // "" while there is no commit at all
	Parent string
	// Repairs is what was found and mended before, if anything. It is filled on errors as well.
	Repairs []Repair
}

// Commit commits the ledger up to the snapshot's position, the whole lines of the documents, and the checkpoint. changed
// is false where HEAD has the ledger up to that position or beyond and the checkpoint: documents alone, which no event
// names yet, go with the next event. The first Commit of a Repository begins with Repair, and so does any that finds the
// repository damaged or gone.
//
// Equal files, HEAD and snapshot give an equal hash. The cost does not depend on the length of the history.
func (r *Repository) Commit(ctx context.Context, s Snapshot) (done Commit, changed bool, err error) {
	if err := s.Ledger.check(); err != nil {
		return done, false, err
	}
	err = r.locked(ctx, func() error {
		var err error
		if !r.checked {
			if done.Repairs, err = r.repair(ctx); err != nil {
				return err
			}
		}
		for try := 0; ; try++ {
			if err := ctx.Err(); err != nil {
				return err
			}
			repairs := done.Repairs
			done, changed, err = r.attempt(ctx, s)
			done.Repairs = repairs
			moved := errors.Is(err, errRefMoved)
			broken := isDamage(err) || errors.Is(err, errRefDamaged) || errors.Is(err, ErrNoRepository)
			if try == 2 || !moved && !broken {
				return err
			}
			if broken {
				more, err := r.repair(ctx)
				done.Repairs = append(done.Repairs, more...)
				if err != nil {
					return err
				}
			}
		}
	})
	return done, changed && err == nil, err
}

func (p Position) check() error {
	if p.Size < 0 || p.Segment < 0 || p.Offset < 0 || p.Segment > p.Size || (p.Size == 0) != (p.Offset == 0) {
		return fmt.Errorf("ledger position %+v: impossible", p)
	}
	return nil
}

// attempt makes one commit on top of the present HEAD, inside the lock.
func (r *Repository) attempt(ctx context.Context, s Snapshot) (done Commit, changed bool, err error) {
	if err := r.exists(); err != nil {
		return done, false, err
	}
	head, err := r.readRef()
	if err != nil {
		return done, false, err
	}
	o := openObjects(r.git)
	defer o.discard()
	base := plumbing.ZeroHash
	if !head.IsZero() {
		c, err := o.commit(head)
		if err != nil {
			return done, false, err
		}
		base, done.Hash = c.TreeHash, head.String()
	}

	ledger, state, err := r.newLedger(o, base, s.Ledger)
	if err != nil || state == behind {
		return done, false, err
	}
	checkpoint, text, err := r.newCheckpoint(o, base)
	if err != nil || state == same && len(checkpoint) == 0 {
		return done, false, err
	}
	documents, size, err := r.newDocuments(o, base, s.Synced)
	if err != nil {
		return done, false, err
	}
	tree, err := o.graft(base, append(append(checkpoint, documents...), ledger...))
	if err != nil {
		return done, false, err
	}
	raw, err := s.print(tree, head, size)
	if err != nil {
		return done, false, err
	}
	hash, err := o.put(plumbing.CommitObject, raw)
	if err != nil {
		return done, false, err
	}
	if err := o.flush(); err != nil {
		return done, false, err
	}
	if err := r.extendRecord(hash, raw, text); err != nil {
		return done, false, err
	}
	if err := r.moveRef(ctx, head, hash, false); err != nil {
		return done, false, err
	}
	done.Hash, done.Parent = hash.String(), done.Hash
	return done, true, nil
}

func (s Snapshot) print(tree, head plumbing.Hash, documents int64) ([]byte, error) {
	trailers := []Trailer{
		{ledgerSizeTrailer, strconv.FormatInt(s.Ledger.Size, 10)},
		{documentsSizeTrailer, strconv.FormatInt(documents, 10)},
	}
	for _, t := range s.Trailers {
		if t.Key == ledgerSizeTrailer || t.Key == documentsSizeTrailer {
			return nil, fmt.Errorf("trailer %s: written by the commit itself", t.Key)
		}
		trailers = append(trailers, t)
	}
	message, err := FormatMessage(s.Subject, trailers)
	if err != nil {
		return nil, err
	}
	who := object.Signature{Name: cleanName(s.Name, "sheratan"), Email: cleanName(s.Email, "sheratan@localhost"), When: s.Time.UTC()}
	c := &object.Commit{Author: who, Committer: who, Message: message, TreeHash: tree}
	if !head.IsZero() {
		c.ParentHashes = []plumbing.Hash{head}
	}
	return printCommit(c)
}

// cleanName makes a name or an address fit for the header of a commit, where <, > and the end of the line have a meaning.
func cleanName(s, otherwise string) string {
	s = cleanLine(strings.NewReplacer("<", " ", ">", " ").Replace(s))
	if s == "" {
		return otherwise
	}
	return s
}
