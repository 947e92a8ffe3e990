package workspace

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// EnvWorkspace is the environment variable that names the workspace. Only the command line reads it.
const EnvWorkspace = "SHERATAN_WORKSPACE"

// NotFoundError says that there is no workspace where one was looked for.
type NotFoundError struct {
	Dir  string // where the search began
	From string // --workspace or $SHERATAN_WORKSPACE; "" where the parents of the working folder were searched
	Err  error
}

func (e *NotFoundError) Error() string {
	if e.From == "" && e.Err == nil {
		return e.Dir + ": no workspace here or in a parent folder"
	}
	msg := e.Dir + ": not a workspace: "
	if e.From != "" {
		msg = e.From + ": " + msg
	}
	if e.Err == nil || errors.Is(e.Err, fs.ErrNotExist) {
		return msg + "config/sheratan.json is missing"
	}
	return msg + e.Err.Error()
}

func (e *NotFoundError) Unwrap() error { return e.Err }

// Find returns the workspace named by flag, else by env (the value of $SHERATAN_WORKSPACE), else the nearest of dir and
// its parents that is one or holds one in sheratan/, as init makes it inside a git work tree. The error is a
// *NotFoundError where there is none. A workspace of another user than this one or root has to be named: whoever may
// write to a folder such as /tmp could otherwise put rules there that others run by. So has one in a folder where the jobs
// of another workspace that is found on the way.
func Find(dir, flag, env string) (*Workspace, error) {
	switch {
	case flag != "":
		return named(flag, dir, "--workspace")
	case env != "":
		return named(env, dir, "$"+EnvWorkspace)
	}
	start, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	w, ok, err := search(start)
	if err == nil && !ok {
		err = &NotFoundError{Dir: start}
	}
	return w, err
}

func named(name, dir, from string) (*Workspace, error) {
	if !filepath.IsAbs(name) {
		name = filepath.Join(dir, name)
	}
	w, err := Open(name)
	var missing *NotFoundError
	if errors.As(err, &missing) {
		if inner, err2 := Open(filepath.Join(name, "sheratan")); err2 == nil {
			return inner, nil
		}
		missing.From = from
	}
	return w, err
}

// search looks upward from dir, an absolute path.
func search(dir string) (*Workspace, bool, error) {
	var found *Workspace
	for dir := range upward(dir) {
		for _, at := range []string{dir, filepath.Join(dir, "sheratan")} {
			// A parent that may not be read is not an error: what lies above it may still be the workspace.
			var st unix.Stat_t
			if err := unix.Stat(At(at).Config(), &st); err != nil {
				continue
			}
			if found != nil {
				if root, inside := jobsOf(at, found.root); inside {
					return nil, false, fmt.Errorf("%s: is a workspace in %s, where the jobs of the workspace %s may write, and "+
						"one of them may have made it; if it is meant, name it: --workspace %s", found.root, root, at, found.root)
				}
				continue
			}
			if uid := int(st.Uid); uid != os.Geteuid() && uid != 0 {
				return nil, false, fmt.Errorf("%s: is a workspace of uid %d, and its rules would be those of this user (uid %d); "+
					"if that is meant, name it: --workspace %s", at, uid, os.Geteuid(), at)
			}
			w, err := Open(at)
			if err != nil {
				return nil, false, err
			}
			found = w
		}
	}
	return found, found != nil, nil
}

// upward yields dir and its parents.
func upward(dir string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for yield(dir) && dir != filepath.Dir(dir) {
			dir = filepath.Dir(dir)
		}
	}
}

// jobsOf returns the folder, of those where the jobs of the workspace at dir work, in which path lies. What cannot be read
// is no workspace that has jobs.
func jobsOf(dir, path string) (root string, inside bool) {
	w, err := Open(dir)
	if err != nil || w.root == path {
		return "", false
	}
	text, err := ReadText(w.Config())
	var cfg struct {
		Gates struct {
			Roots []string `json:"roots"`
		} `json:"gates"`
	}
	if err != nil || json.Unmarshal(text, &cfg) != nil {
		return "", false
	}
	if len(cfg.Gates.Roots) == 0 {
		cfg.Gates.Roots = []string{w.Work()}
	}
	for _, root := range cfg.Gates.Roots {
		if !filepath.IsAbs(root) {
			root = filepath.Join(w.root, root)
		}
		if real, err := filepath.EvalSymlinks(root); err == nil {
			root = real
		}
		if rel, err := filepath.Rel(root, path); err == nil && filepath.IsLocal(rel) {
			return root, true
		}
	}
	return "", false
}
