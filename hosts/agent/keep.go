package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// keep returns what stays as it is in folders that a job may change: the workspace, where it lies in one, and every
// repository, whose hooks and settings are programs that somebody else would run. The folders are walked for each attempt,
// at about 1 µs for each file in them.
func keep(folders []string, workspace string, closed []string) (kept []string, err error) {
	for _, dir := range folders {
		if workspace != dir && inside(workspace, dir) {
			kept = append(kept, workspace)
		}
		for _, c := range closed {
			// What is not there could be made, with contents.
			if !inside(c, dir) {
				continue
			}
			if err := os.Mkdir(c, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
				return nil, fmt.Errorf("%s is closed to jobs, and missing: %w", c, err)
			}
		}
		kept = repositories(kept, dir, append(slices.Clip(closed), kept...))
	}
	slices.Sort(kept)
	return slices.Compact(kept), nil
}

// repositories appends what makes repositories of folders in dir. A folder that cannot be read may be one. Those in past
// are not entered.
func repositories(kept []string, dir string, past []string) []string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return append(kept, dir)
	}
	if bare(entries) {
		return append(kept, dir)
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		switch {
		case e.Name() == ".git" && e.Type()&fs.ModeSymlink != 0:
			kept = append(kept, dir) // a link cannot be kept by itself
			if target, err := filepath.EvalSymlinks(path); err == nil {
				kept = append(kept, target)
			}
		case e.Name() == ".git":
			kept = append(kept, path)
		case e.IsDir() && !slices.Contains(past, path):
			kept = repositories(kept, path, past)
		}
	}
	return kept
}

// bare reports whether a folder is a repository without a work tree.
func bare(entries []fs.DirEntry) bool {
	found := 0
	for _, e := range entries {
		if name := e.Name(); name == "HEAD" || name == "objects" || name == "refs" {
			found++
		}
	}
	return found == 3
}

// inside reports whether path is dir or lies in it.
func inside(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel)
}
