package history

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sheratan/sheratan/runtime/durable"
)

// suspectPath is a mark that the whole history has to be looked through, because somebody found damage. Repair takes it away.
func (r *Repository) suspectPath() string { return filepath.Join(r.dir, stateDir, "git.suspect") }

// packingPath is a mark that objects are being packed, with the run of the operating system in which that began. Where that is over,
// the history is suspect; where it is not, whoever packed was killed, which does no harm to what git had written.
func (r *Repository) packingPath() string { return filepath.Join(r.dir, stateDir, "git.packing") }

// Suspect has the next Repair look through the whole history, whichever process does it.
func (r *Repository) Suspect() error {
	return durable.WriteFile(r.suspectPath(), nil, 0o600)
}

// markPacking makes the mark. Where one of an earlier run of the system is left, the history stays suspect.
func (r *Repository) markPacking() error {
	if stopped, err := r.stoppedPacking(); err != nil || stopped {
		return errors.Join(err, r.Suspect())
	}
	return durable.WriteFile(r.packingPath(), []byte(bootID()), 0o600)
}

func (r *Repository) unmarkPacking() error { return removeFile(r.packingPath()) }

// stoppedPacking reports whether the machine stopped while objects were being packed.
func (r *Repository) stoppedPacking() (bool, error) {
	boot, err := os.ReadFile(r.packingPath())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && (len(boot) == 0 || string(boot) != bootID()), err
}

func (r *Repository) suspected() (bool, error) {
	_, err := os.Lstat(r.suspectPath())
	if errors.Is(err, fs.ErrNotExist) {
		return r.stoppedPacking()
	}
	return err == nil, err
}

// lockPacking lets one process at a time pack, and its mark alone while it does. The error is durable.ErrLocked where another one does.
func (r *Repository) lockPacking() (*durable.LockedFile, error) {
	if err := os.MkdirAll(filepath.Join(r.dir, stateDir), 0o700); err != nil {
		return nil, err
	}
	return durable.TryLock(filepath.Join(r.dir, stateDir, "git.pack.lock"))
}

// cleared takes the marks away.
func (r *Repository) cleared() error {
	return errors.Join(removeFile(r.suspectPath()), r.settlePacking())
}

// settlePacking takes the mark of a packing away that is over, when what git left is on the disk.
func (r *Repository) settlePacking() error {
	if _, err := os.Lstat(r.packingPath()); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	lock, err := r.lockPacking()
	if errors.Is(err, durable.ErrLocked) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(syncFileSystem(r.git), r.unmarkPacking(), lock.Unlock())
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
