package history

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sheratan/sheratan/runtime/durable"
)

// suspectPath is a mark that the whole history has to be looked through: somebody found damage, or objects were being packed
// when the machine stopped. Repair takes it away.
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

// cleared takes the mark away.
func (r *Repository) cleared() error {
	err := os.Remove(r.suspectPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
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
