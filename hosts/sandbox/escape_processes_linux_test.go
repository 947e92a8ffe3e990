//go:build amd64 || arm64

package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

func ofVictim(v target, name string) string { return "/proc/" + strconv.Itoa(v.Pid) + "/" + name }

func ofParent(name string) string { return "/proc/" + strconv.Itoa(os.Getppid()) + "/" + name }

func call(number uintptr, args ...uintptr) error {
	var a [6]uintptr
	copy(a[:], args)
	if _, _, e := syscall.Syscall6(number, a[0], a[1], a[2], a[3], a[4], a[5]); e != 0 {
		return e
	}
	return nil
}

// asked says nil if the kernel looked at what it was asked, which was nonsense so that nothing happens.
func asked(err error) error {
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES), errors.Is(err, unix.ENOSYS):
		return err
	}
	return nil
}

var processEscapes = []escape{
	{name: "signal", try: func(v target) error { return unix.Kill(v.Pid, unix.SIGCONT) }},
	{name: "signal the parent", try: func(target) error { return unix.Kill(os.Getppid(), 0) }},
	{name: "signal by pidfd", try: func(v target) error {
		fd, err := unix.PidfdOpen(v.Pid, 0)
		if err != nil {
			return err
		}
		return unix.PidfdSendSignal(fd, unix.SIGCONT, nil, 0)
	}},
	{name: "signal to a thread", try: func(v target) error { return unix.Tgkill(v.Pid, v.Pid, unix.SIGCONT) }},
	{name: "signal with a value", try: func(v target) error {
		info := [32]int32{0: int32(unix.SIGCONT), 2: -1 /* SI_QUEUE */, 4: int32(os.Getpid()), 5: int32(os.Getuid())}
		return call(unix.SYS_RT_SIGQUEUEINFO, uintptr(v.Pid), uintptr(unix.SIGCONT), uintptr(unsafe.Pointer(&info)))
	}},
	{name: "signal to the group of another", try: func(v target) error {
		group, err := unix.Getpgid(v.Pid)
		if err != nil {
			return err
		}
		return unix.Kill(-group, unix.SIGCONT)
	}},
	{name: "signal by pidfd to the group of another", without: "an older kernel knows no groups there", try: func(v target) error {
		fd, err := unix.PidfdOpen(v.Pid, 0)
		if err != nil {
			return err
		}
		return unix.PidfdSendSignal(fd, unix.SIGCONT, nil, 4 /* PIDFD_SIGNAL_PROCESS_GROUP */)
	}},
	{name: "signal by asynchronous input", try: stopByInput},
	{name: "descriptor of another, taken", without: "a kernel may let nobody trace others", try: func(v target) error {
		fd, err := unix.PidfdOpen(v.Pid, 0)
		if err == nil {
			_, err = unix.PidfdGetfd(fd, 0, 0)
		}
		return err
	}},
	{name: "trace an own child", try: func(target) error {
		// Where a filter is asked before the tracer is, a tracer could change the call afterwards.
		c := exec.Command("/bin/sleep", "20")
		if err := c.Start(); err != nil {
			return err
		}
		defer c.Wait()
		defer c.Process.Kill()
		return call(unix.SYS_PTRACE, unix.PTRACE_SEIZE, uintptr(c.Process.Pid))
	}},
	{name: "ptrace", try: func(v target) error { return call(unix.SYS_PTRACE, 0x4206 /* SEIZE */, uintptr(v.Pid)) }},
	{name: "process_vm_readv", try: func(v target) error { return call(unix.SYS_PROCESS_VM_READV, uintptr(v.Pid)) }},
	{name: "environment", try: func(v target) error {
		b, err := os.ReadFile(ofVictim(v, "environ"))
		if err == nil && !bytes.Contains(b, []byte("SECRET=secret")) {
			err = errors.New("of another process")
		}
		return err
	}},
	{name: "environment of the parent", try: func(target) error {
		b, err := os.ReadFile(ofParent("environ"))
		if err == nil && len(b) == 0 {
			err = errors.New("nothing there")
		}
		return err
	}},
	{name: "memory", try: func(v target) error { return openFor(unix.O_RDWR, ofVictim(v, "mem")) }},
	{name: "memory of the parent", try: func(target) error {
		return openFor(unix.O_RDWR, ofParent("mem"))
	}},
	{name: "program of the parent", try: func(target) error { return openFor(unix.O_RDONLY, ofParent("exe")) }},
	{name: "folder of the parent", try: func(target) error { _, err := os.ReadDir(ofParent("cwd")); return err }},
	{name: "root of the parent", try: func(v target) error { return readSecret(ofParent("root") + v.secret()) }},
	{name: "descriptors of the parent", try: func(target) error {
		// How many there are the kernel tells whoever is the same user, and no more.
		list, err := os.ReadDir(ofParent("fd"))
		for _, fd := range list {
			if _, err = os.Readlink(ofParent("fd/" + fd.Name())); err == nil {
				return nil
			}
		}
		return err
	}},
	{name: "root of another", try: func(v target) error { return readSecret(ofVictim(v, "root") + v.secret()) }},
	{name: "folder of another", try: func(v target) error { _, err := os.ReadDir(ofVictim(v, "cwd")); return err }},
	{name: "files of another", try: func(v target) error { _, err := os.Readlink(ofVictim(v, "fd/0")); return err }},
	{name: "command line of another", only: "/proc of the machine shows it", try: func(v target) error {
		_, err := os.ReadFile(ofVictim(v, "cmdline"))
		return err
	}},
	// The kernel does what it can for all processes of the user, and says afterwards that it could not for one of them.
	{name: "nice of all", inside: true, try: func(target) error {
		before, err := unix.Getpriority(unix.PRIO_PROCESS, 0) // 20 - nice, and whoever runs the tests may be nice already
		if err != nil {
			return err
		}
		err = unix.Setpriority(unix.PRIO_USER, 0, 20-before+1)
		if after, failed := unix.Getpriority(unix.PRIO_PROCESS, 0); failed == nil && after < before {
			return nil
		}
		return fmt.Errorf("this process has the priority that it had: %w", err)
	}},
	{name: "nice of another", try: func(v target) error { return unix.Setpriority(unix.PRIO_PROCESS, v.Pid, 19) }},
	{name: "affinity of another", try: func(v target) error {
		var set unix.CPUSet
		set.Set(0)
		return unix.SchedSetaffinity(v.Pid, &set)
	}},
	{name: "limits of another", try: func(v target) error {
		var old unix.Rlimit
		return unix.Prlimit(v.Pid, unix.RLIMIT_CORE, nil, &old)
	}},
	{name: "shared memory segment", only: "System V IPC is not named by anything that Landlock knows", try: func(v target) error {
		return call(unix.SYS_SHMAT, uintptr(v.Shm))
	}},
	{name: "new user namespace by clone", try: func(target) error {
		_, err := syscall.ForkExec("/bin/true", []string{"true"}, &syscall.ProcAttr{
			Sys: &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER}})
		return err
	}},
	{name: "new user namespace by unshare", try: func(target) error { return asked(unix.Unshare(unix.CLONE_NEWUSER)) }},
	{name: "clone3", try: func(target) error { return asked(call(unix.SYS_CLONE3)) }},
	{name: "setns", try: func(target) error { return asked(unix.Setns(-1, 0)) }},
	{name: "gain privileges", try: func(target) error {
		if n, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); err != nil || n != 0 {
			return fmt.Errorf("no_new_privs: %d %v", n, err)
		}
		return nil
	}},
	{name: "capabilities", root: true, try: func(target) error {
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var data [2]unix.CapUserData
		if err := unix.Capget(&header, &data[0]); err != nil {
			return err
		}
		if data[0].Permitted|data[1].Permitted|data[0].Effective|data[0].Inheritable == 0 {
			return errors.New("none")
		}
		return nil
	}},
	{name: "read from memory file", try: func(v target) error {
		// Programs in memory may be executed. They are as confined as any other.
		fd, err := unix.MemfdCreate("x", 0)
		if err != nil {
			return err
		}
		self, err := os.ReadFile("/proc/self/exe")
		if err != nil {
			return err
		}
		f := os.NewFile(uintptr(fd), "x")
		if _, err := f.Write(self); err != nil {
			return err
		}
		cmd := exec.Command("/proc/" + strconv.Itoa(os.Getpid()) + "/fd/" + strconv.Itoa(fd))
		cmd.Env = []string{"ATTEMPT=read", "TARGET=" + os.Getenv("TARGET")}
		err = cmd.Run()
		if cmd.ProcessState != nil && cmd.ProcessState.ExitCode() == exitEscaped {
			return nil
		}
		return fmt.Errorf("refused in the second program: %w", err)
	}},
	{name: "many processes", limits: Limits{Processes: 60},
		only: "root has no limit of processes outside a pid namespace", try: func(target) error {
			var started []*exec.Cmd
			defer func() {
				for _, c := range started {
					c.Process.Kill()
					c.Wait()
				}
			}()
			for range 400 {
				c := exec.Command("/bin/sleep", "20")
				if err := c.Start(); err != nil {
					return err
				}
				started = append(started, c)
			}
			return nil
		}},
	{name: "much memory", limits: Limits{Data: 256 << 20}, try: func(target) error {
		b, err := unix.Mmap(-1, 0, 512<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
		if err == nil {
			unix.Munmap(b)
		}
		return err
	}},
	{name: "many files", limits: Limits{Files: 64}, try: func(target) error {
		for range 100 {
			if _, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
				return err
			}
		}
		return nil
	}},
	// At a limit of 1 there is neither a core file nor a helper; at 0 the machine's helper would be started.
	{name: "core dump", try: func(target) error { return coreLimit(1, 0) }},
	{name: "core helper", try: func(target) error {
		if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
			return err
		}
		return coreLimit(1, 1)
	}},
	{name: "core helper, by a limit in high bits", try: func(target) error {
		none := new(unix.Rlimit)
		if _, _, errno := unix.RawSyscall6(unix.SYS_PRLIMIT64, 0, unix.RLIMIT_CORE|1<<32, uintptr(unsafe.Pointer(none)), 0, 0, 0); errno != 0 {
			return errno
		}
		return coreLimit(1, 1)
	}},
}

// stopByInput has the kernel signal another process when there is something to read. It did where that one stops.
func stopByInput(v target) error {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	for _, set := range [][2]int{{unix.F_SETOWN, v.Pid}, {unix.F_SETSIG, int(unix.SIGSTOP)}, {unix.F_SETFL, unix.O_ASYNC}} {
		if _, err := unix.FcntlInt(uintptr(pair[0]), set[0], set[1]); err != nil {
			return err
		}
	}
	if _, err := unix.Write(pair[1], []byte("x")); err != nil {
		return err
	}
	for end := v.deadline(); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		b, err := os.ReadFile(ofVictim(v, "stat"))
		if err != nil {
			return err
		}
		if bytes.Contains(b, []byte(") T ")) {
			return nil
		}
	}
	return errors.New("it goes on")
}

// coreLimit says nil if the limit of core files is not the one given, nor higher than least.
func coreLimit(want, least uint64) error {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &r); err != nil {
		return err
	}
	if r.Max == want && r.Cur >= least {
		return errors.New("the limit is 1")
	}
	return nil
}

var kernelEscapes = []escape{
	{name: "mount", root: true, try: func(target) error { return asked(unix.Mount("x", ".", "no-such-type", 0, "")) }},
	{name: "bind mount", root: true, try: func(v target) error {
		if err := unix.Mount(v.Outside, "tmp", "", unix.MS_BIND, ""); err != nil {
			return err
		}
		return unix.Unmount("tmp", unix.MNT_DETACH)
	}},
	{name: "umount", root: true, try: func(target) error { return asked(unix.Unmount(".", 0)) }},
	{name: "open_tree", try: func(target) error {
		_, err := unix.OpenTree(unix.AT_FDCWD, ".", 0)
		return err
	}},
	{name: "open_tree with attributes", without: "an older kernel does not have it", try: func(target) error {
		dot := []byte(".\x00")
		return call(unix.SYS_OPEN_TREE_ATTR, ^uintptr(99) /* AT_FDCWD */, uintptr(unsafe.Pointer(&dot[0])))
	}},
	{name: "move_mount", root: true, try: func(target) error { return asked(unix.MoveMount(-1, "", -1, "", 0)) }},
	{name: "mount_setattr", root: true, try: func(target) error {
		return asked(unix.MountSetattr(-1, "", unix.AT_EMPTY_PATH, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_NODEV}))
	}},
	{name: "fspick", root: true, try: func(target) error { return asked(call(unix.SYS_FSPICK, ^uintptr(0))) }},
	{name: "fsconfig", without: "a container may refuse it", try: func(target) error {
		return asked(call(unix.SYS_FSCONFIG, ^uintptr(0)))
	}},
	{name: "fsmount", root: true, try: func(target) error { return asked(call(unix.SYS_FSMOUNT, ^uintptr(0))) }},
	{name: "watch a file system", without: "a kernel may be built without it", try: func(target) error {
		return asked(call(unix.SYS_FANOTIFY_INIT, 0x200 /* FAN_REPORT_FID */))
	}},
	{name: "fsopen", root: true, try: func(target) error { return asked(call(unix.SYS_FSOPEN)) }},
	{name: "chroot", root: true, try: func(target) error { return unix.Chroot(".") }},
	{name: "pivot_root", root: true, try: func(target) error { return asked(unix.PivotRoot(".", ".")) }},
	{name: "file handle", try: func(target) error {
		_, _, err := unix.NameToHandleAt(unix.AT_FDCWD, ".", 0)
		return err
	}},
	{name: "open by handle", root: true, try: func(target) error {
		return asked(call(unix.SYS_OPEN_BY_HANDLE_AT, ^uintptr(0)))
	}},
	{name: "key ring", try: func(target) error {
		_, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_USER_KEYRING, true)
		return err
	}, without: "a kernel may be built without keys"},
	{name: "add key", without: "a kernel may be built without keys", try: func(target) error {
		_, err := unix.AddKey("user", "sandbox-test", []byte("x"), unix.KEY_SPEC_PROCESS_KEYRING)
		return err
	}},
	{name: "bpf", root: true, try: func(target) error { return asked(call(unix.SYS_BPF, 0xffff)) }},
	{name: "perf", try: func(target) error { return asked(call(unix.SYS_PERF_EVENT_OPEN)) }},
	{name: "io_uring", without: "a kernel may be built without it", try: func(target) error {
		return asked(call(unix.SYS_IO_URING_SETUP, 1))
	}},
	{name: "userfaultfd", try: func(target) error { return asked(call(unix.SYS_USERFAULTFD, 1)) },
		without: "a kernel may be built without it"},
	{name: "load module", root: true, without: "a kernel may be built without modules", try: func(target) error {
		return asked(call(unix.SYS_FINIT_MODULE, ^uintptr(0)))
	}},
	{name: "kexec", root: true, without: "a kernel may be built without it", try: func(target) error {
		return asked(call(unix.SYS_KEXEC_LOAD, 0, 1000))
	}},
	{name: "reboot", root: true, try: func(target) error { return asked(call(unix.SYS_REBOOT)) }},
	{name: "swapon", root: true, without: "a kernel may be built without it", try: func(target) error {
		return asked(call(unix.SYS_SWAPON))
	}},
	{name: "accounting", root: true, without: "a kernel may be built without it", try: func(target) error {
		return asked(call(unix.SYS_ACCT, 1))
	}},
	{name: "quota", root: true, without: "a kernel may be built without it", try: func(target) error {
		return asked(call(unix.SYS_QUOTACTL, 0x80000700))
	}},
	{name: "kernel messages", root: true, try: func(target) error {
		_, err := unix.Klogctl(10, nil)
		return err
	}},
	{name: "clock", try: func(target) error { return asked(call(unix.SYS_CLOCK_SETTIME)) }},
	{name: "adjtimex", try: func(target) error { _, err := unix.Adjtimex(&unix.Timex{}); return err }},
	{name: "settimeofday", try: func(target) error { return asked(call(unix.SYS_SETTIMEOFDAY, 1)) }},
	{name: "host name", root: true, try: func(target) error { return asked(call(unix.SYS_SETHOSTNAME, 0, 1000)) }},
	{name: "personality", try: func(target) error { return call(unix.SYS_PERSONALITY, 0x0040000) }},
	{name: "TIOCSTI", try: func(target) error { return asked(unix.IoctlSetInt(0, unix.TIOCSTI, 0)) }},
	{name: "TIOCSTI with more bits", try: func(target) error {
		return asked(call(unix.SYS_IOCTL, 0, unix.TIOCSTI|1<<32))
	}},
	{name: "TIOCLINUX", try: func(target) error { return asked(call(unix.SYS_IOCTL, 0, 0x541c)) }},
	{name: "TIOCLINUX with more bits", try: func(target) error { return asked(call(unix.SYS_IOCTL, 0, 0x541c|1<<32)) }},
	{name: "security attribute", root: true, try: func(target) error {
		if err := os.WriteFile("x", nil, 0o755); err != nil {
			return err
		}
		caps := [20]byte{0: 0, 3: 2, 4: 1} // security.capability, version 2, CAP_CHOWN
		return call(unix.SYS_SETXATTR, ptr("x\x00"), ptr("security.capability\x00"), uintptr(unsafe.Pointer(&caps)), 20)
	}},
}

func ptr(s string) uintptr { return uintptr(unsafe.Pointer(unsafe.StringData(s))) }
