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

// InitFile is a file for Make to write, with a path relative to the workspace.
type InitFile struct {
	Path string
	Data []byte
	Mode fs.FileMode
}

// Make makes the workspace with these files; one of them must be config/sheratan.json, which is written last, since the
// folder is a workspace from then on. It returns what it made, relative to the workspace and in order. After an error, or
// a crash, it may be repeated.
func (p *Plan) Make(files []InitFile) ([]string, error) {
	m := maker{plan: p}
	if err := m.folders(); err != nil {
		return m.made, err
	}
	if p.WorkTree != "" {
		files = append([]InitFile{{Path: ".gitignore", Data: []byte("/runtime/\n/cache/\n"), Mode: 0o644}}, files...)
	}
	const config = "config/sheratan.json"
	i := slices.IndexFunc(files, func(f InitFile) bool { return f.Path == config })
	if i < 0 {
		return m.made, fmt.Errorf("%s: %s is missing", p.Workspace.Root(), config)
	}
	last := files[i]
	for _, f := range slices.Delete(slices.Clone(files), i, i+1) {
		if err := m.file(f); err != nil {
			return m.made, err
		}
	}
	if len(p.Agents) > 0 {
		if err := m.agents(); err != nil {
			return m.made, err
		}
	}
	if err := m.sync(); err != nil {
		return m.made, err
	}
	if err := m.file(last); err != nil {
		return m.made, err
	}
	return m.made, os.Remove(p.Workspace.path(marker))
}

type maker struct {
	plan *Plan
	made []string
}

func (m *maker) folders() error {
	root := m.plan.Workspace.Root()
	_, statErr := os.Stat(root)
	if err := os.MkdirAll(root, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(m.plan.Workspace.path(marker), nil, 0o600); err != nil {
		return err
	}
	if err := m.openRoot(errors.Is(statErr, fs.ErrNotExist)); err != nil {
		return err
	}
	for _, f := range layout {
		mode := f.mode
		if len(m.plan.Agents) > 0 {
			mode = f.open
		}
		if err := m.folder(f.name, mode, m.plan.owner); err != nil {
			return err
		}
	}
	return nil
}

// openRoot sets the mode of the workspace itself. A folder that was there before keeps its mode, but for the right of an
// agent to pass through it.
func (m *maker) openRoot(fresh bool) error {
	root := m.plan.Workspace.Root()
	mode := fs.FileMode(0o700)
	if !fresh {
		info, err := os.Stat(root)
		if err != nil {
			return err
		}
		mode = info.Mode().Perm()
	}
	if len(m.plan.Agents) > 0 {
		mode |= 0o011
	}
	if err := os.Chmod(root, mode); err != nil {
		return err
	}
	if !fresh {
		return nil
	}
	return m.own(root, m.plan.owner)
}

func (m *maker) folder(name string, mode fs.FileMode, owner Owner) error {
	path := m.plan.Workspace.path(name)
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	// Mkdir heeds the umask; here each bit counts.
	if err := os.Chmod(path, mode); err != nil {
		return err
	}
	m.made = append(m.made, name+"/")
	return m.own(path, owner)
}

func (m *maker) file(f InitFile) error {
	path := m.plan.Workspace.path(f.Path)
	if err := durable.WriteFile(path, f.Data, f.Mode); err != nil {
		return err
	}
	if err := os.Chmod(path, f.Mode); err != nil {
		return err
	}
	m.made = append(m.made, f.Path)
	return m.own(path, m.plan.owner)
}

// agents makes the two folders of each agent. They belong to it, and where the operator is not root, to the operator's
// group; nobody else can look into them. The folder of replies is the agent's too, because who may write there decides
// nothing: an answer is not read back.
func (m *maker) agents() error {
	for _, a := range m.plan.Agents {
		if err := m.agent(a); err != nil {
			return err
		}
	}
	return nil
}

func (m *maker) agent(a Agent) error {
	owner, mode := Owner{a.UID, a.GID}, fs.FileMode(0o700)
	if m.plan.owner.UID != 0 {
		// Set-group-ID hands the files in it to the group, so that the operator can read them.
		owner.GID, mode = m.plan.owner.GID, 0o770|fs.ModeSetgid
	}
	for _, dir := range []string{"runtime/inbox/", "runtime/outbox/replies/"} {
		if err := m.folder(dir+a.Name, mode, owner); err != nil {
			return err
		}
		// chown(2) clears the set-group-ID bit for everybody but root; here the mode is set again for all.
		if err := os.Chmod(m.plan.Workspace.path(dir, a.Name), mode); err != nil {
			return err
		}
	}
	return nil
}

func (m *maker) own(path string, o Owner) error {
	if o.UID == os.Geteuid() && o.GID == os.Getegid() {
		return nil
	}
	return os.Lchown(path, o.UID, o.GID)
}

// sync brings the names of all folders to the disk.
func (m *maker) sync() error {
	for _, f := range layout {
		if err := durable.SyncDir(m.plan.Workspace.path(f.name)); err != nil {
			return err
		}
	}
	root := m.plan.Workspace.Root()
	return errors.Join(durable.SyncDir(root), durable.SyncDir(filepath.Dir(root)))
}
