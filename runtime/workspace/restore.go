package workspace

import (
	"errors"
	"io/fs"
	"os"
	"strings"
)

// EmptyError says that runtime/ has nothing of a workspace in it. Most often its file system is not mounted, and a new
// ledger below the mount point would be one too many; so nobody begins one unasked.
type EmptyError struct{ Dir string }

func (e *EmptyError) Error() string {
	return e.Dir + ": has neither a ledger nor its history: is its file system mounted, or is this a clone of another workspace, with its rules and without its ledger?"
}

// Hint says how to begin a new ledger.
func (e *EmptyError) Hint() string {
	return "to begin with an empty ledger: mkdir -p " + e.Dir + "/outbox"
}

// Restore makes the folders of runtime/ again that are missing, and returns the outermost ones, relative to the workspace. What
// cannot be made is left to whoever needs it. Files that were in them are gone: those of the zones are made from the
// ledger, and that the ledger itself is shorter is found by those who read it. The error is an *EmptyError.
func (w *Workspace) Restore() (made []string, err error) {
	if missing(w.Outbox()) && missing(w.Git()) && missing(w.State()) {
		return nil, &EmptyError{Dir: w.Runtime()}
	}
	for _, f := range layout {
		if !strings.HasPrefix(f.name, "runtime/") {
			continue
		}
		if os.Mkdir(w.path(f.name), f.mode) == nil && (len(made) == 0 || !within(f.name, made[len(made)-1])) {
			made = append(made, f.name)
		}
	}
	return made, nil
}

func missing(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, fs.ErrNotExist)
}
