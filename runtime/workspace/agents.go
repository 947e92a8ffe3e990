package workspace

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/sheratan/sheratan/pipeline/job"
)

// AgentUser finds the user of an agent beside an operator, and says what keeps it from its inbox, "" for nothing.
func (w *Workspace) AgentUser(name string, operator int) (a Agent, warning string, err error) {
	if !job.ValidID(name) || name == SourceInbox {
		return a, "", fmt.Errorf("agent %q: the name of the user is also the name of its source, and is no valid one", name)
	}
	u, owner, err := lookupUser(name)
	if err != nil {
		return a, "", fmt.Errorf("agent %s: %w", name, err)
	}
	switch {
	case owner.UID == operator:
		return a, "", fmt.Errorf("agent %s: is the operator's own user; only another user is kept apart from the operator", name)
	case owner.UID == 0:
		return a, "", fmt.Errorf("agent %s: root cannot be kept out of anything", name)
	case os.Geteuid() != 0:
		return a, "", fmt.Errorf("agent %s: only root can hand a folder to another user: repeat the command with sudo", name)
	}
	groups, err := groupsOf(u)
	if err != nil {
		return a, "", err
	}
	if dir, ok := blockedAt(filepath.Dir(w.root), owner.UID, groups); ok {
		warning = fmt.Sprintf("%s cannot pass through %s, so it will not reach its inbox: chmod o+x %s", name, dir, dir)
	}
	return Agent{Name: name, UID: owner.UID, GID: owner.GID}, warning, nil
}

// LookupOwner finds the user who is to be the operator.
func LookupOwner(name string) (*Owner, error) {
	_, owner, err := lookupUser(name)
	if err != nil {
		return nil, fmt.Errorf("operator %s: %w", name, err)
	}
	return &owner, nil
}

// LookupUser finds a user of this machine, and its groups.
func LookupUser(name string) (Owner, []int, error) {
	u, owner, err := lookupUser(name)
	if err != nil {
		return Owner{}, nil, err
	}
	groups, err := groupsOf(u)
	return owner, groups, err
}

func lookupUser(name string) (*user.User, Owner, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return nil, Owner{}, err
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return nil, Owner{}, fmt.Errorf("user id %q: %w", u.Uid, err)
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return nil, Owner{}, fmt.Errorf("group id %q: %w", u.Gid, err)
	}
	return u, Owner{uid, gid}, nil
}

// Operator is the user whom the workspace belongs to.
func (w *Workspace) Operator() (Owner, error) {
	var st unix.Stat_t
	if err := unix.Stat(w.Config(), &st); err != nil {
		return Owner{}, fmt.Errorf("%s: %w", w.Config(), err)
	}
	return Owner{int(st.Uid), int(st.Gid)}, nil
}

// AddAgent opens the inbox and the replies of its own to an agent; others stay as they are. It may be repeated.
func (w *Workspace) AddAgent(a Agent, operator Owner) error {
	m := maker{plan: &Plan{Workspace: w, Agents: []Agent{a}, owner: operator}}
	if err := m.openRoot(false); err != nil {
		return err
	}
	for _, f := range layout {
		if f.open != f.mode {
			if err := m.folder(f.name, f.open, operator); err != nil {
				return err
			}
		}
	}
	return m.agents()
}

// RemoveAgent closes both folders to the agent. What lies in them stays.
func (w *Workspace) RemoveAgent(name string, operator Owner) error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("agent %s: only root can take a folder from another user: repeat the command with sudo", name)
	}
	list, err := w.AgentUsers()
	if err != nil {
		return err
	}
	for _, a := range list {
		if a.Name != name {
			continue
		}
		for _, dir := range []string{w.InboxOf(name), w.Replies(name)} {
			err := errors.Join(os.Lchown(dir, operator.UID, operator.GID), os.Chmod(dir, 0o700))
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("agent %s: there is no such agent", name)
}

// AgentUsers lists the agents with a user of their own: the sources whose inbox belongs to somebody else than the operator.
func (w *Workspace) AgentUsers() ([]Agent, error) {
	operator, err := w.Operator()
	if err != nil {
		return nil, err
	}
	list, err := os.ReadDir(w.Inbox())
	if err != nil {
		return nil, err
	}
	var agents []Agent
	for _, d := range list {
		if !d.IsDir() || !job.ValidID(d.Name()) {
			continue
		}
		var st unix.Stat_t
		if unix.Lstat(w.InboxOf(d.Name()), &st) == nil && int(st.Uid) != operator.UID {
			agents = append(agents, Agent{Name: d.Name(), UID: int(st.Uid), GID: int(st.Gid)})
		}
	}
	return agents, nil
}

// HandOver gives what root made in the workspace to its operator. Files with other names are left alone, and the folders of
// others are not entered.
func (w *Workspace) HandOver(to Owner) error {
	me := os.Geteuid()
	if me != 0 || to.UID == me {
		return nil
	}
	return filepath.WalkDir(w.root, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		switch {
		case !ok || path == w.root:
			return nil
		case int(st.Uid) != me && d.IsDir() && int(st.Uid) != to.UID, path == w.Work(), path == w.Cache():
			return fs.SkipDir
		case int(st.Uid) != me || !d.IsDir() && st.Nlink > 1:
			return nil
		}
		return os.Lchown(path, to.UID, to.GID)
	})
}
