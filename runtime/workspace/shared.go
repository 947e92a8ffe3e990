package workspace

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/sheratan/sheratan/runtime/durable"
)

// An agent with a user of its own can look into one folder of the outbox, that of its replies. Beside the replies lie copies of
// what its jobs left: results/ID.json, ID.stdout, ID.stderr and ID.artifacts/, and .kinds.json with what it may propose. The folder
// is the agent's, so that nothing in it is trusted: it is opened once, no path leads out of it, and every file is made anew.

// KindsName is the file with the kinds in the folder of replies. No id begins with a dot.
const KindsName = ".kinds.json"

// Separated reports whether the replies of a source belong to another user than this one.
func (w *Workspace) Separated(source string) bool {
	var st unix.Stat_t
	return unix.Lstat(w.Replies(source), &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR && int(st.Uid) != os.Geteuid()
}

// SharedResult is the copy of a result that the agent can read.
func (w *Workspace) SharedResult(source, id string) string {
	return w.Replies(source) + "/results/" + id + ".json"
}

// Share puts a file, relative to the folder of replies, where the agent of the source can read it.
func (w *Workspace) Share(source, name string, data io.Reader) error {
	root, err := os.OpenRoot(w.Replies(source))
	if err != nil {
		return err
	}
	defer root.Close()
	dir := path.Dir(name)
	if err := root.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for at := dir; at != "."; at = path.Dir(at) {
		if err := root.Chmod(at, 0o755); err != nil && !errors.Is(err, fs.ErrPermission) {
			return err
		}
	}
	temp := path.Join(dir, durable.TempPrefix+path.Base(name))
	if err := root.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, data)
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err == nil {
		err = root.Rename(temp, name)
	}
	if err != nil {
		return errors.Join(err, root.Remove(temp))
	}
	return nil
}

// Unshare removes the copies of a file of the results, which is named relative to the folder of its day, from the replies of all
// agents. An agent can keep its own copy, since the folder is its own, and no other's.
func (w *Workspace) Unshare(name string) error {
	agents, err := w.AgentUsers()
	if err != nil {
		return err
	}
	var errs []error
	for _, a := range agents {
		root, err := os.OpenRoot(w.Replies(a.Name))
		if err != nil {
			continue // it has none
		}
		err = root.Remove(filepath.Join("results", name))
		if err = errors.Join(ignore(err, fs.ErrNotExist), root.Close()); err != nil {
			errs = append(errs, fmt.Errorf("the copy of agent %s: %w", a.Name, err))
		}
	}
	return errors.Join(errs...)
}

// DropReply removes the reply about a job, and the copy of its result. What the agent has put in their place is not followed.
func (w *Workspace) DropReply(source, id string) error {
	root, err := os.OpenRoot(w.Replies(source))
	if err != nil {
		return ignore(err, fs.ErrNotExist)
	}
	var errs []error
	for _, name := range []string{id + ".json", filepath.Join("results", id+".json")} {
		errs = append(errs, ignore(root.Remove(name), fs.ErrNotExist))
	}
	return errors.Join(append(errs, root.Close())...)
}

func ignore(err, what error) error {
	if errors.Is(err, what) {
		return nil
	}
	return err
}
