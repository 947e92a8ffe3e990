// Package history keeps the git repository of the ledger, runtime/.git.
//
// It has no work tree and no index (core.bare): both would grow with history, and nobody should commit there by hand.
// Its only branch is main, a line without merges. Tracked are, by their paths below runtime/,
//
//	outbox/ledger/NNN/NNN/NNNNNNNNN.jsonl      up to the committed position, never beyond it
//	outbox/documents/NNN/NNN/NNNNNNNNN.jsonl   up to the last newline
//	outbox/checkpoint                          where there is one
//
// and nothing else. Segments only grow and are named by the number of their first line, so a commit needs to look only
// at the highest segment that HEAD has and at those after it; every other folder is taken from HEAD by its hash.
//
// The message of each commit says with the trailers Ledger-Size and Documents-Size how many lines of each it holds. The
// tree of any commit can therefore be made again from the files, which is how a repository that lost objects is mended:
// the ledger is what counts and is synced on its own, the repository is a copy of it that others can read and clone.
//
// Objects, packs and packed references are read, hashed and encoded by go-git. Two things are written past it, both in
// git's own formats. Loose objects, because go-git compresses them at the default level, which costs three times as much
// as the fastest for files a tenth smaller (2,000 jobs are 10 MB of segments: 170 ms against 59 ms), and takes a damaged
// file for a good one. And the branch, because go-git's CheckAndSetReference empties the file before it writes it, which a
// git log at that moment reports as a broken repository and a crash makes permanent, and because it ignores git's lock.
package history

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sheratan/sheratan/runtime/durable"
)

const (
	gitDir   = ".git"
	stateDir = ".sheratan"
	branch   = "refs/heads/main"
)

// ErrNoRepository says that runtime/.git is missing or is not a git repository.
var ErrNoRepository = errors.New("no git repository")

// ErrNoCommits says that the repository has no commit yet.
var ErrNoCommits = errors.New("no commits yet")

// Repository is the history of one runtime folder. It holds no open files and may be used by several goroutines;
// several processes may each have one.
type Repository struct {
	dir string // runtime/
	git string // runtime/.git

	turn    chan struct{} // holds one token while a goroutine may use what is below, and the lock file
	checked bool          // Repair has been run through this handle
}

// Init makes the repository of runtimeDir, or what is missing of its frame. It does nothing where it is complete.
func Init(runtimeDir string) error {
	r, err := Open(runtimeDir)
	if err != nil {
		return err
	}
	return r.locked(context.Background(), func() error {
		_, err := r.restoreFrame()
		return err
	})
}

// Open returns the history of runtimeDir, which must be a folder. It does not look at the repository, which may be
// missing: the first Commit makes it, the other methods return ErrNoRepository.
func Open(runtimeDir string) (*Repository, error) {
	dir, err := filepath.Abs(runtimeDir)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: errors.New("not a folder")}
	}
	return &Repository{dir: dir, git: filepath.Join(dir, gitDir), turn: make(chan struct{}, 1)}, nil
}

// locked runs f while this process alone may change the repository.
func (r *Repository) locked(ctx context.Context, f func() error) error {
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := os.MkdirAll(filepath.Join(r.dir, stateDir), 0o700); err != nil {
		return err
	}
	lock, err := durable.Lock(ctx, filepath.Join(r.dir, stateDir, "git.lock"))
	if err != nil {
		return err
	}
	return errors.Join(f(), lock.Unlock())
}

// The files that make a folder a git repository. gc.auto and gc.packRefs keep a git command that somebody runs here from
// packing on its own: Pack does that.
var frame = []struct{ path, content string }{
	{"config", "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n[gc]\n\tauto = 0\n\tpackRefs = false\n"},
	{"HEAD", "ref: " + branch + "\n"},
}

// restoreFrame makes what is missing of the repository's folders and fixed files, and says what it made.
func (r *Repository) restoreFrame() (made []string, err error) {
	for _, dir := range []string{"", "objects", "objects/info", "objects/pack", "refs", "refs/heads", "refs/tags"} {
		err := os.Mkdir(filepath.Join(r.git, dir), 0o755)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return made, err
		}
		made = append(made, filepath.Join(gitDir, dir))
	}
	for _, f := range frame {
		path := filepath.Join(r.git, f.path)
		info, err := os.Stat(path)
		if err == nil && info.Size() > 0 {
			continue
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return made, err
		}
		if err := durable.WriteFile(path, []byte(f.content), 0o644); err != nil {
			return made, err
		}
		made = append(made, filepath.Join(gitDir, f.path))
	}
	if len(made) > 0 {
		return made, durable.SyncDir(r.dir)
	}
	return nil, nil
}

// exists tells whether there is anything that git would take for a repository.
func (r *Repository) exists() error {
	for _, name := range []string{"HEAD", "objects", "refs"} {
		if _, err := os.Stat(filepath.Join(r.git, name)); err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("%s: %w", r.git, ErrNoRepository)
			}
			return err
		}
	}
	return nil
}
