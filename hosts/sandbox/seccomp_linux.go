//go:build linux && (amd64 || arm64)

package sandbox

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"runtime"
	"slices"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// The filter is put together here and not by a library, because the libraries at hand compare arguments as 64 bits, and
// the kernel reads many of them as 32: ioctl(fd, TIOCSTI|1<<32) would pass a filter that refuses TIOCSTI.

// Offsets in struct seccomp_data. Arguments are 64 bits, the lower half first on both architectures.
const (
	offNumber = 0
	offArch   = 4
	offArgs   = 16
)

// Bits that clone takes for new namespaces.
const newNamespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC |
	unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET

// setDeleg is F_SETDELEG of Linux 6.19, which is for folders too.
const setDeleg = 1024 + 16

// newest is the last call that somebody decided about here. What came later does not exist for a job: the filter names what is
// refused, and a new way to do that would pass it.
const newest = unix.SYS_RSEQ_SLICE_YIELD

const setIDs = unix.S_ISUID | unix.S_ISGID

// refused are calls that no job has a use for and that act on more than the job. Capabilities would be needed for
// most; that a job has none is one wall, this is another. Changing security.* attributes is left to the first.
var refused = []uint32{
	// Mounts and roots.
	unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT, unix.SYS_OPEN_TREE, unix.SYS_MOVE_MOUNT,
	unix.SYS_FSOPEN, unix.SYS_FSCONFIG, unix.SYS_FSMOUNT, unix.SYS_FSPICK, unix.SYS_MOUNT_SETATTR, unix.SYS_OPEN_TREE_ATTR,
	unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_QUOTACTL, unix.SYS_QUOTACTL_FD, unix.SYS_OPEN_BY_HANDLE_AT,
	unix.SYS_NAME_TO_HANDLE_AT, unix.SYS_FANOTIFY_INIT,
	// Other processes.
	unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PROCESS_MADVISE,
	unix.SYS_PROCESS_MRELEASE, unix.SYS_PIDFD_GETFD, unix.SYS_KCMP, unix.SYS_MOVE_PAGES, unix.SYS_MIGRATE_PAGES,
	// Namespaces.
	unix.SYS_UNSHARE, unix.SYS_SETNS, unix.SYS_LISTNS,
	// The kernel: keys, programs, events, modules, the machine.
	unix.SYS_KEYCTL, unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN,
	unix.SYS_USERFAULTFD, unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE, unix.SYS_KEXEC_LOAD,
	unix.SYS_KEXEC_FILE_LOAD, unix.SYS_REBOOT, unix.SYS_ACCT, unix.SYS_SYSLOG, unix.SYS_SETHOSTNAME,
	unix.SYS_SETDOMAINNAME, unix.SYS_VHANGUP, unix.SYS_LOOKUP_DCOOKIE,
	// Clocks.
	unix.SYS_CLOCK_SETTIME, unix.SYS_CLOCK_ADJTIME, unix.SYS_ADJTIMEX, unix.SYS_SETTIMEOFDAY,
}

// absent are calls that programs do without where the kernel has no such call. The filter cannot see what they are
// asked for, which is in memory.
var absent = []uint32{
	unix.SYS_CLONE3, unix.SYS_OPENAT2, unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER,
}

// onlySelf are calls whose first argument names a process, where 0 is the caller. At LevelRestricted processes of the same
// user outside the job could be named.
var onlySelf = []uint32{
	unix.SYS_SCHED_SETSCHEDULER, unix.SYS_SCHED_SETPARAM, unix.SYS_SCHED_SETATTR, unix.SYS_SCHED_SETAFFINITY,
}

// onlyOwn are calls whose second argument names what the first says: a process, a process group or, by the last number
// that there is, all processes of a user. For each of them 0 is the caller's, so that the user is refused as well.
var onlyOwn = map[uint32][2]uint32{
	unix.SYS_SETPRIORITY: {unix.PRIO_PROCESS, unix.PRIO_PGRP},
	unix.SYS_IOPRIO_SET:  {1, 2}, // IOPRIO_WHO_PROCESS, IOPRIO_WHO_PGRP
}

// watching are calls that tell what happens to files, and for which Landlock does not say which ones.
var watching = append([]uint32{unix.SYS_INOTIFY_INIT1}, watchingArch...)

var (
	allow       = bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW}
	deny        = bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)}
	unsupported = bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | uint32(unix.EPROTONOSUPPORT)}
	lack        = bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)}
	nothing     = bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO} // success, and nothing done
	kill9       = bpf.RetConstant{Val: unix.SECCOMP_RET_KILL_PROCESS}
)

// rules says for each call what becomes of it. Every body ends in a return.
type rules map[uint32][]bpf.Instruction

func (r rules) on(number uint32, body ...bpf.Instruction) { r[number] = body }

// assemble makes a filter of the rules. A call of another architecture gets the answer given.
func (r rules) assemble(foreign bpf.Instruction) ([]unix.SockFilter, error) {
	program := []bpf.Instruction{bpf.LoadAbsolute{Off: offArch, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: auditArch, SkipTrue: 1}, foreign, bpf.LoadAbsolute{Off: offNumber, Size: 4}}
	if x32Bit != 0 {
		program = append(program, bpf.JumpIf{Cond: bpf.JumpLessThan, Val: x32Bit, SkipTrue: 1}, foreign)
	}
	program = append(program, bpf.JumpIf{Cond: bpf.JumpGreaterThan, Val: newest, SkipFalse: 1}, lack)
	tree, err := r.search(slices.Sorted(maps.Keys(r)))
	if err != nil {
		return nil, err
	}
	raw, err := bpf.Assemble(append(program, tree...))
	if err != nil {
		return nil, fmt.Errorf("filter: %w", err)
	}
	out := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		out[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	return out, nil
}

// putOn has the rules hold for this thread and all that it starts from now on, or for what else the flags of seccomp(2) say.
func (r rules) putOn(foreign bpf.Instruction, flags uintptr) (answer uintptr, err error) {
	program, err := r.assemble(foreign)
	if err != nil {
		return 0, err
	}
	list := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	answer, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&list)))
	runtime.KeepAlive(program)
	if errno != 0 {
		return 0, errno
	}
	return answer, nil
}

// search is a program that finds the rule of the call in the accumulator, by halves: for each process that starts, the
// kernel runs the filter once for every call that there is, to learn which of them it always allows. Looking at all rules
// one after the other, that took a twentieth of a job.
func (r rules) search(numbers []uint32) ([]bpf.Instruction, error) {
	if len(numbers) <= 2 {
		var p []bpf.Instruction
		for _, n := range numbers {
			p = append(p, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: n, SkipTrue: uint8(len(r[n]))})
			p = append(p, r[n]...)
		}
		return append(p, allow), nil
	}
	half := len(numbers) / 2
	less, err := r.search(numbers[:half])
	if err != nil {
		return nil, err
	}
	more, err := r.search(numbers[half:])
	if err != nil {
		return nil, err
	}
	if len(less) > math.MaxUint8 {
		return nil, errors.New("filter: too many rules for a jump")
	}
	p := []bpf.Instruction{bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: numbers[half], SkipTrue: uint8(len(less))}}
	return append(append(p, less...), more...), nil
}

// arg loads the lower 32 bits of an argument.
func arg(n int) bpf.Instruction { return bpf.LoadAbsolute{Off: uint32(offArgs + 8*n), Size: 4} }

// bits refuses a call where argument n has one of the bits of mask.
func bits(n int, mask uint32) []bpf.Instruction {
	return []bpf.Instruction{arg(n), bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: mask, SkipFalse: 1}, deny, allow}
}

// values permits a call where argument n is one of those.
func values(n int, permitted ...uint32) []bpf.Instruction {
	body := []bpf.Instruction{arg(n)}
	for i, v := range permitted {
		body = append(body, bpf.JumpIf{Cond: bpf.JumpEqual, Val: v, SkipTrue: uint8(len(permitted) - i)})
	}
	return append(body, deny, allow)
}

// limits permits to read and change one's own, save that of core files, which stays and is said to have been changed: at
// every other value than the keeper's a crash would start the machine's helper for crashes. Programs set it to zero so that
// no secrets are written to disk, and some of them end if that fails.
func limits() []bpf.Instruction {
	return []bpf.Instruction{
		arg(0), bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipTrue: 1}, deny,
		arg(1), bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.RLIMIT_CORE, SkipTrue: 1}, allow,
		arg(2), bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 0, SkipTrue: 2},
		bpf.LoadAbsolute{Off: offArgs + 8*2 + 4, Size: 4}, bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipTrue: 1}, nothing, allow,
	}
}

// node refuses device nodes and files with a setuid or setgid bit, by the mode in argument n.
func node(n int) []bpf.Instruction {
	return []bpf.Instruction{
		arg(n), bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: setIDs, SkipTrue: 3},
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: unix.S_IFMT},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.S_IFCHR, SkipTrue: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.S_IFBLK, SkipTrue: 1},
		deny, allow,
	}
}

// creation refuses to make a file with a setuid or setgid bit. The mode is garbage where nothing is made.
func creation(flags, mode int) []bpf.Instruction {
	return []bpf.Instruction{
		arg(flags), bpf.JumpIf{Cond: bpf.JumpBitsNotSet, Val: unix.O_CREAT | unix.O_TMPFILE&^unix.O_DIRECTORY, SkipTrue: 3},
		arg(mode), bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: setIDs, SkipFalse: 1}, deny, allow,
	}
}

// kept are calls that a keeper makes when its jobs begin, or for them, and that no job makes, or not so.
var kept = []uint32{unix.SYS_CLONE3, unix.SYS_OPENAT2, unix.SYS_PIDFD_GETFD, unix.SYS_PROCESS_VM_READV, unix.SYS_PRLIMIT64,
	unix.SYS_CONNECT, unix.SYS_FLOCK}

// split takes the rules apart: those that a keeper is under itself, so that its jobs inherit them, and the few that each job
// gets when it starts. Of two filters the stricter answer counts. The kernel translates a filter to machine code and runs it
// for each call once, whenever one is put on: with all rules that was a seventeenth of a job with true, with these few it is a
// fifth of that.
func (r rules) split() (keeper, job rules) {
	keeper, job = maps.Clone(r), make(rules)
	for _, n := range kept {
		if body, ok := r[n]; ok {
			job[n] = body
			delete(keeper, n)
		}
	}
	return keeper, job
}

// permissions are what a job may ask of the kernel.
func permissions(level Level, r reach, n names, supervised bool) rules {
	p := make(rules)
	for _, n := range refused {
		p.on(n, deny)
	}
	for _, n := range refusedArch {
		p.on(n, deny)
	}
	for _, n := range absent {
		p.on(n, lack)
	}
	p.on(unix.SYS_CLONE, bits(0, newNamespaces)...)
	p.on(unix.SYS_FCHMOD, bits(1, setIDs)...)
	p.on(unix.SYS_FCHMODAT, bits(2, setIDs)...)
	p.on(unix.SYS_FCHMODAT2, bits(2, setIDs)...)
	p.on(unix.SYS_MKNODAT, node(2)...)
	p.on(unix.SYS_OPENAT, creation(2, 3)...)
	for n, body := range rulesArch {
		p.on(n, body...)
	}
	// Typing for the user of a terminal.
	p.on(unix.SYS_IOCTL, arg(1), bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.TIOCSTI, SkipTrue: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 0x541c /* TIOCLINUX */, SkipTrue: 1}, deny, allow)
	p.on(unix.SYS_PERSONALITY, values(0, 0, 0xffffffff)...)
	p.on(unix.SYS_PRLIMIT64, limits()...)
	p.on(unix.SYS_SETRLIMIT, arg(0), bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.RLIMIT_CORE, SkipTrue: 1}, nothing, allow)
	if level != LevelFull {
		for _, n := range onlySelf {
			p.on(n, values(0, 0)...)
		}
		for n, which := range onlyOwn {
			p.on(n, arg(0), bpf.JumpIf{Cond: bpf.JumpEqual, Val: which[0], SkipTrue: 1},
				bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: which[1], SkipTrue: 2},
				arg(1), bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipTrue: 1}, deny, allow)
		}
	}
	if level != LevelFull || !supervised {
		for _, n := range watching {
			p.on(n, lack)
		}
	}
	for _, n := range []uint32{unix.SYS_CONNECT, unix.SYS_FLOCK} {
		p.on(n, unmarked()...)
	}
	// A lease holds up whoever opens the file, and a notice by signal (F_NOTIFY) watches a folder as inotify does.
	p.on(unix.SYS_FCNTL, arg(1), bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.F_SETLEASE, SkipTrue: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: setDeleg, SkipTrue: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.F_NOTIFY, SkipTrue: 1}, deny, allow)
	p.sockets(r, n)
	return p
}

// reach is how far the sockets of a job go.
type reach int

const (
	reachNothing reach = iota
	reachItself        // the loopback of a network namespace of its own
	reachAll           // the network of the machine
)

// protocols are what Internet sockets may speak. Others are code of the kernel that is loaded when somebody asks for it.
var protocols = []uint32{0, unix.IPPROTO_TCP, unix.IPPROTO_UDP, unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6}

// names says which Unix sockets a job may connect to by a name.
type names int

const (
	namesNone names = iota // connected pairs only
	namesOwn               // its own ones: the keeper decides about each connect
	namesAny               // what Landlock allows, or all where the job has the network of the machine
)

// socketTypes are those of Unix sockets that go where they are connected to and nowhere else. A datagram can be sent to
// any name, which stands in memory, where no filter sees it.
func socketTypes() []bpf.Instruction {
	return []bpf.Instruction{arg(1), bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0xf},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.SOCK_STREAM, SkipTrue: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.SOCK_SEQPACKET, SkipTrue: 1}, deny, allow}
}

// unmarked refuses a call that pretends to be one of the keeper.
func unmarked() []bpf.Instruction {
	return []bpf.Instruction{bpf.LoadAbsolute{Off: offArgs + 4, Size: 4}, bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipTrue: 1}, deny, allow}
}

// sockets permits those between processes, and those of the Internet where they reach anything. A service of the machine
// that listens at a Unix socket would act for the job, so a job without the network gets sockets with names only where
// somebody decides about each connection. Pairs are always of two.
func (p rules) sockets(r reach, n names) {
	var families []uint32
	if n == namesAny {
		families = append(families, unix.AF_UNIX)
		p.on(unix.SYS_SOCKETPAIR, values(0, unix.AF_UNIX)...)
	} else {
		types := socketTypes()
		p.on(unix.SYS_SOCKETPAIR, append([]bpf.Instruction{arg(0), bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.AF_UNIX, SkipTrue: 1}, deny}, types...)...)
	}
	body := values(0, families...)
	if n == namesOwn {
		types := socketTypes()
		body = append(append([]bpf.Instruction{arg(0), bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.AF_UNIX, SkipTrue: uint8(len(types))}}, types...), body...)
	}
	if r == reachAll {
		// Of netlink the addresses and ways of the network, which the C library asks for.
		route := values(2, unix.NETLINK_ROUTE)
		route[len(route)-2] = unsupported
		body = append(append([]bpf.Instruction{arg(0), bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.AF_NETLINK, SkipTrue: uint8(len(route))}}, route...), body...)
	}
	if r != reachNothing {
		internet := values(2, protocols...)
		internet[len(internet)-2] = unsupported // which programs know how to do without
		body = append([]bpf.Instruction{arg(0),
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.AF_INET, SkipTrue: 1},
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.AF_INET6, SkipTrue: uint8(len(internet))}}, append(internet, body...)...)
	}
	p.on(unix.SYS_SOCKET, body...)
}
