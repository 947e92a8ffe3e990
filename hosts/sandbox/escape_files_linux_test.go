//go:build amd64 || arm64

package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

const chmodPasses = "Landlock has no say about chmod, chown, times and attributes"

const procPasses = "Landlock has no say about parts of a folder that is open"

func someEntry(dir string) error {
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) == 0 {
		err = errors.New("nothing there")
	}
	return err
}

func readSecret(path string) error {
	b, err := os.ReadFile(path)
	if err == nil && string(b) != "secret" {
		err = errors.New("something else")
	}
	return err
}

func openFor(flags int, path string) error {
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0)
	if err == nil {
		unix.Close(fd)
	}
	return err
}

// modeOf says nil if the file has one of the bits.
func modeOf(path string, bits uint32, err error) error {
	if err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return err
	}
	if st.Mode&bits == 0 {
		return fmt.Errorf("mode %o", st.Mode)
	}
	return nil
}

var fileEscapes = []escape{
	{name: "read", try: func(v target) error { return readSecret(v.secret()) }},
	{name: "read by dots", try: func(v target) error {
		wd, err := os.Getwd()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(wd, v.secret())
		if err != nil {
			return err
		}
		return readSecret(rel)
	}},
	{name: "read by proc", try: func(v target) error { return readSecret("/proc/self/root" + v.secret()) }},
	{name: "read by symbolic link", try: func(v target) error {
		if err := os.Symlink(v.secret(), "link"); err != nil {
			return err
		}
		return readSecret("link")
	}},
	{name: "read by hard link", try: func(v target) error {
		if err := os.Link(v.secret(), "link"); err != nil {
			return err
		}
		return readSecret("link")
	}},
	{name: "read by racing links", try: raceLinks},
	{name: "read key", try: func(v target) error { return openFor(unix.O_RDONLY, filepath.Join(v.Outside, "key")) }},
	{name: "list", try: func(v target) error { _, err := os.ReadDir(v.Outside); return err }},
	{name: "stat config", only: "Landlock has no say about stat", try: func(v target) error {
		_, err := os.Stat(filepath.Join(v.Outside, "config.json"))
		return err
	}},
	{name: "write", try: func(v target) error { return os.WriteFile(v.secret(), []byte("changed"), 0o600) }},
	{name: "append", try: func(v target) error { return openFor(unix.O_WRONLY|unix.O_APPEND, v.secret()) }},
	{name: "truncate", try: func(v target) error { return os.Truncate(v.secret(), 0) }},
	{name: "create", try: func(v target) error { return os.WriteFile(filepath.Join(v.Outside, "new"), nil, 0o600) }},
	{name: "mkdir", try: func(v target) error { return os.Mkdir(filepath.Join(v.Outside, "new"), 0o700) }},
	{name: "unlink", try: func(v target) error { return os.Remove(v.secret()) }},
	{name: "rename in", try: func(v target) error { return os.Rename(v.secret(), "mine") }},
	{name: "rename out", try: func(v target) error {
		if err := os.WriteFile("mine", nil, 0o600); err != nil {
			return err
		}
		return os.Rename("mine", v.secret())
	}},
	{name: "link out", try: func(v target) error {
		if err := os.WriteFile("mine", nil, 0o600); err != nil {
			return err
		}
		return os.Link("mine", filepath.Join(v.Outside, "new"))
	}},
	{name: "symlink out", try: func(v target) error { return os.Symlink("/", filepath.Join(v.Outside, "new")) }},
	{name: "chmod", only: chmodPasses, try: func(v target) error { return os.Chmod(v.secret(), 0o777) }},
	{name: "chown", only: chmodPasses, try: func(v target) error { return os.Chown(v.secret(), os.Getuid(), os.Getgid()) }},
	{name: "times", only: chmodPasses, try: func(v target) error { return os.Chtimes(v.secret(), time.Unix(0, 0), time.Unix(0, 0)) }},
	{name: "mode of the machine's null device", root: true, only: chmodPasses, try: func(target) error {
		var st unix.Stat_t
		if err := unix.Fstat(0, &st); err != nil {
			return err
		}
		return unix.Fchmod(0, st.Mode&0o7777)
	}},
	{name: "times of the machine's null device", root: true, only: chmodPasses, try: func(target) error {
		var st unix.Stat_t
		if err := unix.Fstat(0, &st); err != nil {
			return err
		}
		return unix.UtimesNanoAt(unix.AT_FDCWD, "/proc/self/fd/0", []unix.Timespec{st.Atim, st.Mtim}, 0)
	}},
	{name: "interrupts of the machine", only: procPasses, without: "a container may hide it", try: func(target) error { return openFor(unix.O_RDONLY, "/proc/interrupts") }},
	{name: "symbols of the kernel", only: procPasses, without: "a container may hide it", try: func(target) error { return openFor(unix.O_RDONLY, "/proc/kallsyms") }},
	{name: "keys", only: procPasses, without: "a container may hide it", try: func(target) error { return openFor(unix.O_RDONLY, "/proc/keys") }},
	{name: "locks of others", only: procPasses, without: "a container may hide it", try: func(target) error { return openFor(unix.O_RDONLY, "/proc/locks") }},
	{name: "command line of the kernel", only: procPasses, without: "a container may hide it", try: func(target) error { return openFor(unix.O_RDONLY, "/proc/cmdline") }},
	{name: "disks", only: procPasses, without: "a container may hide it", try: func(target) error { return openFor(unix.O_RDONLY, "/proc/diskstats") }},
	{name: "drivers", only: procPasses, without: "a container may hide it", try: func(target) error { return someEntry("/proc/tty") }},
	{name: "interrupt settings", only: procPasses, without: "a container may hide it", try: func(target) error { return someEntry("/proc/irq") }},
	{name: "write to system", root: true, try: func(target) error { return openFor(unix.O_WRONLY, "/etc/passwd") }},
	{name: "read shadow", root: true, try: func(target) error { return openFor(unix.O_RDONLY, "/etc/shadow") }},
	{name: "timers of the machine", root: true, only: procPasses, without: "a container may hide it", try: func(target) error {
		return openFor(unix.O_RDONLY, "/proc/timer_list")
	}},
	{name: "enter a folder", only: "Landlock has no say about chdir", try: func(v target) error { return os.Chdir(v.Outside) }},
	{name: "a way that the filter cannot see", try: func(v target) error {
		fd, err := unix.Openat2(unix.AT_FDCWD, v.secret(), &unix.OpenHow{Flags: unix.O_RDONLY | unix.O_CLOEXEC})
		if err == nil {
			unix.Close(fd)
		}
		return err
	}},
	{name: "file among the devices", root: true, without: "a container may have them only to read", try: func(target) error {
		path := fmt.Sprintf("/dev/sandbox-test-%d", os.Getpid())
		defer os.Remove(path)
		return os.WriteFile(path, nil, 0o600)
	}},
	{name: "control group", root: true, without: "a container may have none, or only to read", try: func(target) error {
		path := fmt.Sprintf("/sys/fs/cgroup/sandbox-test-%d", os.Getpid())
		defer os.Remove(path)
		return os.Mkdir(path, 0o700)
	}},
	{name: "write to root", root: true, try: func(target) error {
		defer os.Remove("/sandbox-test-file")
		return os.WriteFile("/sandbox-test-file", nil, 0o600)
	}},
	{name: "shared memory folder", try: func(target) error {
		path := fmt.Sprintf("/dev/shm/sandbox-test-%d", os.Getpid())
		defer os.Remove(path)
		return os.WriteFile(path, nil, 0o600)
	}},
	{name: "setuid by chmod", try: func(target) error {
		if err := os.WriteFile("x", nil, 0o755); err != nil {
			return err
		}
		return modeOf("x", setIDs, unix.Chmod("x", 0o4755))
	}},
	{name: "setgid by fchmod", try: func(target) error {
		f, err := os.Create("x")
		if err != nil {
			return err
		}
		return modeOf("x", setIDs, unix.Fchmod(int(f.Fd()), 0o2755))
	}},
	{name: "setuid by fchmodat2", try: func(target) error {
		if err := os.WriteFile("x", nil, 0o755); err != nil {
			return err
		}
		return modeOf("x", setIDs, unix.Fchmodat(unix.AT_FDCWD, "x", 0o4755, unix.AT_SYMLINK_NOFOLLOW))
	}},
	{name: "setuid by create", try: func(target) error {
		fd, err := unix.Open("x", unix.O_CREAT|unix.O_WRONLY|unix.O_CLOEXEC, 0o4755)
		if err == nil {
			unix.Close(fd)
		}
		return modeOf("x", setIDs, err)
	}},
	{name: "setuid by mknod", try: func(target) error {
		return modeOf("x", setIDs, unix.Mknod("x", unix.S_IFREG|0o4755, 0))
	}},
	{name: "character device", root: true, try: func(target) error {
		return unix.Mknod("x", unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3)))
	}},
	{name: "block device", root: true, try: func(target) error {
		return unix.Mknod("x", unix.S_IFBLK|0o666, int(unix.Mkdev(7, 0)))
	}},
	{name: "kernel log", root: true, try: func(target) error { return openFor(unix.O_RDONLY|unix.O_NONBLOCK, "/dev/kmsg") }},
	{name: "terminal", try: func(target) error { return openFor(unix.O_RDWR|unix.O_NOCTTY, "/dev/ptmx") }},
	{name: "proc self", try: func(target) error { return os.WriteFile("/proc/self/oom_score_adj", []byte("500"), 0) }},
	{name: "core pattern", root: true, try: func(target) error { return openFor(unix.O_WRONLY, "/proc/sys/kernel/core_pattern") }},
	{name: "sysrq", root: true, without: "a kernel may be built without it", try: func(target) error { return openFor(unix.O_WRONLY, "/proc/sysrq-trigger") }},
	{name: "sys", try: func(target) error { _, err := os.ReadDir("/sys/kernel"); return err }},
	{name: "watch a folder", try: func(v target) error {
		fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
		if err == nil {
			_, err = unix.InotifyAddWatch(fd, v.Outside, unix.IN_ALL_EVENTS)
		}
		return err
	}},
	{name: "large file", limits: Limits{FileSize: 1 << 20}, try: func(target) error {
		return os.WriteFile("big", make([]byte, 2<<20), 0o600)
	}},
	{name: "full disk", limits: Limits{FileSize: 2 << 20, Disk: 8 << 20}, try: func(v target) error {
		return fill(v, func(i int) (*os.File, error) { return os.Create(fmt.Sprint("part", i)) })
	}},
	{name: "full disk, of deleted files", limits: Limits{FileSize: 2 << 20, Disk: 8 << 20}, try: func(v target) error {
		return fill(v, func(i int) (*os.File, error) {
			f, err := os.Create(fmt.Sprint("part", i))
			if err == nil {
				err = os.Remove(f.Name())
			}
			return f, err
		})
	}},
	{name: "full disk, behind closed folders", alone: true, limits: Limits{FileSize: 2 << 20, Disk: 8 << 20}, try: func(v target) error {
		return fill(v, func(i int) (*os.File, error) {
			dir := fmt.Sprint("dir", i)
			if err := os.Mkdir(dir, 0o700); err != nil {
				return nil, err
			}
			f, err := os.Create(dir + "/part")
			if err == nil {
				err = os.Chmod(dir, 0)
			}
			return f, err
		})
	}},
}

// readEscapes change what a job may read and nothing else.
var readEscapes = []escape{
	{name: "write a file to read", try: func(v target) error { return os.WriteFile(v.Read+"/file", []byte("changed"), 0o600) }},
	{name: "truncate a file to read", try: func(v target) error { return os.Truncate(v.Read+"/file", 0) }},
	{name: "create in a folder to read", try: func(v target) error { return os.WriteFile(v.Read+"/new", nil, 0o600) }},
	{name: "unnamed file in a folder to read", without: "a disk may know none", try: func(v target) error {
		return openFor(unix.O_TMPFILE|unix.O_WRONLY, v.Read)
	}},
	{name: "unlink in a folder to read", try: func(v target) error { return os.Remove(v.Read + "/file") }},
	{name: "rename in a folder to read", try: func(v target) error { return os.Rename(v.Read+"/file", v.Read+"/other") }},
	{name: "file to read, opened again to write", try: func(v target) error {
		return hold(v.Read+"/file", unix.O_RDONLY, func(fd int) error {
			return openFor(unix.O_WRONLY, fmt.Sprint("/proc/self/fd/", fd))
		})
	}},
	{name: "file to read, by a descriptor to write", try: func(v target) error {
		return hold(v.Read+"/file", unix.O_PATH, func(fd int) error {
			return openFor(unix.O_RDWR, fmt.Sprint("/proc/self/fd/", fd))
		})
	}},
	{name: "file to read, by a hard link", try: func(v target) error {
		if err := os.Link(v.Read+"/file", "mine"); err != nil {
			return err
		}
		return openFor(unix.O_WRONLY, "mine")
	}},
	{name: "file to read, by a link to a descriptor", try: func(v target) error {
		return hold(v.Read+"/file", unix.O_RDONLY, func(fd int) error {
			err := unix.Linkat(unix.AT_FDCWD, fmt.Sprint("/proc/self/fd/", fd), unix.AT_FDCWD, "mine", unix.AT_SYMLINK_FOLLOW)
			if err != nil {
				return err
			}
			return openFor(unix.O_WRONLY, "mine")
		})
	}},
	{name: "file to read, moved to a folder to write", try: func(v target) error {
		return os.Rename(v.Read+"/file", v.Write+"/mine")
	}},
	{name: "file to read, exchanged with another", try: func(v target) error {
		if err := os.WriteFile("mine", nil, 0o600); err != nil {
			return err
		}
		return unix.Renameat2(unix.AT_FDCWD, "mine", unix.AT_FDCWD, v.Read+"/file", unix.RENAME_EXCHANGE)
	}},
	{name: "folder to read, moved away", try: func(v target) error { return os.Rename(v.Read, v.Read+"2") }},
	{name: "folder to write, moved away", try: func(v target) error { return os.Rename(v.Write, v.Write+"2") }},
	{name: "folder to write, replaced by a link", try: func(v target) error {
		if err := os.RemoveAll(v.Write); err != nil {
			return err
		}
		return os.Symlink(v.Outside, v.Write)
	}},
	{name: "mode of a file to read", only: chmodPasses, try: func(v target) error { return os.Chmod(v.Read+"/file", 0o777) }},
	{name: "times of a file to read", only: chmodPasses, try: func(v target) error {
		return os.Chtimes(v.Read+"/file", time.Unix(0, 0), time.Unix(0, 0))
	}},
	{name: "attribute of a file to read", only: chmodPasses, without: "a disk may know none", try: func(v target) error {
		return unix.Setxattr(v.Read+"/file", "user.sandbox", []byte("x"), 0)
	}},
	{name: "flags of a file to read", only: chmodPasses, without: "a disk may know none", try: func(v target) error {
		return hold(v.Read+"/file", unix.O_RDONLY, func(fd int) error {
			flags, err := unix.IoctlGetInt(fd, unix.FS_IOC_GETFLAGS)
			if err != nil {
				return err
			}
			return unix.IoctlSetPointerInt(fd, unix.FS_IOC_SETFLAGS, flags|0x40 /* FS_NODUMP_FL */)
		})
	}},
}

// fill writes into many new files, slowly enough to be seen. On a busy machine the look that ends it may come late.
func fill(v target, create func(i int) (*os.File, error)) error {
	for i := range 32 {
		f, err := create(i)
		if err == nil {
			defer f.Close()
			_, err = f.Write(make([]byte, 2<<20))
		}
		if err != nil {
			return err
		}
		time.Sleep(30 * time.Millisecond)
	}
	if v.Limited {
		time.Sleep(15 * time.Second)
	}
	return nil
}

// raceLinks swaps a folder of the job with a link to the outside while it opens a file in it.
func raceLinks(v target) error {
	if err := os.Mkdir("dir", 0o700); err != nil {
		return err
	}
	if err := os.WriteFile("dir/secret", []byte("mine"), 0o600); err != nil {
		return err
	}
	if err := os.Symlink(v.Outside, "link"); err != nil {
		return err
	}
	stop := v.deadline()
	go func() {
		for time.Now().Before(stop) {
			unix.Renameat2(unix.AT_FDCWD, "dir", unix.AT_FDCWD, "link", unix.RENAME_EXCHANGE)
		}
	}()
	var err error
	for time.Now().Before(stop) {
		if err = readSecret("dir/secret"); err == nil {
			return nil
		}
	}
	return err
}
