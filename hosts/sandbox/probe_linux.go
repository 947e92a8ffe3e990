package sandbox

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Probe finds out, once in the life of this process, what the machine offers. What it finds while the machine is out of
// something is no fact about the machine: Facts.Fault says so, and the next call looks again. Levels are tried by making a keeper for
// each, which goes through all that a job goes through up to its exec: there are too many switches (sysctls, modules,
// seccomp of a container) to go by versions and settings.
func Probe() Facts {
	probed.Lock()
	defer probed.Unlock()
	if !probed.done {
		probed.facts = probe()
		probed.done = probed.facts.Fault == nil
	}
	return probed.facts
}

var probed struct {
	sync.Mutex
	done  bool
	facts Facts
}

func probe() Facts {
	f := Facts{Level: LevelNone, Missing: []string{}, Gaps: []Gap{}}
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		f.Kernel = unix.ByteSliceToString(name.Release[:])
	}
	f.LandlockABI = landlockABI()
	// A filter without a program: EFAULT says that the kernel got as far as reading it.
	f.Seccomp = unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, 0, 0, 0) == unix.EFAULT
	f.UserNamespaces = userNamespaces()
	f.CgroupV2, f.CgroupWritable = cgroup()
	if fd, err := unix.PidfdOpen(os.Getpid(), 0); err == nil {
		f.Pidfd = true
		unix.Close(fd)
	}
	if b, err := os.ReadFile("/proc/sys/kernel/unprivileged_bpf_disabled"); err == nil {
		f.UnprivilegedBPF = strings.TrimSpace(string(b)) == "0"
	}
	f.Gaps = append(f.Gaps, landlockGaps(f.LandlockABI)...)
	f.Gaps = append(f.Gaps, crashGaps()...)
	if os.Geteuid() == 0 {
		lost := "jobs of root have no limit of processes at restricted, and at full none below " + strconv.Itoa(leastPids)
		if !pidMax() {
			lost = "jobs of root have no limit of processes"
		}
		if g, ok := groupGap("pids", lost); ok {
			g.Enable = "run Sheratan in a cgroup that may have others below it, as in a systemd scope (systemd-run --scope -p Delegate=yes), or as an ordinary user"
			f.Gaps = append(f.Gaps, g)
		}
	}
	if g, ok := groupGap("memory", "limits of memory hold for each process alone, and not for memory files, shared memory and sockets"); ok {
		f.Gaps = append(f.Gaps, g)
	}
	if g, ok := cpuGap(); ok {
		f.Gaps = append(f.Gaps, g)
	}
	// What gives full gives restricted; of the other way round both are tried.
	if full := tryLevel(LevelFull); full == nil {
		f.Level = LevelFull
	} else {
		if restricted := tryLevel(LevelRestricted); restricted != nil {
			f.gap(restricted, LevelRestricted)
		} else {
			f.Level = LevelRestricted
		}
		f.gap(full, LevelFull)
	}
	for _, g := range f.Gaps {
		f.Missing = append(f.Missing, g.String())
	}
	return f
}

// gap adds why a level cannot be had, unless that is known.
func (f *Facts) gap(err error, level Level) {
	if Fault(err) {
		f.Fault = fmt.Errorf("finding out what this machine confines jobs with: %w", err)
		if lack := Lack(err); lack != "" {
			f.Fault = fmt.Errorf("finding out what this machine confines jobs with: it is out of %s: %w", lack, err)
		}
	}
	g := Gap{Primitive: "keeper", Level: level, Lost: err.Error()}
	if p, ok := errors.AsType[*problem](err); ok {
		g.Primitive, g.Lost, g.Enable = p.Primitive, p.Errno.Error(), enable[p.Primitive]
	}
	for _, known := range f.Gaps {
		if known.Primitive == g.Primitive && known.Level != "" {
			return
		}
	}
	f.Gaps = append(f.Gaps, g)
}

// enable is what to do about a primitive that is missing.
var enable = map[string]string{
	"Landlock":        "Linux 5.13 or later, with landlock in the kernel's command line: lsm=landlock,…",
	"Landlock ABI 4":  "Linux 6.7 or later",
	"seccomp":         "a kernel with CONFIG_SECCOMP_FILTER; in a container, a profile that allows seccomp",
	"user namespace":  "sysctl -w user.max_user_namespaces=10000 kernel.unprivileged_userns_clone=1 kernel.apparmor_restrict_unprivileged_userns=0",
	"namespaces":      "sysctl -w user.max_pid_namespaces=10000 user.max_mnt_namespaces=10000 user.max_net_namespaces=10000; in a container: --cap-add SYS_ADMIN",
	"mount namespace": "in a container: --security-opt systempaths=unconfined, or --cap-add SYS_ADMIN",
	"pid namespace":   "sysctl -w user.max_pid_namespaces=10000",
	"clone":           "in a container: a seccomp profile that allows clone3",
	"capabilities":    "in a container: --cap-add SETPCAP",
}

// landlockGaps says what an older Landlock leaves open.
func landlockGaps(abi int) (gaps []Gap) {
	for _, v := range []struct {
		abi    int
		level  Level
		lost   string
		kernel string
	}{
		{2, "", "files cannot be moved between folders", "5.19"},
		{abiTruncate, LevelFull, "at restricted, programs cannot cut a file by its name", "6.2"},
		{4, LevelFull, "", "6.7"},
		{5, "", "at restricted, ioctls of devices are not refused by it", "6.10"},
		{6, "", "at restricted, other processes of the same user can be signalled", "6.12"},
		{9, "", "at restricted, jobs have no Unix sockets but connected pairs", ""},
	} {
		if abi > 0 && abi < v.abi {
			g := Gap{Primitive: "Landlock ABI " + strconv.Itoa(v.abi), Level: v.level, Lost: v.lost, Enable: "a newer kernel"}
			if v.kernel != "" {
				g.Enable = "Linux " + v.kernel + " or later"
			}
			gaps = append(gaps, g)
		}
	}
	return gaps
}

// crashGaps says whether somebody on the machine acts on the crash of a job. A limit of 1 for core files keeps helpers from
// being started (core(5)); where it cannot be set, or a service is told by a socket, nothing does.
func crashGaps() []Gap {
	pattern, err := os.ReadFile("/proc/sys/kernel/core_pattern")
	if err != nil {
		return nil
	}
	return crashGap(string(pattern), atMost(unix.RLIMIT_CORE, 1))
}

func crashGap(pattern string, limit int64) []Gap {
	g := Gap{Primitive: "core_pattern", Enable: "sysctl -w kernel.core_pattern=core"}
	switch {
	case strings.HasPrefix(pattern, "@"):
		g.Lost = "the memory of a job that crashes goes to the machine's service for that"
	case strings.HasPrefix(pattern, "|") && limit < 1:
		g.Lost, g.Enable = "the crash of a job starts the machine's helper for that", "ulimit -Hc unlimited where Sheratan starts, or "+g.Enable
	default:
		return nil
	}
	return []Gap{g}
}

// pidMax reports whether pid_max belongs to the pid namespace.
func pidMax() bool {
	var name unix.Utsname
	if unix.Uname(&name) != nil {
		return false
	}
	major, minor := 0, 0
	fmt.Sscanf(unix.ByteSliceToString(name.Release[:]), "%d.%d", &major, &minor)
	return major > 6 || major == 6 && minor >= 14
}

// tryLevel makes a keeper and ends it.
func tryLevel(level Level) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c := &Confinement{Read: SystemPaths()}
	h, err := fork(level, c)
	if err != nil {
		return err
	}
	if err := h.setup(level, c); err != nil {
		return err
	}
	h.close()
	return nil
}

// userNamespaces starts a program that does not exist in a user namespace. That it is missing is noticed last, when the
// namespace is there and has its mappings; so nothing ever runs.
func userNamespaces() bool {
	if b, err := os.ReadFile("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"); err == nil && os.Geteuid() != 0 &&
		strings.TrimSpace(string(b)) == "1" {
		return false // it can be made, but gives no rights inside
	}
	_, err := syscall.ForkExec("/proc/self/no-such-program", []string{"probe"}, &syscall.ProcAttr{
		Sys: &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
		},
	})
	return err == syscall.ENOENT
}

// cgroup returns where cgroup v2 is mounted, and whether this process could make groups below its own.
func cgroup() (mount string, writable bool) {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return "", false
	}
	for line := range strings.Lines(string(mounts)) {
		if f := strings.Fields(line); len(f) > 2 && f[2] == "cgroup2" {
			mount = f[1]
			break
		}
	}
	if mount == "" {
		return "", false
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return mount, false
	}
	for line := range strings.Lines(string(own)) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			writable = unix.Access(mount+path, unix.W_OK) == nil
		}
	}
	return mount, writable
}
