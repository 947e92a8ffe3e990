package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// Confinement is what a job may reach. Every path is absolute and free of symbolic links below its last element; one
// that does not exist is an error, except among Devices. What is not named does not exist for the job at LevelFull, and
// cannot be opened at LevelRestricted.
type Confinement struct {
	Read  []string // files and folders that may be read and executed
	Write []string // files and folders that may be changed too
	Work  string   // the job's own folder: may be changed, and counts against Limits.Disk
	// Three lists of what lies inside the others, save Work, and is closed in part. Where it is gone it is left out; no link is followed. At
	// LevelRestricted Hide is refused, and a folder on the way to something in Keep or Shut takes no new entries (see granter).
	Keep    []string // inside Write, and yet not to be changed
	Shut    []string // not to be opened: hidden at LevelFull, seen by name at LevelRestricted
	Hide    []string // not to be seen: empty, or a file that cannot be opened
	Tmp     string   // a folder inside Work that is also /tmp at LevelFull; "" is none
	Devices []string // nil is DefaultDevices
	// Objects are what lay at some of these paths when somebody decided that a job may have it. Another object there is an error.
	Objects map[string]Object
	User    *User // who the job is, nil is who we are; at LevelNone, where nothing else here counts, it may be given alone. Only root can
	Network bool  // that of the machine; without, only sockets between processes of the job, at LevelFull a loopback of its own too
	Limits  Limits
}

// Object is what makes a file or folder the same one under any name: device and inode.
type Object struct{ Dev, Ino uint64 }

// User is somebody else on this machine.
type User struct {
	UID, GID int
	Groups   []int // beside GID
}

// Limits are per process where nothing else is said. 0 is no limit.
type Limits struct {
	Data      int64 // bytes of memory that can be written; addresses are not limited, Go and Java reserve many
	Memory    int64 // bytes of the whole job, of any kind, where the machine has control groups for us (see Facts.Gaps)
	Files     int64 // open files
	FileSize  int64 // bytes of one file
	CPU       int64 // seconds, and of the whole job where the machine has control groups for us; looked at several times a second
	Processes int64 // and threads, of the whole job
	Disk      int64 // bytes in Work, that have come to Write, and in deleted files that are open, of the whole job; looked at several times a second
}

// DefaultDevices are files that every program may count on.
var DefaultDevices = []string{"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"}

// systemPaths are what programs need to run. Of /etc only what holds no secrets: a job of root could read all of it.
var systemPaths = []string{
	"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/nix/store", "/gnu/store",
	"/etc/alternatives", "/etc/ca-certificates", "/etc/crypto-policies", "/etc/fonts", "/etc/gai.conf", "/etc/group",
	"/etc/host.conf", "/etc/hosts", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/locale.alias",
	"/etc/localtime", "/etc/magic", "/etc/mime.types", "/etc/nsswitch.conf", "/etc/os-release", "/etc/passwd",
	"/etc/pki/tls/certs", "/etc/protocols", "/etc/resolv.conf", "/etc/services", "/etc/ssl/certs", "/etc/ssl/openssl.cnf",
	"/etc/terminfo", "/etc/timezone",
}

// SystemPaths returns the folders and files of this system that a program needs to run: for Confinement.Read. It looks
// once in the life of this process.
func SystemPaths() []string { return slices.Clone(presentPaths()) }

var presentPaths = sync.OnceValue(func() (paths []string) {
	for _, p := range systemPaths {
		// What is reached through a link is there under its true name, or not at all.
		if real, err := filepath.EvalSymlinks(filepath.Dir(p)); err != nil || real != filepath.Dir(p) {
			continue
		}
		if _, err := os.Lstat(p); err == nil {
			paths = append(paths, p)
		}
	}
	return paths
})

func (c *Confinement) devices() []string {
	if c.Devices == nil {
		return DefaultDevices
	}
	return c.Devices
}

// withPaths returns a copy in which every path is what f makes of it.
func (c *Confinement) withPaths(f func(string) (string, error)) (out Confinement, err error) {
	one := func(path string) string {
		if err != nil {
			return ""
		}
		path, err = f(path)
		return path
	}
	out = *c
	for _, list := range []*[]string{&out.Read, &out.Write, &out.Keep, &out.Shut, &out.Hide, &out.Devices} {
		*list = slices.Clone(*list)
		for i, path := range *list {
			(*list)[i] = one(path)
		}
	}
	out.Work, out.Tmp = one(c.Work), one(c.Tmp)
	out.Objects = make(map[string]Object, len(c.Objects))
	for path, o := range c.Objects {
		out.Objects[one(path)] = o
	}
	return out, err
}

// writable returns Write and Work.
func (c *Confinement) writable() []string {
	w := slices.Clone(c.Write)
	if c.Work != "" {
		w = append(w, c.Work)
	}
	return w
}

// pinned returns the folders on the way from something writable to what lies in it and is named by itself, parents
// first. Whoever could rename one of them would take away what is closed, or put something else in the place of what is not.
func (c *Confinement) pinned() (pins []string) {
	writable := c.writable()
	closed := slices.Concat(c.Read, c.Keep, c.Shut, c.Hide)
	isClosed := make(map[string]bool, len(closed))
	for _, p := range closed {
		isClosed[p] = true
	}
	for _, p := range append(closed, writable...) {
		var way []string
		for dir := filepath.Dir(p); dir != "/"; dir = filepath.Dir(dir) {
			if slices.Contains(writable, dir) {
				pins = append(pins, way...)
				break
			}
			if isClosed[dir] {
				break // nothing in there can be renamed
			}
			way = append(way, dir)
		}
	}
	slices.Sort(pins)
	return slices.Compact(pins)
}

// check reports what no keeper could make sense of.
func (c *Confinement) check(level Level) error {
	for _, list := range [][]string{c.Read, c.writable(), c.devices(), c.Keep, c.Shut, c.Hide} {
		for _, p := range list {
			if !filepath.IsAbs(p) || filepath.Clean(p) != p || strings.Contains(p, "\x00") {
				return fmt.Errorf("%q: not a clean absolute path", p)
			}
			if p == "/" {
				return errors.New("/: the whole system cannot be given to a job")
			}
		}
	}
	if c.Tmp != "" && !below(c.Tmp, c.Work) {
		return fmt.Errorf("%s: not inside the work folder", c.Tmp)
	}
	if level == LevelFull {
		return nil
	}
	// Rights of Landlock add up on the way to the root.
	for _, h := range c.Hide {
		for _, p := range slices.Concat(c.Read, c.writable()) {
			if below(h, p) {
				return fmt.Errorf("%s: hiding it from the readers of %s needs the level %s", h, p, LevelFull)
			}
		}
	}
	for _, r := range c.Read {
		for _, w := range c.writable() {
			if r != w && below(r, w) {
				return fmt.Errorf("%s: a read-only path inside the writable %s needs the level %s", r, w, LevelFull)
			}
		}
	}
	return nil
}

// below reports whether path is dir or inside it. Both are clean.
func below(path, dir string) bool {
	return dir != "" && (path == dir || strings.HasPrefix(path, dir+"/"))
}
