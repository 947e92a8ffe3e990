package workspace

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/sheratan/sheratan/runtime/durable"
)

// spares keeps the files of jobs that left a zone and gives them to jobs that enter one. A job's files come and go within
// milliseconds, and a file system like ext4 takes ten times as long to make a file, and to delete one, as to write
// into one that is there and rename it; shortly after deletions it is slower still.
//
// A spare belongs to the process that is in its name (boot, pid, start time), which alone writes into it. Those of dead
// processes are taken over.
type spares struct {
	dir   string
	owner string // prefix of the names of our own

	mu      sync.Mutex
	names   []string
	n       int
	misses  int
	adopted bool
}

const (
	maxSpares   = 2048
	adoptAfter  = 8 // a command that writes a few files does not look for spares
	spareSuffix = ".spare"
)

func (w *Workspace) spares() *spares {
	s := &spares{dir: w.path("runtime", ".sheratan", "spare")}
	boot, err := durable.BootID()
	if err != nil {
		return s
	}
	start, err := durable.ProcessStart(os.Getpid())
	if err != nil {
		return s
	}
	s.owner = fmt.Sprintf("%s.%d.%d", boot, os.Getpid(), start)
	return s
}

// put writes data into a spare and moves it to path, in place of what is there. It is false where there is no spare, or
// it could not be used; then nothing has happened to path.
func (s *spares) put(path string, data []byte, mode fs.FileMode) (bool, error) {
	name, ok := s.take()
	if !ok {
		return false, nil
	}
	if err := overwrite(name, data, mode); err != nil {
		return false, nil // it is lost as a spare, and no more
	}
	err := durable.RenameNoReplace(name, path)
	if errors.Is(err, fs.ErrExist) {
		if err = durable.Exchange(name, path); err == nil {
			s.give(name)
			return true, nil
		}
	}
	if err != nil {
		s.give(name)
		return false, nil
	}
	return true, nil
}

// remove takes the file at path out of its zone and keeps it. It is false where that could not be done.
func (s *spares) remove(path string) bool {
	s.mu.Lock()
	if s.owner == "" || len(s.names) >= maxSpares {
		s.mu.Unlock()
		return false
	}
	s.n++
	name := s.dir + "/" + s.owner + "." + strconv.Itoa(s.n) + spareSuffix
	s.mu.Unlock()
	err := retry(func() error { return unix.Rename(path, name) })
	if err == unix.ENOENT {
		if unix.Access(path, unix.F_OK) == unix.ENOENT {
			return true
		}
		if os.MkdirAll(s.dir, 0o700) != nil {
			return false
		}
		err = retry(func() error { return unix.Rename(path, name) })
	}
	if err != nil {
		return false
	}
	s.give(name)
	return true
}

func (s *spares) give(name string) {
	s.mu.Lock()
	s.names = append(s.names, name)
	s.mu.Unlock()
}

func (s *spares) take() (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.names) == 0 {
		s.misses++
		if s.misses > adoptAfter && !s.adopted {
			s.adopted = true
			s.adopt()
		}
	}
	if len(s.names) == 0 {
		return "", false
	}
	name := s.names[len(s.names)-1]
	s.names = s.names[:len(s.names)-1]
	return name, true
}

// adopt takes over the spares of processes that are dead. A rename has one winner.
func (s *spares) adopt() {
	list, err := os.ReadDir(s.dir)
	if err != nil || s.owner == "" {
		return
	}
	alive := map[string]bool{s.owner: true}
	for _, d := range list {
		owner, ok := spareOwner(d.Name())
		if !ok || !d.Type().IsRegular() || len(s.names) >= maxSpares {
			continue
		}
		lives, known := alive[owner]
		if !known {
			lives = ownerAlive(owner)
			alive[owner] = lives
		}
		if lives {
			continue
		}
		s.n++
		name := s.dir + "/" + s.owner + "." + strconv.Itoa(s.n) + spareSuffix
		if unix.Rename(s.dir+"/"+d.Name(), name) == nil {
			s.names = append(s.names, name)
		}
	}
}

// spareOwner is the process in the name of a spare.
func spareOwner(name string) (string, bool) {
	rest, ok := strings.CutSuffix(name, spareSuffix)
	if !ok {
		return "", false
	}
	i := strings.LastIndexByte(rest, '.')
	if i < 0 {
		return "", false
	}
	return rest[:i], true
}

func ownerAlive(owner string) bool {
	f := strings.Split(owner, ".")
	if len(f) != 3 {
		return false
	}
	pid, err := strconv.Atoi(f[1])
	if err != nil {
		return false
	}
	start, err := strconv.ParseInt(f[2], 10, 64)
	return err == nil && durable.Alive(f[0], pid, start)
}

// overwrite makes data the content of a file that only this process knows.
func overwrite(path string, data []byte, mode fs.FileMode) error {
	var fd int
	err := retry(func() (err error) {
		fd, err = unix.Open(path, unix.O_WRONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return err
	}
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	if err == nil && st.Nlink != 1 {
		err = errors.New("has another name")
	}
	if err == nil && fs.FileMode(st.Mode&0o777) != mode {
		err = unix.Fchmod(fd, uint32(mode))
	}
	if err == nil {
		_, err = writeAll(fd, data)
	}
	if err == nil && st.Size > int64(len(data)) {
		err = unix.Ftruncate(fd, int64(len(data)))
	}
	return errors.Join(err, unix.Close(fd))
}

func writeAll(fd int, data []byte) (n int, err error) {
	for n < len(data) {
		m, err := unix.Write(fd, data[n:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return n, err
		}
		n += m
	}
	return n, nil
}
