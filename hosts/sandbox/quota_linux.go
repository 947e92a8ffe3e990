package sandbox

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// quotaFirst is when a work folder is looked at for the first time; most jobs have ended by then.
const quotaFirst = 100 * time.Millisecond

// quota watches how much of the disk a job takes: what is in its folder, and what its processes have open and is in no
// folder any more. Files that are only mapped, or on their way through a socket, are not found.
type quota struct {
	dir    string
	limit  int64
	keeper int       // pid of the process from which those of the job descend
	next   time.Time // zero is never
	free   int64     // bytes of the file system that were free at first
}

func newQuota(dir string, limit int64, keeper int, start time.Time) quota {
	return quota{dir: dir, limit: limit, keeper: keeper, next: start.Add(quotaFirst), free: free(dir)}
}

// exceeded looks when it is time to, and reports whether there is too much. Looking takes at most a twentieth of the time.
func (q *quota) exceeded(now time.Time) bool {
	if q.next.IsZero() || now.Before(q.next) {
		return false
	}
	u := usage{enough: q.limit}
	u.folder(q.dir)
	u.deleted(q.keeper)
	end := time.Now()
	q.next = end.Add(max(quotaFirst, 20*end.Sub(now)))
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

// usage is what files take on the disk, counted until it is more than enough.
type usage struct {
	bytes  int64
	enough int64
	hidden bool   // there was something that may not be looked at
	device uint64 // of the folder
}

// folder counts what is below dir. It does not leave dir, whatever the job makes of its folders meanwhile.
func (u *usage) folder(dir string) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return
	}
	defer root.Close()
	fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			u.hidden = u.hidden || errors.Is(err, fs.ErrPermission)
			return nil
		}
		if info, err := d.Info(); err == nil {
			if st, ok := info.Sys().(*syscall.Stat_t); ok {
				u.bytes += st.Blocks * 512
				if name == "." {
					u.device = st.Dev
				}
			}
		}
		if u.bytes > u.enough {
			return fs.SkipAll
		}
		return nil
	})
}

// deleted counts the files of the same file system that processes below pid have open, and that have no name any more.
func (u *usage) deleted(pid int) {
	seen := map[uint64]bool{}
	for _, task := range tasksBelow(pid) {
		if u.bytes > u.enough {
			return
		}
		files, err := os.Open(task + "/fd")
		if errors.Is(err, fs.ErrPermission) {
			// So is a process that has ended, and holds nothing any more.
			if st, ok := readStat(task[len("/proc/"):]); ok && st.alive {
				u.hidden = true
			}
		}
		if err != nil {
			continue
		}
		names, _ := files.Readdirnames(-1)
		for _, name := range names {
			var st unix.Stat_t
			if unix.Fstatat(int(files.Fd()), name, &st, 0) == nil && st.Mode&unix.S_IFMT == unix.S_IFREG && st.Nlink == 0 &&
				st.Dev == u.device && !seen[st.Ino] {
				seen[st.Ino] = true
				u.bytes += st.Blocks * 512
			}
		}
		files.Close()
	}
}

// tasksBelow returns the folders in /proc of the threads of all processes that descend from pid: each may have open
// files of its own.
func tasksBelow(pid int) (dirs []string) {
	known := map[int]bool{pid: true}
	for queue := []int{pid}; len(queue) > 0; queue = queue[1:] {
		tasks, children := family(strconv.Itoa(queue[0]))
		if queue[0] != pid {
			dirs = append(dirs, tasks...)
		}
		for _, child := range children {
			if !known[child] {
				known[child] = true
				queue = append(queue, child)
			}
		}
	}
	return dirs
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
