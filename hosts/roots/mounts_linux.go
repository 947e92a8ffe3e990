package roots

import (
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// pseudo are file systems whose files are windows into the kernel or other processes.
var pseudo = map[int64]string{
	unix.PROC_SUPER_MAGIC:    "proc",
	unix.SYSFS_MAGIC:         "sysfs",
	unix.CGROUP_SUPER_MAGIC:  "a cgroup tree",
	unix.CGROUP2_SUPER_MAGIC: "a cgroup tree",
	unix.DEBUGFS_MAGIC:       "debugfs",
	unix.TRACEFS_MAGIC:       "tracefs",
	unix.DEVPTS_SUPER_MAGIC:  "devpts",
	unix.BPF_FS_MAGIC:        "bpf",
	unix.SECURITYFS_MAGIC:    "securityfs",
}

// exposes reports whether the object at the absolute name, the top of a mount that the walk has just come to, shows
// something forbidden: a bind mount of a folder or file in config has the device of config, and neither its name nor, if
// it is a part, its inode. It is asked only where a walk crosses from one mount to another.
func (r *Roots) exposes(in info, name string) (string, bool) {
	var fs unix.Statfs_t
	if unix.Statfs(name, &fs) == nil {
		if what, bad := pseudo[int64(fs.Type)]; bad {
			return what, true
		}
	}
	const unknown = "something that cannot be told"
	mounts, err := readMounts()
	if err != nil {
		return unknown, true
	}
	top, ok := mounts[in.mount]
	if !ok {
		return unknown, true
	}
	for name := range strings.SplitSeq(top.root, "/") {
		if isGit(skeleton(name)) {
			return "git's own folder", true
		}
	}
	for _, f := range r.forbidden {
		if !f.exists || f.dev != in.dev {
			continue
		}
		m, ok := mounts[f.mount]
		if !ok || !within(m.point, f.path) {
			return f.path, true
		}
		inner := path.Join(m.root, strings.TrimPrefix(f.path[len(m.point):], "/"))
		if m.point == "/" {
			inner = path.Join(m.root, f.path)
		}
		if within(inner, top.root) {
			return f.path + ", which is closed to jobs", true
		}
	}
	return "", false
}

// mount is a line of mountinfo: which folder of its file system appears where.
type mount struct{ root, point string }

func readMounts() (map[uint64]mount, error) {
	data, err := os.ReadFile("/proc/thread-self/mountinfo")
	if err != nil {
		return nil, err
	}
	mounts := map[uint64]mount{}
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(line)
		if len(f) < 5 {
			continue
		}
		if id, err := strconv.ParseUint(f[0], 10, 64); err == nil {
			mounts[id] = mount{root: unescape(f[3]), point: unescape(f[4])}
		}
	}
	return mounts, nil
}

// unescape undoes the octal escapes of mountinfo (blank, tab, newline, backslash).
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
