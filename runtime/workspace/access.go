package workspace

import (
	"fmt"
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
