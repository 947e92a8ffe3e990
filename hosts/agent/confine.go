package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/sheratan/sheratan/hosts/sandbox"
)

// confine says what a job may reach: the system and the roots read-only, its own folder, and what Access adds. What is
// closed to jobs stays so where it lies inside of what is open. Where the roots may be changed, the workspace and the
// repositories in them stay as they are, at the level that can.
func (a *Agent) confine(more Access, program, folder string) (*sandbox.Confinement, error) {
	c := &sandbox.Confinement{
		Read: append(sandbox.SystemPaths(), more.Read...), Write: slices.Clone(more.Write),
		Work: folder, Tmp: filepath.Join(folder, "tmp"), Network: more.Network, Limits: more.Limits,
		User: a.opt.User,
	}
	var closed []string
	for _, path := range a.opt.Roots.Spec().Forbidden {
		if path == filepath.Join(a.opt.Workspace, "cache") {
			continue // closed to file kinds; what a program may reach in it Access says, and a cover would lie over that
		}
		closed = append(closed, resolved(path))
	}
	objects, err := a.opt.Roots.Objects()
	if err != nil {
		return nil, err
	}
	c.Objects = make(map[string]sandbox.Object, len(objects))
	for path, o := range objects {
		c.Objects[path] = sandbox.Object(o)
	}
	roots := a.opt.Roots.Paths()
	s := survey{write: more.WriteRoots, open: more.Unprotect, workspace: a.opt.Workspace, past: map[string]bool{}}
	for _, path := range closed {
		s.past[path] = true
	}
	settled := slices.Concat(more.Read, more.Write)
	for _, dir := range roots {
		if !s.write {
			settled = append(settled, dir)
			continue
		}
		if err := makeClosed(dir, closed); err != nil {
			return nil, err
		}
		if err := s.look(dir); err != nil {
			return nil, err
		}
	}
	for _, path := range settled {
		paths, err := a.closed.in(path, s.past)
		if err != nil {
			return nil, err
		}
		s.closed = append(s.closed, paths...)
	}
	if err := s.bounded(); err != nil {
		return nil, err
	}
	c.Keep, c.Shut = sorted(s.kept), sorted(s.closed)
	if more.WriteRoots {
		c.Write = append(c.Write, roots...)
	} else {
		c.Read = append(c.Read, roots...)
	}
	open := slices.Concat(c.Read, c.Write)
	isOpen := func(path string) bool {
		return slices.ContainsFunc(open, func(dir string) bool { return inside(path, dir) })
	}
	for _, path := range closed {
		if isOpen(path) {
			c.Hide = append(c.Hide, path)
		}
	}
	if !isOpen(program) {
		c.Read = append(c.Read, program)
	}
	return c, nil
}

// tellLeft warns of repositories and settings that a job has made in a root. At LevelRestricted no later job makes anything new beside
// them, or removes them, so that somebody has to know of them.
func (a *Agent) tellLeft(id string, more Access, c *sandbox.Confinement) {
	s := survey{write: true, open: more.Unprotect, workspace: a.opt.Workspace, past: map[string]bool{}}
	for _, path := range c.Hide {
		s.past[path] = true
	}
	for _, dir := range a.opt.Roots.Paths() {
		if s.look(dir) != nil {
			return // the next job is told
		}
	}
	for _, path := range sorted(s.kept) {
		if !slices.Contains(c.Keep, path) {
			a.opt.Warn("job %s has made %s: at the level %s programs make nothing new beside it from now on; remove it if nobody needs it", id, path, a.opt.Sandbox)
		}
	}
}

// makeClosed makes what is closed to jobs and lies in a root, where it is missing: they could make it, with contents.
func makeClosed(root string, closed []string) error {
	for _, path := range closed {
		if !inside(path, root) {
			continue
		}
		if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%s is closed to jobs, and missing: %w", path, err)
		}
	}
	return nil
}

func sorted(paths []string) []string {
	slices.Sort(paths)
	return slices.Compact(paths)
}
