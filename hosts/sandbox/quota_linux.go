package sandbox

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Pace of the quota. Most jobs have ended before the first look. A look is over after lookFor at the latest, and looking
// takes at most a twentieth of the time.
const (
	quotaFirst = 100 * time.Millisecond
	lookFor    = 10 * time.Second
	lookShare  = 20
)

// inodeCost is what a file takes of the disk beside its blocks: its inode and its names. Millions of empty ones are a
// way to fill a disk as well.
const inodeCost = 512

// quota watches how much of the disk a job takes: what is in its folder, and what its processes have open and is in no
// folder any more. Files that are only mapped, or on their way through a socket, are not found.
//
// It looks in a goroutine of its own. How long a look takes is in the hands of the job, and whoever keeps the job's time
// must not wait for it: it is told by an eventfd.
type quota struct {
	dir    string
	limit  int64
	keeper int   // pid of the process from which those of the job descend
	free   int64 // bytes of the file system that were free at first
	said   int   // the eventfd, -1 before the first look
	stop   atomic.Bool
	done   chan struct{} // closed with stop
	wg     sync.WaitGroup
}

func newQuota(dir string, limit int64, keeper int) *quota {
	return &quota{dir: dir, limit: limit, keeper: keeper, free: free(dir), said: -1, done: make(chan struct{})}
}

// begin starts to look. The error is for want of a descriptor.
func (q *quota) begin() error {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return err
	}
	q.said = fd
	q.wg.Go(func() {
		for !q.stop.Load() {
			start := time.Now()
			if q.exceeded(start) {
				unix.Write(fd, []byte{1, 0, 0, 0, 0, 0, 0, 0})
				return
			}
			pause := time.NewTimer(max(quotaFirst, lookShare*time.Since(start)))
			select {
			case <-pause.C:
			case <-q.done:
				pause.Stop()
			}
		}
	})
	return nil
}

// end stops looking. It returns at once but for a system call that is under way.
func (q *quota) end() {
	q.stop.Store(true)
	close(q.done)
	q.wg.Wait()
	closeFD(q.said)
}

// exceeded reports whether there is too much.
func (q *quota) exceeded(now time.Time) bool {
	u := usage{enough: q.limit, until: now.Add(lookFor), stop: &q.stop}
	u.folder(q.dir)
	u.deleted(q.keeper)
	// Others may have used the disk as well, but this job took care that nobody can tell.
	return u.bytes > q.limit || u.hidden && q.free-free(q.dir) > q.limit
}

// free is how much of the file system of dir may be used.
func free(dir string) int64 {
	var st unix.Statfs_t
	if unix.Statfs(dir, &st) != nil {
		return 0
	}
	return int64(st.Bavail) * st.Bsize
}

// usage is what files take on the disk, counted until it is more than enough, or time is up.
type usage struct {
	bytes  int64
	enough int64
	until  time.Time
	stop   *atomic.Bool // nil is never
	looked int
	hidden bool   // there was something that could not be looked at
	device uint64 // of the folder
}

// over reports whether there is no more reason to count. What was not counted is hidden.
func (u *usage) over() bool {
	if u.bytes > u.enough {
		return true
	}
	if u.looked++; u.looked%64 != 0 {
		return false
	}
	if u.stop != nil && u.stop.Load() || time.Now().After(u.until) {
		u.hidden = true
	}
	return u.stop != nil && u.stop.Load() || time.Now().After(u.until)
}

// place is a folder on the way down, with the folders in it that are still to be counted.
type place struct {
	dev, ino uint64
	rest     []string
}

// folder counts what is below dir. It goes by descriptors, one at a time, so that neither the depth of a tree nor the
// length of its paths is a bound or a cost; the way up is checked, since a job may move its folders meanwhile. What cannot
// be counted for that is counted the next time.
func (u *usage) folder(dir string) {
	const flags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	at, err := unix.Open(dir, flags, 0)
	if err != nil {
		return
	}
	defer func() { unix.Close(at) }()
	var st unix.Stat_t
	if unix.Fstat(at, &st) != nil {
		return
	}
	u.device = uint64(st.Dev)
	u.bytes += st.Blocks * 512
	way := []place{{uint64(st.Dev), st.Ino, u.list(at)}}
	for !u.over() {
		here := &way[len(way)-1]
		if n := len(here.rest); n > 0 {
			name := here.rest[n-1]
			here.rest = here.rest[:n-1]
			below, err := unix.Openat(at, name, flags, 0)
			if err != nil {
				u.hidden = u.hidden || err != unix.ENOENT
				continue
			}
			if unix.Fstat(below, &st) != nil || uint64(st.Dev) != u.device {
				unix.Close(below)
				continue
			}
			unix.Close(at)
			at = below
			way = append(way, place{uint64(st.Dev), st.Ino, u.list(at)})
			continue
		}
		if way = way[:len(way)-1]; len(way) == 0 {
			return
		}
		up, err := unix.Openat(at, "..", flags, 0)
		if err != nil {
			u.hidden = true
			return
		}
		unix.Close(at)
		at = up
		if unix.Fstat(at, &st) != nil || uint64(st.Dev) != way[len(way)-1].dev || st.Ino != way[len(way)-1].ino {
			u.hidden = true
			return
		}
	}
}

// list counts what is in one folder, and returns the names of the folders in it.
func (u *usage) list(at int) (folders []string) {
	buf := make([]byte, 32<<10)
	for {
		n, err := unix.ReadDirent(at, buf)
		if err != nil || n == 0 {
			u.hidden = u.hidden || err != nil && err != unix.ENOENT
			return folders
		}
		_, _, names := unix.ParseDirent(buf[:n], -1, nil)
		for _, name := range names {
			var st unix.Stat_t
			if unix.Fstatat(at, name, &st, unix.AT_SYMLINK_NOFOLLOW) != nil {
				continue
			}
			u.bytes += st.Blocks*512 + inodeCost
			if st.Mode&unix.S_IFMT == unix.S_IFDIR {
				folders = append(folders, name)
			}
			if u.over() {
				return nil
			}
		}
	}
}

// deleted counts the files of the same file system that processes below pid have open, and that have no name any more.
func (u *usage) deleted(pid int) {
	seen := map[uint64]bool{}
	descend(pid, func(task string) bool {
		u.openFiles(task, seen)
		return !u.over()
	})
}

// openFiles counts those of one thread.
func (u *usage) openFiles(task string, seen map[uint64]bool) {
	files, err := os.Open(task + "/fd")
	if err != nil {
		if errors.Is(err, fs.ErrPermission) {
			// So is a process that has ended, and holds nothing any more.
			if st, ok := readStat(task[len("/proc/"):]); ok && st.alive {
				u.hidden = true
			}
		}
		return
	}
	defer files.Close()
	for !u.over() {
		names, err := files.Readdirnames(256)
		for _, name := range names {
			var st unix.Stat_t
			if unix.Fstatat(int(files.Fd()), name, &st, 0) == nil && st.Mode&unix.S_IFMT == unix.S_IFREG && st.Nlink == 0 &&
				uint64(st.Dev) == u.device && !seen[st.Ino] {
				seen[st.Ino] = true
				u.bytes += st.Blocks*512 + inodeCost
			}
			if u.over() {
				return
			}
		}
		if err != nil || len(names) == 0 {
			return
		}
	}
}

// descend calls each with the folders in /proc of the threads of all processes that descend from pid, until it says no:
// each thread may have open files of its own.
func descend(pid int, each func(task string) bool) {
	known := map[int]bool{pid: true}
	for queue := []int{pid}; len(queue) > 0; queue = queue[1:] {
		tasks, children := family(strconv.Itoa(queue[0]))
		for _, task := range tasks {
			if queue[0] != pid && !each(task) {
				return
			}
		}
		for _, child := range children {
			if !known[child] {
				known[child] = true
				queue = append(queue, child)
			}
		}
	}
}

// family returns the folders of the threads of a process, and the children of all of them.
func family(pid string) (tasks []string, children []int) {
	dir := "/proc/" + pid + "/task"
	list, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil
	}
	for _, t := range list {
		task := dir + "/" + t.Name()
		tasks = append(tasks, task)
		text, _ := os.ReadFile(task + "/children")
		for _, f := range bytes.Fields(text) {
			if child, err := strconv.Atoi(string(f)); err == nil && child > 1 {
				children = append(children, child)
			}
		}
	}
	return tasks, children
}
