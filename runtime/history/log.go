package history

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// Entry is one commit as the log shows it.
type Entry struct {
	Hash       string
	Parent     string // "" for the first
	Time       time.Time
	Subject    string
	Trailers   []Trailer
	LedgerSize int64 // events; -1 where the message does not say
}

// Head returns the last commit. Without one, the error is ErrNoRepository or ErrNoCommits.
func (r *Repository) Head() (Entry, error) {
	var head Entry
	err := r.Log(context.Background(), func(e Entry) error {
		head = e
		return errEnough
	})
	if errors.Is(err, errEnough) {
		return head, nil
	}
	return head, err
}

var errEnough = errors.New("enough")

// Log calls f for each commit, the last one first, until f returns an error, which is then Log's. A commit that cannot be
// read is an *ObjectError.
func (r *Repository) Log(ctx context.Context, f func(Entry) error) error {
	at, err := r.head()
	if err != nil {
		return err
	}
	if at.IsZero() {
		return fmt.Errorf("%s: %w", r.git, ErrNoCommits)
	}
	o := openObjects(r.git)
	for !at.IsZero() {
		if err := ctx.Err(); err != nil {
			return err
		}
		c, err := o.commit(at)
		if err != nil {
			return err
		}
		if err := f(entry(at, c)); err != nil {
			return err
		}
		at = parent(c)
	}
	return nil
}

// Committed returns how much of the ledger HEAD has. Where nothing else remembers it, what lies beyond may be cut off.
func (r *Repository) Committed() (Position, error) {
	at, err := r.head()
	if err != nil {
		return Position{}, err
	}
	if at.IsZero() {
		return Position{}, fmt.Errorf("%s: %w", r.git, ErrNoCommits)
	}
	o := openObjects(r.git)
	c, err := o.commit(at)
	if err != nil {
		return Position{}, err
	}
	first, blob, err := o.highest(c.TreeHash, ledgerDir)
	if err != nil || first == noSegment {
		return Position{}, err
	}
	content, err := o.get(plumbing.BlobObject, blob)
	if err != nil {
		return Position{}, err
	}
	return Position{Size: first + countLines(content), Segment: first, Offset: int64(len(content))}, nil
}

func (r *Repository) head() (plumbing.Hash, error) {
	if err := r.exists(); err != nil {
		return plumbing.ZeroHash, err
	}
	return r.readRef()
}

func entry(hash plumbing.Hash, c *object.Commit) Entry {
	e := Entry{Hash: hash.String(), Time: c.Committer.When, LedgerSize: -1}
	if p := parent(c); !p.IsZero() {
		e.Parent = p.String()
	}
	subject, trailers, err := ParseMessage(c.Message)
	if err != nil {
		e.Subject = cleanSubject(c.Message) // not one of ours
		return e
	}
	e.Subject, e.Trailers = subject, trailers
	if ledger, _, err := sizes(trailers); err == nil {
		e.LedgerSize = ledger
	}
	return e
}
