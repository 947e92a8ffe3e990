package workspace

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/sheratan/sheratan/runtime/durable"
)

// InitOptions say what kind of workspace to make, and where.
type InitOptions struct {
	Cwd    string   // the working folder, absolute
	Dir    string   // where; "" is sheratan/ in Cwd within a git work tree, else Cwd itself
	Roots  []string // the folders in which jobs may work, relative to Cwd; none is work/, or the git work tree where Dir is ""
	Agents []string // users that get an inbox of their own
	Owner  *Owner   // who everything is to belong to, where that is not the process's user; only root can say so
}

// Owner is a user and a group.
type Owner struct{ UID, GID int }

// Agent is a user of the operating system that may propose and read its answers, and nothing else.
type Agent struct {
	Name     string // also the name of its source
	UID, GID int
}

// Plan is a workspace that can be made: everything that speaks against it has been looked for.
type Plan struct {
	Workspace *Workspace
	Roots     []string // as the config is to name them: relative to the workspace where they lie in its tree
	Agents    []Agent
	WorkTree  string // the git work tree around the workspace, "" where there is none
	Warnings  []string

	owner Owner
}

// marker is there while a workspace is being made, so that a second init can finish what a first one began.
const marker = ".sheratan-init"

// PlanInit decides where the workspace goes and refuses what cannot become one.
func PlanInit(o InitOptions) (*Plan, error) {
	cwd, err := filepath.EvalSymlinks(o.Cwd)
	if err != nil {
		return nil, err
	}
	tree := gitWorkTree(cwd)
	dir, inTree := cwd, false
	switch {
	case o.Dir != "":
		dir = absolute(cwd, o.Dir)
	case tree != "":
		dir, inTree = filepath.Join(cwd, "sheratan"), true
	}
	if dir, err = resolveParent(dir); err != nil {
		return nil, err
	}
	p := &Plan{Workspace: At(dir), WorkTree: gitWorkTree(filepath.Dir(dir)), owner: Owner{os.Geteuid(), os.Getegid()}}
	if o.Owner != nil {
		p.owner = *o.Owner
	}
	if os.Geteuid() != 0 && p.owner.UID != os.Geteuid() {
		return nil, fmt.Errorf("operator: only root can make a workspace for another user (uid %d)", p.owner.UID)
	}
	if err := p.checkPlace(); err != nil {
		return nil, err
	}
	if err := p.setRoots(o, cwd, tree, inTree); err != nil {
		return nil, err
	}
	return p, p.setAgents(o.Agents)
}

func absolute(cwd, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(cwd, path)
}

// resolveParent resolves the symbolic links in the part of path that exists.
func resolveParent(path string) (string, error) {
	real, err := filepath.EvalSymlinks(path)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return real, err
	}
	parent, err := resolveParent(filepath.Dir(path))
	return filepath.Join(parent, filepath.Base(path)), err
}

// gitWorkTree returns the nearest of dir and its parents that has a .git, "" where none has.
func gitWorkTree(dir string) string {
	for {
		if _, err := os.Lstat(filepath.Join(dir, ".git")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return ""
		}
		dir = parent
	}
}

// checkPlace refuses a folder that is not empty, lies in another workspace, or is on a network file system.
func (p *Plan) checkPlace() error {
	dir := p.Workspace.Root()
	if _, err := os.Lstat(p.Workspace.Config()); err == nil {
		return fmt.Errorf("%s: is a workspace already", dir)
	}
	if outer, ok, err := search(filepath.Dir(dir)); err != nil {
		return err
	} else if ok {
		return fmt.Errorf("%s: lies in the workspace %s or in its root; jobs there could reach the rules here", dir, outer.Root())
	}
	list, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case len(list) > 0 && !slices.ContainsFunc(list, func(d fs.DirEntry) bool { return d.Name() == marker }):
		return fmt.Errorf("%s: is not empty (it has %s); name a folder to make: sheratan init DIR", dir, EscapeName(list[0].Name()))
	}
	fsys, err := durable.FileSystem(existing(dir))
	if err != nil {
		return err
	}
	if fsys.Network {
		return fmt.Errorf("%s: is on a network file system (%s), where locks and syncs do not hold what the ledger needs; "+
			"name a folder on a local disk: sheratan init DIR", dir, fsys.Name)
	}
	return nil
}

// existing returns the nearest of path and its parents that exists.
func existing(path string) string {
	for {
		if _, err := os.Lstat(path); err == nil || path == filepath.Dir(path) {
			return path
		}
		path = filepath.Dir(path)
	}
}

func (p *Plan) setRoots(o InitOptions, cwd, tree string, inTree bool) error {
	if len(o.Roots) == 0 {
		p.Roots = []string{"work"}
		if inTree {
			p.Roots = []string{p.Relative(tree)}
		}
		return nil
	}
	for _, name := range o.Roots {
		root, err := resolveParent(absolute(cwd, name))
		if err != nil {
			return err
		}
		for _, dir := range p.Workspace.Forbidden() {
			if within(root, dir) {
				return fmt.Errorf("%s: cannot be a root: jobs never work in %s", root, dir)
			}
		}
		if slices.Contains(splitPath(root), ".git") {
			return fmt.Errorf("%s: cannot be a root: jobs never work in a .git", root)
		}
		info, err := os.Stat(root)
		switch {
		case root == p.Workspace.Root() || root == p.Workspace.Work():
			// It is about to be made.
		case err != nil:
			return fmt.Errorf("%s: cannot be a root: %w", root, err)
		case !info.IsDir():
			return fmt.Errorf("%s: cannot be a root: it is not a folder", root)
		}
		if root == "/" {
			p.warn("the root is /: jobs may read everything that you may read")
		}
		p.Roots = append(p.Roots, p.Relative(root))
	}
	return nil
}

// Relative returns a path as the files of the workspace name it: relative to the workspace where it lies in it or in the git
// work tree around it, because such files are committed and cloned, and a clone is to work in itself.
func (p *Plan) Relative(path string) string {
	root := p.Workspace.Root()
	if rel, err := filepath.Rel(root, path); err == nil && (within(path, root) || p.WorkTree != "" && within(path, p.WorkTree)) {
		return rel
	}
	return path
}

func splitPath(path string) []string {
	var names []string
	for path != filepath.Dir(path) {
		names = append(names, filepath.Base(path))
		path = filepath.Dir(path)
	}
	return names
}

func (p *Plan) setAgents(names []string) error {
	for _, name := range names {
		if slices.ContainsFunc(p.Agents, func(a Agent) bool { return a.Name == name }) {
			continue
		}
		a, warning, err := p.Workspace.AgentUser(name, p.owner.UID)
		if err != nil {
			return err
		}
		p.Agents = append(p.Agents, a)
		if warning != "" {
			p.warn("%s", warning)
		}
	}
	return nil
}

// Operator is the user to whom everything is to belong.
func (p *Plan) Operator() Owner { return p.owner }

func (p *Plan) warn(format string, args ...any) {
	p.Warnings = append(p.Warnings, fmt.Sprintf(format, args...))
}
