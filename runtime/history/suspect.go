package history

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/sheratan/sheratan/runtime/durable"
)

// suspectPath is a mark that the whole history has to be looked through, because somebody found damage. Repair takes it away.
func (r *Repository) suspectPath() string { return filepath.Join(r.dir, stateDir, "git.suspect") }

// Suspect has the next Repair look through the whole history, whichever process does it.
func (r *Repository) Suspect() error {
	return durable.WriteFile(r.suspectPath(), nil, 0o600)
}

func (r *Repository) suspected() (bool, error) {
	_, err := os.Lstat(r.suspectPath())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// lockPacking lets one process at a time pack. The error is durable.ErrLocked where another one does.
func (r *Repository) lockPacking() (*durable.LockedFile, error) {
	if err := os.MkdirAll(filepath.Join(r.dir, stateDir), 0o700); err != nil {
		return nil, err
	}
	return durable.TryLock(r.packLockPath())
}

func (r *Repository) packLockPath() string { return filepath.Join(r.dir, stateDir, "git.pack.lock") }

// LastPack is when git was last run to pack, whether it did so or failed; zero where that was never.
func (r *Repository) LastPack() time.Time {
	info, err := os.Stat(r.packLockPath())
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Due reports whether there is something for Commit to do: less than size events are in git, the branch cannot be read, or
// the history is suspect. It costs a look at the last commit.
func (r *Repository) Due(size int64) bool {
	if suspect, err := r.suspected(); err != nil || suspect {
		return true
	}
	head, err := r.Head()
	return err != nil && size > 0 || head.LedgerSize < size
}
