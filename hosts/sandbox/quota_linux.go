package sandbox

import (
	"io/fs"
	"os"
	"syscall"
	"time"
)

// quotaFirst is when a work folder is looked at for the first time; most jobs have ended by then.
const quotaFirst = 100 * time.Millisecond

// quota watches how much is in a folder.
type quota struct {
	dir   string
	limit int64
	next  time.Time // zero is never
}

// exceeded looks when it is time to, and reports whether there is too much. Looking takes at most a twentieth of the time.
func (q *quota) exceeded(now time.Time) bool {
	if q.next.IsZero() || now.Before(q.next) {
		return false
	}
	over := usage(q.dir, q.limit) > q.limit
	end := time.Now()
	q.next = end.Add(max(quotaFirst, 20*end.Sub(now)))
	return over
}

// usage is what the files below dir take on the disk, in bytes, counted until it is more than enough. It does not leave
// dir, whatever the job makes of its folders meanwhile.
func usage(dir string, enough int64) (sum int64) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return 0
	}
	defer root.Close()
	fs.WalkDir(root.FS(), ".", func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		if info, err := d.Info(); err == nil {
			if st, ok := info.Sys().(*syscall.Stat_t); ok {
				sum += st.Blocks * 512
			}
		}
		if sum > enough {
			return fs.SkipAll
		}
		return nil
	})
	return sum
}
