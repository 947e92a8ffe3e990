package agent

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sheratan/sheratan/runtime/durable"
)

// closedFiles remembers the FIFOs and devices in folders with many files: toolchains, caches, and roots of jobs that only
// read. No job can make a FIFO or device there, so that one look in a while is enough. Looking at each start, 200 jobs with a
// root of 20,000 files took 3.5 times as long.
//
// What was seen is kept for the next process as well, which compares the folders instead of reading them: a name comes into
// a folder only with a new time of its change, which nobody can set. The module cache of Go and a toolchain, with 72,000 files
// in 4,800 folders, take 12 ms in place of 75, which was more than all the rest of a tick with one job.
type closedFiles struct {
	dir    string // for what the next process is to know
	mu     sync.Mutex
	folder map[string]closedFolder
}

type closedFolder struct {
	looked time.Time
	paths  []string
}

const closedFilesAge = time.Minute

// lookForm is raised when what counts as closed is no longer the same.
const lookForm = 1

// A look that took less is not kept for others.
const lookWorth = 5 * time.Millisecond

func (c *closedFiles) in(path string, past map[string]bool) ([]string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f, ok := c.folder[path]; ok && time.Since(f.looked) < closedFilesAge {
		return f.paths, nil
	}
	start := time.Now()
	file := c.file(path, past)
	paths, known := recall(file, path)
	if !known {
		s := survey{past: past, seen: &look{root: path}}
		if err := s.look(path); err != nil {
			return nil, err
		}
		paths = s.closed
		if s.seen.closed = paths; time.Since(start) >= lookWorth {
			s.seen.keep(file, start) // else it is looked for again
		}
	}
	if c.folder == nil {
		c.folder = map[string]closedFolder{}
	}
	c.folder[path] = closedFolder{start, paths}
	return paths, nil
}

// file is where a look into a folder is kept. What was not entered belongs to its name.
func (c *closedFiles) file(path string, past map[string]bool) string {
	h := sha256.New()
	fmt.Fprintf(h, "%d %d %s", lookForm, os.Geteuid(), path) // another user sees other folders
	for _, other := range slices.Sorted(maps.Keys(past)) {
		if inside(other, path) {
			h.Write([]byte("\x00" + other))
		}
	}
	return filepath.Join(c.dir, hex.EncodeToString(h.Sum(nil)[:8]))
}

// look is what was found in a folder, with all folders in it as they were.
//
// As a file it is a digest of the rest, and then numbers as varints and texts with their length in front: the folder, how
// many files are closed, these, and then the folders, each with device, inode, time of change in ns, and name below the first.
type look struct {
	root    string
	folders []lookedAt
	closed  []string
}

type lookedAt struct {
	dev, ino uint64
	changed  int64
	name     string // below root; "" is root
}

// note adds a folder: the open one, or the one with this name in it.
func (l *look) note(path string, fd int, name string) {
	var st unix.Stat_t
	err := unix.Fstat(fd, &st)
	if name != "" {
		err = unix.Fstatat(fd, name, &st, unix.AT_SYMLINK_NOFOLLOW)
	}
	at := lookedAt{uint64(st.Dev), st.Ino, st.Ctim.Nano(), path[len(l.root):]}
	if err != nil {
		at = lookedAt{name: at.name} // like no folder that there is
	}
	l.folders = append(l.folders, at)
}

// lookSlack is how much older than the look the last change of a folder must be: the clock of a file system is not the finest,
// and a second change may have the same time as the first.
const lookSlack = 2 * time.Second

// keep writes a look that began at start, where it tells enough. Nothing depends on it but time.
func (l *look) keep(file string, start time.Time) {
	if len(l.folders) == 0 {
		return
	}
	b := make([]byte, sha256.Size, 64*len(l.folders))
	text := func(s string) { b = append(binary.AppendUvarint(b, uint64(len(s))), s...) }
	text(l.root)
	b = binary.AppendUvarint(b, uint64(len(l.closed)))
	for _, path := range l.closed {
		text(path)
	}
	for _, f := range l.folders {
		if f.changed >= start.Add(-lookSlack).UnixNano() {
			return
		}
		b = binary.AppendVarint(binary.AppendUvarint(binary.AppendUvarint(b, f.dev), f.ino), f.changed)
		text(f.name)
	}
	sum := sha256.Sum256(b[sha256.Size:])
	copy(b, sum[:])
	if os.MkdirAll(filepath.Dir(file), 0o700) == nil {
		_ = durable.ReplaceFile(file, b, 0o600)
	}
}

// recall returns the closed files that an earlier look found, if all folders are as they were then.
func recall(file, path string) (closed []string, known bool) {
	b, err := os.ReadFile(file)
	if err != nil || len(b) < sha256.Size || sha256.Sum256(b[sha256.Size:]) != [sha256.Size]byte(b) {
		return nil, false
	}
	b = b[sha256.Size:]
	number := func() uint64 {
		v, n := binary.Uvarint(b)
		b = b[max(n, 0):]
		return v
	}
	text := func() string {
		n := min(number(), uint64(len(b)))
		s := string(b[:n])
		b = b[n:]
		return s
	}
	root := text()
	if root != path {
		return nil, false
	}
	for range min(number(), uint64(len(b))) {
		closed = append(closed, text())
	}
	top, err := unix.Open(root, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, false
	}
	defer unix.Close(top)
	for len(b) > 0 {
		dev, ino := number(), number()
		changed, n := binary.Varint(b)
		b = b[max(n, 0):]
		name := text()
		var st unix.Stat_t
		if name == "" {
			err = unix.Fstat(top, &st)
		} else {
			err = unix.Fstatat(top, name[1:], &st, unix.AT_SYMLINK_NOFOLLOW)
		}
		if err != nil || uint64(st.Dev) != dev || st.Ino != ino || st.Ctim.Nano() != changed {
			return nil, false
		}
	}
	return closed, true
}
