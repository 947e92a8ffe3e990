package sandbox

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// lookFor is how long a look of the quota takes at most.
const lookFor = 10 * time.Second

// inodeCost is what a file takes of the disk beside its blocks: its inode and its names. Millions of empty ones are a
// way to fill a disk as well.
const inodeCost = 512

// quota watches how much of the disk a job takes: what is in its folder, what has come to the others that it may change, and what its
// processes have open and is in no folder any more. Files that are only mapped, or on their way through a socket, are not found.
//
// What has come to a folder is what was born there since the job began, by the file system's own word, and by how much the rest has
// grown since the first look. What others write there meanwhile is counted as well: nothing tells who wrote what.
//
// How long a look takes is in the hands of the job.
type quota struct {
	dir    string
	beside []string  // folders that it may change too, none in another
	closed []Object  // in these, that are not for it
	since  time.Time // it began
	before int64     // bytes of what was in them already at the first look, -1 where that did not see all
	looked bool
	limit  int64
	keeper int   // pid of the process from which those of the job descend
	free   int64 // bytes of the file system that were free at first
	stop   *atomic.Bool
}

func newQuota(c *Confinement, keeper int) *quota {
	q := &quota{dir: c.Work, limit: c.Limits.Disk, keeper: keeper, free: free(c.Work), since: time.Now().Add(-stampSlack)}
	for _, path := range c.Write {
		if !slices.ContainsFunc(slices.Concat(c.Write, q.beside), func(dir string) bool { return dir != path && below(path, dir) }) &&
			!slices.Contains(q.beside, path) {
			q.beside = append(q.beside, path)
		}
	}
	for _, path := range append(slices.Concat(c.Hide, c.Keep), c.Work) {
		var st unix.Stat_t
		if unix.Lstat(path, &st) == nil {
			q.closed = append(q.closed, Object{uint64(st.Dev), st.Ino})
		}
	}
	return q
}

// stampSlack is how far the clock of a file system is behind ours.
const stampSlack = 10 * time.Millisecond

// exceeded reports whether there is too much.
func (q *quota) exceeded(now time.Time) bool {
	u := usage{enough: q.limit, until: now.Add(lookFor), stop: q.stop}
	u.folder(q.dir)
	devices := []uint64{u.device}
	come, before, whole := int64(0), int64(0), true
	for _, dir := range q.beside {
		b := usage{enough: q.limit - u.bytes - come, until: u.until, stop: q.stop, since: q.since.UnixNano(), closed: q.closed}
		b.folder(dir)
		come, before, whole = come+b.bytes, before+b.before, whole && !b.hidden
		if come+u.bytes > q.limit {
			return true
		}
		if !slices.Contains(devices, b.device) {
			devices = append(devices, b.device)
		}
	}
	switch {
	case !q.looked && whole:
		q.before = before
	case !q.looked:
		q.before = -1
	case whole && q.before >= 0:
		come += max(before-q.before, 0)
	}
	q.looked = true
	u.bytes += come
	u.deleted(q.keeper, devices)
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

	since  int64 // when what is counted was born, in ns; 0 counts all
	before int64 // bytes of the rest
	closed []Object
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
	if u.since == 0 {
		u.bytes += st.Blocks * 512
	}
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
			if unix.Fstat(below, &st) != nil || uint64(st.Dev) != u.device || slices.Contains(u.closed, Object{uint64(st.Dev), st.Ino}) {
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
			if size := st.Blocks*512 + inodeCost; u.since == 0 || bornSince(at, name, u.since) {
				u.bytes += size
			} else {
				u.before += size
			}
			if st.Mode&unix.S_IFMT == unix.S_IFDIR {
				folders = append(folders, name)
			}
			if u.over() {
				return nil
			}
		}
	}
}

// bornSince reports whether a file is that young. Where the file system does not say, it is not.
func bornSince(at int, name string, since int64) bool {
	var st unix.Statx_t
	return unix.Statx(at, name, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BTIME, &st) == nil && st.Mask&unix.STATX_BTIME != 0 &&
		st.Btime.Sec*1e9+int64(st.Btime.Nsec) >= since
}

// deleted counts the files of these file systems that processes below pid have open, and that have no name any more.
func (u *usage) deleted(pid int, devices []uint64) {
	seen := map[Object]bool{}
	descend(pid, func(task string) bool {
		u.openFiles(task, devices, seen)
		return !u.over()
	})
}

// openFiles counts those of one thread.
func (u *usage) openFiles(task string, devices []uint64, seen map[Object]bool) {
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
				slices.Contains(devices, uint64(st.Dev)) && !seen[Object{uint64(st.Dev), st.Ino}] {
				seen[Object{uint64(st.Dev), st.Ino}] = true
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
