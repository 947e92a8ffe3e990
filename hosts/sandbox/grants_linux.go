package sandbox

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	landlock "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// grant is a right that Landlock gives to a path and all that lies in it.
type grant struct {
	path   string
	rights uint64
	found  bool // on the way to something closed: it may be gone by now
}

// maxGrants bounds what is named one by one in the folders of one confinement.
const maxGrants = 1 << 16

// granter gives rights to what lies in Read and Write, and leaves out what is closed there. Rights of Landlock add up on the
// way to the root, so that what is closed can only be left out by naming everything beside it. A folder with something
// closed in it, at any depth, is therefore not given for itself: a job makes, renames and removes nothing directly in it, and
// changes the files and folders that were there when the keeper was made.
type granter struct {
	keep, shut []string // sorted
	grants     []grant
	named      int
}

// grants returns what Landlock opens of Read and Write. At LevelFull the mounts close what lies in there.
func (c *Confinement) grants(level Level) ([]grant, error) {
	var g granter
	if level == LevelRestricted {
		g.keep, g.shut = sorted(c.Keep), sorted(c.Shut)
	}
	for _, list := range []struct {
		paths  []string
		rights uint64
	}{{c.Read, readRights}, {c.Write, writeRights}} {
		for _, p := range list.paths {
			if err := g.give(p, list.rights, false); err != nil {
				return nil, err
			}
		}
	}
	return g.grants, nil
}

func sorted(paths []string) []string {
	paths = slices.Clone(paths)
	slices.Sort(paths)
	return paths
}

// give grants rights to a path, or to the parts of it that are not closed.
func (g *granter) give(path string, rights uint64, found bool) error {
	if contains(g.shut, path) {
		return nil
	}
	if contains(g.keep, path) {
		rights &= readRights
	}
	shut, kept := holds(g.shut, path), rights != readRights && holds(g.keep, path)
	if !shut && !kept {
		g.grants = append(g.grants, grant{path, rights, found})
		return nil
	}
	itself := uint64(readRights)
	if shut {
		itself = landlock.AccessFSReadDir // names are no secret
	}
	g.grants = append(g.grants, grant{path, itself, found})
	entries, err := entriesOf(path)
	if err != nil {
		if found && vanished(err) {
			return nil
		}
		return fmt.Errorf("%s: %w", shortened(path), err)
	}
	for _, e := range entries {
		if !e.IsDir() && !e.Type().IsRegular() {
			continue
		}
		if g.named++; g.named > maxGrants {
			return fmt.Errorf("%s: more than %d files and folders lie beside what is closed to jobs, which the level %s has to name one by one: "+
				"move them to a folder of their own", shortened(path), maxGrants, LevelRestricted)
		}
		if err := g.give(path+"/"+e.Name(), rights, true); err != nil {
			return err
		}
	}
	return nil
}

// entriesOf lists a folder that is reached without any link.
func entriesOf(path string) ([]fs.DirEntry, error) {
	at, err := straight(unix.AT_FDCWD, path)
	if err != nil {
		return nil, err
	}
	defer unix.Close(at)
	fd, err := unix.Openat(at, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	dir := os.NewFile(uintptr(fd), path)
	defer dir.Close()
	entries, err := dir.ReadDir(maxGrants + 1)
	if err == io.EOF {
		err = nil
	}
	return entries, err
}

func contains(list []string, path string) bool {
	_, ok := slices.BinarySearch(list, path)
	return ok
}

// holds reports whether a path of a sorted list lies below dir.
func holds(list []string, dir string) bool {
	i, _ := slices.BinarySearch(list, dir+"/")
	return i < len(list) && strings.HasPrefix(list[i], dir+"/")
}
