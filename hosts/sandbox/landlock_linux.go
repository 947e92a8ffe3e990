package sandbox

import (
	"fmt"
	"os"
	"slices"

	landlock "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// Rights by what a path is given for. Of these only the ones that the kernel knows are asked for.
const (
	readRights   = landlock.AccessFSExecute | landlock.AccessFSReadFile | landlock.AccessFSReadDir
	deviceRights = landlock.AccessFSReadFile | landlock.AccessFSWriteFile
	// Neither device nodes nor ioctls on devices. What others use as well gets no sockets and FIFOs either, be they made
	// there or moved there: the next job would find them.
	writeRights = readRights | landlock.AccessFSWriteFile | landlock.AccessFSRemoveDir | landlock.AccessFSRemoveFile |
		landlock.AccessFSMakeDir | landlock.AccessFSMakeReg | landlock.AccessFSMakeSym | landlock.AccessFSRefer | landlock.AccessFSTruncate
	// The job's own folders. A file with rights that its folder does not have cannot be linked or moved there, so that a
	// socket of somebody else does not become one that may be connected to.
	ownRights = writeRights | landlock.AccessFSMakeSock | landlock.AccessFSMakeFifo | landlock.AccessFSResolveUnix
	// fileRights are those that a rule for something other than a folder may name.
	fileRights = landlock.AccessFSExecute | landlock.AccessFSWriteFile | landlock.AccessFSReadFile |
		landlock.AccessFSTruncate | landlock.AccessFSIoctlDev | landlock.AccessFSResolveUnix
)

// Versions of Landlock and what came with them.
const (
	abiTruncate = 3
	abiTCP      = 4
	abiScope    = 6
	abiUnix     = 9 // connecting to sockets that have a path
)

// handled returns the rights that a kernel with this ABI can take away.
func handled(abi int) landlock.RulesetAttr {
	a := landlock.RulesetAttr{HandledAccessFS: landlock.AccessFSMakeSym<<1 - 1}
	for _, v := range []struct {
		abi int
		fs  uint64
	}{{2, landlock.AccessFSRefer}, {abiTruncate, landlock.AccessFSTruncate}, {5, landlock.AccessFSIoctlDev}, {abiUnix, landlock.AccessFSResolveUnix}} {
		if abi >= v.abi {
			a.HandledAccessFS |= v.fs
		}
	}
	if abi >= abiTCP {
		a.HandledAccessNet = landlock.AccessNetBindTCP | landlock.AccessNetConnectTCP
	}
	if abi >= abiScope {
		a.Scoped = landlock.ScopeAbstractUnixSocket | landlock.ScopeSignal
	}
	return a
}

// ruleset makes the rules of one confinement. The descriptor serves any number of processes.
func ruleset(c *Confinement, level Level, abi int, r reach) (fd int, err error) {
	attr := handled(abi)
	if r != reachNothing {
		attr.HandledAccessNet = 0
	}
	if fd, err = landlock.LandlockCreateRuleset(&attr, 0); err != nil {
		return -1, err
	}
	allow := func(rights uint64, paths ...string) {
		for _, p := range paths {
			if err == nil {
				err = allowPath(fd, p, rights&attr.HandledAccessFS, c.Objects[p])
			}
		}
	}
	given, err := c.grants(level)
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	for _, g := range given {
		if err == nil {
			err = allowPath(fd, g.path, g.rights&attr.HandledAccessFS, c.Objects[g.path])
			if g.found && vanished(err) {
				err = nil
			}
		}
	}
	// Programs read what the kernel says about themselves, never write it. At LevelRestricted this is the /proc of the
	// machine: command lines of others can be read there. Memory, environment, files and folders of others cannot, since
	// the kernel asks for the right to trace them, and a domain has that only over itself.
	allow(readRights&^landlock.AccessFSExecute, "/proc")
	if level == LevelFull {
		allow(landlock.AccessFSReadDir, "/") // there is nothing else in it than what is named here
	}
	if c.Work != "" {
		allow(ownRights, c.Work)
	}
	if level == LevelFull && tmpMount(c) {
		allow(ownRights, "/tmp")
	}
	for _, d := range c.devices() {
		if _, statErr := os.Stat(d); statErr == nil {
			allow(deviceRights, d)
		}
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// allowPath adds a rule for what lies at a path. Of the system's own files links are followed, of all others none: jobs may
// have put it there.
func allowPath(ruleset int, path string, rights uint64, want Object) error {
	var fd int
	var err error
	if slices.Contains(systemPaths, path) || path == "/proc" {
		fd, err = unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
		if info, statErr := os.Lstat(path); err == unix.ENOENT && statErr == nil && info.Mode()&os.ModeSymlink != 0 {
			return nil // a link to nowhere, as a systemd machine's resolv.conf may be
		}
	} else {
		fd, err = straight(unix.AT_FDCWD, path)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := want.check(&st); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if st.Mode&unix.S_IFMT == unix.S_IFLNK {
		return fmt.Errorf("%s: %w", path, unix.ELOOP)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		rights &= fileRights
	}
	rule := landlock.PathBeneathAttr{ParentFd: fd, AllowedAccess: rights}
	if err := landlock.LandlockAddPathBeneathRule(ruleset, &rule, 0); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// scopeSelf takes from the calling thread, and all that it starts, the right to signal anybody outside. What a job starts
// is inside a narrower domain below, so that kill(-1) of this thread reaches the processes of its job and nobody else,
// all in one moment, and none of them can reach the keeper.
func scopeSelf() error {
	// A domain that says nothing about moving files between folders refuses it.
	attr := landlock.RulesetAttr{HandledAccessFS: landlock.AccessFSRefer, Scoped: landlock.ScopeSignal}
	fd, err := landlock.LandlockCreateRuleset(&attr, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := allowPath(fd, "/", landlock.AccessFSRefer, Object{}); err != nil {
		return err
	}
	return landlock.LandlockRestrictSelf(fd, 0)
}

func landlockABI() int {
	abi, err := landlock.LandlockGetABIVersion()
	if err != nil {
		return 0
	}
	return abi
}
