package history

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/sheratan/sheratan/runtime/durable"
)

const (
	// staleLock is the age from which a lock file of git's is taken for one that a dead process left.
	staleLock = 5 * time.Minute
	// lockPatience is how long a commit waits for somebody else's git command to let go of the branch.
	lockPatience = 2 * time.Second
)

// RefLockedError says that another git command holds the lock on the branch, or died holding it.
type RefLockedError struct {
	Path string
	Age  time.Duration
}

func (e *RefLockedError) Error() string {
	return fmt.Sprintf("%s: held by another git command for %s, or left by one that was killed; it is removed when it is %s old",
		e.Path, e.Age.Round(time.Second), staleLock)
}

// errRefDamaged says that the branch exists and does not name a commit.
var errRefDamaged = errors.New("does not name a commit")

var errRefMoved = errors.New("moved by somebody else")

func (r *Repository) refPath() string  { return filepath.Join(r.git, branch) }
func (r *Repository) lockPath() string { return r.refPath() + ".lock" }

// readRef returns the commit that the branch names, the zero hash where there is no branch. go-git is asked only for packed
// references: it takes an old packed one for an empty file.
func (r *Repository) readRef() (plumbing.Hash, error) {
	b, err := os.ReadFile(r.refPath())
	if errors.Is(err, fs.ErrNotExist) {
		ref, err := openObjects(r.git).store.Reference(plumbing.ReferenceName(branch))
		if errors.Is(err, plumbing.ErrReferenceNotFound) {
			return plumbing.ZeroHash, nil
		}
		if err != nil {
			return plumbing.ZeroHash, fmt.Errorf("%s: %w", branch, err)
		}
		return ref.Hash(), nil
	}
	if err != nil {
		return plumbing.ZeroHash, err
	}
	text := strings.TrimSpace(string(b))
	if hash := plumbing.NewHash(text); plumbing.IsHash(text) && !hash.IsZero() {
		return hash, nil
	}
	return plumbing.ZeroHash, fmt.Errorf("%s: %w", r.refPath(), errRefDamaged)
}

// moveRef makes the branch name the commit next, if it still names old, as git does it: main.lock is made and must not
// exist, the new file is renamed over the old one, the lock is removed. A reader sees one or the other. Nothing is synced:
// what the branch should be is in the record. With force, whatever the branch names is replaced.
func (r *Repository) moveRef(ctx context.Context, old, next plumbing.Hash, force bool) error {
	text := []byte(next.String() + "\n")
	if err := r.lockRef(ctx, text); err != nil {
		return err
	}
	err := func() error {
		if !force {
			now, err := r.readRef()
			if err != nil {
				return err
			}
			if now != old {
				return fmt.Errorf("%s: %w", branch, errRefMoved)
			}
		}
		return durable.ReplaceFile(r.refPath(), text, 0o644)
	}()
	return errors.Join(err, os.Remove(r.lockPath()))
}

func (r *Repository) lockRef(ctx context.Context, text []byte) error {
	for deadline := time.Now().Add(lockPatience); ; {
		// git pack-refs removes folders that it emptied.
		if err := os.MkdirAll(filepath.Dir(r.refPath()), 0o755); err != nil {
			return err
		}
		err := durable.CreateFile(r.lockPath(), text, 0o644)
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
		if time.Now().After(deadline) {
			return &RefLockedError{r.lockPath(), r.lockAge()}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", r.lockPath(), ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (r *Repository) lockAge() time.Duration {
	info, err := os.Lstat(r.lockPath())
	if err != nil {
		return 0
	}
	return time.Since(info.ModTime())
}

// removeStaleLock removes the branch's lock where its owner is certainly dead: it is one of ours, which name a commit of the
// record from the moment they exist, and we hold the lock of all our commits; or it is old.
func (r *Repository) removeStaleLock(rec record) (removed string, err error) {
	b, err := os.ReadFile(r.lockPath())
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	why := "left by a process that was killed while it committed"
	if _, ours := rec.find(plumbing.NewHash(strings.TrimSpace(string(b)))); !ours {
		age := r.lockAge()
		if age < staleLock {
			return "", nil
		}
		why = fmt.Sprintf("%s old", age.Round(time.Second))
	}
	return why, os.Remove(r.lockPath())
}
