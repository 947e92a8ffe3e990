package rules

import (
	"fmt"
	"os"
	"slices"

	"github.com/sheratan/sheratan/hosts/sandbox"
	"github.com/sheratan/sheratan/runtime/workspace"
)

// jobUser finds the user that jobs run as; nil is that they run as who we are. A user that cannot be had is a problem, so that nothing runs
// as somebody else than the operator wanted.
func jobUser(name string, cfg Config) (*sandbox.User, []Problem) {
	if cfg.Host.User == "" {
		return nil, nil
	}
	problem := func(format string, args ...any) (*sandbox.User, []Problem) {
		return nil, []Problem{{File: name, Pointer: "/host/user", Message: fmt.Sprintf(format, args...)}}
	}
	owner, groups, err := workspace.LookupUser(cfg.Host.User)
	me := os.Geteuid()
	switch {
	case err != nil:
		return problem("%v: name a user of this machine, or leave it out", err)
	case owner.UID == 0:
		return problem("%s is root: name an ordinary user, or leave it out; jobs of root have no capability", cfg.Host.User)
	case owner.UID == me:
		return nil, nil
	case me != 0:
		return problem("is %s, and only root can run jobs as somebody else; this is uid %d: run Sheratan as root or as %s, or leave it out",
			cfg.Host.User, me, cfg.Host.User)
	case slices.Contains(append(groups, owner.GID), 0):
		return problem("%s is in the group of root, whose files it could change: name a user that is not", cfg.Host.User)
	}
	return &sandbox.User{UID: owner.UID, GID: owner.GID, Groups: groups}, nil
}
