package workspace

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// groupsOf lists the groups of a user.
func groupsOf(u *user.User) ([]int, error) {
	ids, err := u.GroupIds()
	if err != nil {
		return nil, fmt.Errorf("groups of %s: %w", u.Username, err)
	}
	groups := make([]int, 0, len(ids))
	for _, id := range ids {
		gid, err := strconv.Atoi(id)
		if err != nil {
			return nil, fmt.Errorf("group id %q of %s: %w", id, u.Username, err)
		}
		groups = append(groups, gid)
	}
	return groups, nil
}

// The permissions of one class of users.
const (
	mayRead  = 4
	mayWrite = 2
	mayPass  = 1
)

// granted returns what the mode of a file lets a user do who is not root. Access lists are not looked at: they can only
// take away from the group's part, and grant to users that somebody named on purpose.
func granted(st *unix.Stat_t, uid int, groups []int) uint32 {
	mode := uint32(st.Mode)
	switch {
	case int(st.Uid) == uid:
		return mode >> 6 & 7
	case slices.Contains(groups, int(st.Gid)):
		return mode >> 3 & 7
	default:
		return mode & 7
	}
}

// Mode returns what the mode of a folder lets a user do (4 read, 2 write, 1 pass through), and the uppermost folder on the way to it
// that does not let the user pass, "" for none.
func Mode(dir string, uid int, groups []int) (mode uint32, blocked string) {
	var st unix.Stat_t
	if unix.Stat(dir, &st) == nil {
		mode = granted(&st, uid, groups)
	}
	if at, ok := blockedAt(filepath.Dir(dir), uid, groups); ok {
		blocked = at
	}
	return mode, blocked
}

// OpenJobs makes the folder in which the private folders of another user's jobs lie, lets that user pass through what leads there, and gives
// it the folder that jobs work in by default, where that is still root's.
func (w *Workspace) OpenJobs(to Owner) error {
	if err := os.Mkdir(w.JobsOfUser(), 0o711); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	for _, dir := range []string{w.Root(), w.Runtime(), w.JobsOfUser()} {
		info, err := os.Stat(dir)
		if err == nil && info.Mode().Perm()&0o011 != 0o011 {
			err = os.Chmod(dir, info.Mode().Perm()|0o011)
		}
		if err != nil {
			return err
		}
	}
	var st unix.Stat_t
	if unix.Lstat(w.Work(), &st) != nil || st.Uid != 0 || st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return nil
	}
	return os.Lchown(w.Work(), to.UID, to.GID)
}

// blockedAt returns the uppermost of dir and its parents through which the user cannot pass.
func blockedAt(dir string, uid int, groups []int) (string, bool) {
	if parent := filepath.Dir(dir); parent != dir {
		if at, ok := blockedAt(parent, uid, groups); ok {
			return at, true
		}
	}
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return "", false // it does not exist yet, and will be ours
	}
	return dir, granted(&st, uid, groups)&mayPass == 0
}
