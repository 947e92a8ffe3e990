package sandbox

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Securebits: uid 0 means nothing at exec, and none of this can be taken back.
const secureBits = 1<<0 | 1<<1 | // NOROOT
	1<<2 | 1<<3 | // NO_SETUID_FIXUP
	1<<6 | 1<<7 // NO_CAP_AMBIENT_RAISE

// oomScore makes a job look as if it had half the memory of the machine beside its own.
const oomScore = 500

// openScore opens the place where the kernel is told whom to end first where memory runs out: jobs before what else is on
// the machine, and their keeper not before them, since it ends what else a job has started. A kernel that does not take
// it confines no less.
func (k *keeper) openScore() {
	k.score = -1
	b, err := os.ReadFile("/proc/self/oom_score_adj")
	if err != nil {
		return
	}
	own, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return
	}
	k.ownScore, k.jobScore = []byte(strconv.Itoa(own)), []byte(strconv.Itoa(min(own+oomScore, 1000)))
	if fd, err := unix.Open("/proc/self/oom_score_adj", unix.O_WRONLY|unix.O_CLOEXEC, 0); err == nil {
		k.score = fd
	}
}

func trouble(primitive string, err error) *problem {
	p := &problem{Primitive: primitive, Text: err.Error(), Errno: unix.EINVAL}
	if e, ok := errors.AsType[syscall.Errno](err); ok {
		p.Errno = e
	}
	return p
}

// prepare confines the keeper as far as it goes and gets ready to start jobs. The last thing is a trial: a process that
// goes all the way to exec, which it does with nothing to execute.
func (k *keeper) prepare() *problem {
	swallow()
	k.openScore()
	k.abi = landlockABI()
	switch {
	case k.abi == 0:
		return trouble("Landlock", unix.ENOSYS)
	case k.abi < abiTCP && k.Level == LevelFull:
		return trouble("Landlock ABI 4", unix.ENOSYS)
	}
	full := k.Level == LevelFull
	if full {
		if os.Getpid() != 1 {
			return trouble("pid namespace", unix.EINVAL)
		}
		if err := isolate(&k.Confine); err != nil {
			return trouble("mount namespace", err)
		}
		limitNamespace(k.Confine.Limits.Processes)
		// Root without CAP_NET_ADMIN, as in some containers, gets a namespace and cannot do this. Its jobs have no loopback.
		k.loopback = !k.Confine.Network && bringUp() == nil
		if err := unix.MountSetattr(-1, "/proc", 0, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}); err != nil {
			return trouble("mount namespace", err)
		}
		k.flags = unix.CLONE_NEWIPC
	}
	var err error
	if k.birth.ruleset, err = ruleset(&k.Confine, k.Level, k.abi, k.reach()); err != nil {
		return trouble("Landlock", err)
	}
	k.limits()
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return trouble("subreaper", err)
	}
	if err := k.dropCapabilities(); err != nil {
		return trouble("capabilities", err)
	}
	// Nobody with our uid can look into us or change us, as the jobs will have it. Another uid takes this away, and the signal.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return trouble("prctl", err)
	}
	if full {
		if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
			return trouble("parent-death signal", err)
		}
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return trouble("no_new_privs", err)
	}
	// Without the kernel's questions a job has no sockets with names, and does not watch folders.
	supervised := k.supervise() == nil
	may := permissions(k.Level, k.reach(), k.names(supervised), supervised)
	if k.Level == LevelRestricted && k.abi < abiTruncate {
		may.on(unix.SYS_TRUNCATE, deny) // Landlock would let a job empty what it may only read; ftruncate needs a file that is open for writing
	}
	all, each := may.split()
	if _, err := all.putOn(kill9, 0); err != nil {
		return trouble("seccomp", err)
	}
	if k.program, err = each.assemble(kill9); err != nil {
		return trouble("seccomp", err)
	}
	k.birth.filter = unix.SockFprog{Len: uint16(len(k.program)), Filter: &k.program[0]}
	if k.abi >= abiScope {
		if err := scopeSelf(); err != nil {
			return trouble("Landlock scopes", err)
		}
	}
	// kill(-1) must not be tried where it would reach more than the job. Where the scope is in force, the runner, which
	// is of the same user, cannot be signalled.
	k.scoped = full || k.abi >= abiScope && unix.Kill(os.Getppid(), 0) == unix.EPERM
	return k.trial()
}

// trial starts a process that fails to execute "", and nothing before that.
func (k *keeper) trial() *problem {
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return trouble("/dev/null", err)
	}
	defer unix.Close(null)
	dir, err := unix.Open("/", unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return trouble("/", err)
	}
	defer unix.Close(dir)
	j := &k.birth
	j.streams, j.dir = [3]int{null, null, null}, dir
	var none [1]*byte
	j.path, j.argv, j.env = new(byte), &none[0], &none[0]
	_, err = j.start(k.flags)
	b, ok := errors.AsType[*birthError](err)
	switch {
	case !ok:
		return trouble("exec", unix.EINVAL) // it cannot have worked
	case b.step != stepExec:
		return trouble(b.step.primitive(), b.errno)
	case b.errno != unix.ENOENT && b.errno != unix.EACCES:
		return trouble("exec", b.errno)
	}
	return nil
}

// dropCapabilities leaves this thread, which starts the jobs, the one that a new ipc namespace for each takes. A keeper for jobs of
// another user becomes that one, so that between it and them everything is as where an ordinary user runs them.
func (k *keeper) dropCapabilities() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return err
	}
	if data[0].Effective&(1<<unix.CAP_SETPCAP) != 0 {
		for c := range uintptr(64) {
			if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err == unix.EINVAL {
				break
			} else if err != nil {
				return err
			}
		}
		if err := unix.Prctl(unix.PR_SET_SECUREBITS, secureBits, 0, 0, 0); err != nil {
			return err
		}
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return err
	}
	if err := k.Confine.User.become(); err != nil {
		return err
	}
	data = [2]unix.CapUserData{}
	if k.Level == LevelFull {
		data[0].Effective = 1 << unix.CAP_SYS_ADMIN
		data[0].Permitted = data[0].Effective
	}
	return unix.Capset(&header, &data[0])
}

// What the kernel counts for the user as a whole, and checks against the limit of whoever asks.
const (
	maxPending = 4096      // signals and timers
	maxQueued  = 800 << 10 // bytes of message queues, what a process has by default
)

// ownTasks is room for the threads of a keeper, which count where the job's do.
const ownTasks = 16

func (k *keeper) limits() {
	l, j := &k.Confine.Limits, &k.birth
	some := func(resource int, value int64) {
		if value > 0 {
			j.limit(resource, value)
		}
	}
	// At 1, and at no other value, a crash starts no helper that the machine has for it (core(5)).
	j.limit(unix.RLIMIT_CORE, atMost(unix.RLIMIT_CORE, 1))
	j.limit(unix.RLIMIT_SIGPENDING, atMost(unix.RLIMIT_SIGPENDING, maxPending))
	j.limit(unix.RLIMIT_MSGQUEUE, atMost(unix.RLIMIT_MSGQUEUE, maxQueued))
	some(unix.RLIMIT_DATA, l.Data)
	some(unix.RLIMIT_NOFILE, l.Files)
	some(unix.RLIMIT_FSIZE, l.FileSize)
	some(unix.RLIMIT_CPU, l.CPU)
	if l.Processes > 0 {
		j.limit(unix.RLIMIT_NPROC, l.Processes+ownTasks+k.Tasks)
	}
}

// atMost is value, or the limit of this process where that is lower: nobody could raise it.
func atMost(resource int, value int64) int64 {
	var l unix.Rlimit
	if unix.Getrlimit(resource, &l) == nil && l.Max < uint64(value) {
		return int64(l.Max)
	}
	return value
}

// leastPids is the smallest bound for a pid namespace that the kernel accepts.
const leastPids = 301

// limitNamespace bounds the processes of this pid namespace, also those of root, to whom RLIMIT_NPROC does not apply.
// The kernel has it since 6.14. Before, and for lower limits, there are control groups.
func limitNamespace(n int64) {
	if n > 0 {
		os.WriteFile("/proc/sys/kernel/pid_max", []byte(strconv.FormatInt(max(n+ownTasks, leastPids), 10)), 0)
	}
}
