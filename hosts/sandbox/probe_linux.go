package sandbox

import (
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Probe asks the machine what it offers. Whether a user namespace can be made it finds out by making one: there are too
// many switches (sysctls, seccomp of a container) to go by their settings.
func Probe() Facts {
	f := Facts{Level: LevelNone, Missing: []string{}}
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
	for _, m := range []struct {
		there bool
		what  string
	}{
		{f.LandlockABI >= 1, "Landlock (kernel 5.13 or later, and landlock in the list of lsm=)"},
		{f.LandlockABI == 0 || f.LandlockABI >= 4, "Landlock ABI 4 (kernel 6.7 or later) for network rules"},
		{f.Seccomp, "seccomp filters"},
		{f.UserNamespaces || os.Geteuid() == 0, "user namespaces for this user"},
		{f.CgroupV2 != "", "cgroup v2"},
		{f.Pidfd, "pidfd (kernel 5.4 or later)"},
	} {
		if !m.there {
			f.Missing = append(f.Missing, m.what)
		}
	}
	return f
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
