package agent

import (
	"os"
	"path/filepath"
	"slices"

	"github.com/sheratan/sheratan/hosts/sandbox"
	"github.com/sheratan/sheratan/pipeline/job"
)

// confine says what a job may reach: the system and the roots read-only, its own folder, and what Access adds. What is
// closed to jobs stays so where it lies inside of what is open. A root that may be changed keeps its repository as it is,
// at the level that can: its hooks are programs that somebody else would run.
func (a *Agent) confine(j job.Job, program, folder string) *sandbox.Confinement {
	var more Access
	if a.opt.Access != nil {
		more = a.opt.Access(j)
	}
	c := &sandbox.Confinement{
		Read: append(sandbox.SystemPaths(), more.Read...), Write: slices.Clone(more.Write),
		Work: folder, Tmp: filepath.Join(folder, "tmp"), Network: more.Network, Limits: more.Limits,
	}
	roots := a.opt.Roots.Paths()
	if more.WriteRoots {
		c.Write = append(c.Write, roots...)
		if a.opt.Sandbox == sandbox.LevelFull {
			c.Read = append(c.Read, repositories(roots)...)
		}
	} else {
		c.Read = append(c.Read, roots...)
	}
	inside := func(path string, folders []string) bool {
		return slices.ContainsFunc(folders, func(dir string) bool {
			rel, err := filepath.Rel(dir, path)
			return err == nil && filepath.IsLocal(rel)
		})
	}
	for _, path := range a.opt.Roots.Spec().Forbidden {
		if resolved, err := filepath.EvalSymlinks(path); err == nil {
			path = resolved
		}
		if inside(path, c.Read) || inside(path, c.Write) {
			c.Hide = append(c.Hide, path)
		}
	}
	if !inside(program, c.Read) && !inside(program, c.Write) {
		c.Read = append(c.Read, program)
	}
	return c
}

// repositories are what lies in roots as .git, also the file that a linked work tree has in its place.
func repositories(roots []string) (found []string) {
	for _, root := range roots {
		path := filepath.Join(root, ".git")
		if info, err := os.Lstat(path); err == nil && info.Mode()&os.ModeSymlink == 0 {
			found = append(found, path)
		}
	}
	return found
}
