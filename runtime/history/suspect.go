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

// packingPath is a mark that objects are being packed. Where nobody is at it any more, he was killed or the machine stopped, and the
// history is suspect.
func (r *Repository) packingPath() string { return filepath.Join(r.dir, stateDir, "git.packing") }

// Suspect has the next Repair look through the whole history, whichever process does it.
func (r *Repository) Suspect() error {
	return durable.WriteFile(r.suspectPath(), nil, 0o600)
}

// markPacking makes the mark. Where one is left already, the history stays suspect.
func (r *Repository) markPacking() error {
	_, err := os.Lstat(r.packingPath())
	if errors.Is(err, fs.ErrNotExist) {
		return durable.WriteFile(r.packingPath(), nil, 0o600)
	}
	return errors.Join(err, r.Suspect())
}

func (r *Repository) unmarkPacking() error { return removeFile(r.packingPath()) }

func (r *Repository) suspected() (bool, error) {
	_, err := os.Lstat(r.suspectPath())
	if !errors.Is(err, fs.ErrNotExist) {
		return err == nil, err
	}
	if _, err := os.Lstat(r.packingPath()); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	lock, err := r.lockPacking()
	if errors.Is(err, durable.ErrLocked) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, lock.Unlock()
}

// lockPacking lets one process at a time pack, and its mark alone while it does. The error is durable.ErrLocked where another one does.
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

// cleared takes the marks away, but for that of somebody who is packing now.
func (r *Repository) cleared() error {
	if err := removeFile(r.suspectPath()); err != nil {
		return err
	}
	lock, err := r.lockPacking()
	if errors.Is(err, durable.ErrLocked) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(r.unmarkPacking(), lock.Unlock())
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
