package agent

import (
	"path/filepath"
	"slices"

	"github.com/sheratan/sheratan/hosts/sandbox"
	"github.com/sheratan/sheratan/pipeline/job"
)

// confine says what a job may reach: the system and the roots read-only, its own folder, and what Access adds. What is
// closed to jobs stays so where it lies inside of what is open. Where the roots may be changed, the workspace and the
// repositories in them stay as they are, at the level that can.
func (a *Agent) confine(j job.Job, program, folder string) (*sandbox.Confinement, error) {
	var more Access
	if a.opt.Access != nil {
		more = a.opt.Access(j)
	}
	c := &sandbox.Confinement{
		Read: append(sandbox.SystemPaths(), more.Read...), Write: slices.Clone(more.Write),
		Work: folder, Tmp: filepath.Join(folder, "tmp"), Network: more.Network, Limits: more.Limits,
	}
	var closed []string
	for _, path := range a.opt.Roots.Spec().Forbidden {
		if resolved, err := filepath.EvalSymlinks(path); err == nil {
			path = resolved
		}
		closed = append(closed, path)
	}
	roots := a.opt.Roots.Paths()
	if more.WriteRoots {
		c.Write = append(c.Write, roots...)
		if a.opt.Sandbox == sandbox.LevelFull {
			var err error
			if c.Keep, err = keep(roots, a.opt.Workspace, closed); err != nil {
				return nil, err
			}
		}
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
