package sandbox

import (
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

const (
	auditArch = unix.AUDIT_ARCH_X86_64
	x32Bit    = 1 << 30 // calls of the x32 ABI have other numbers, and would pass a filter by number
)

// refusedArch are calls that other architectures do not have.
var refusedArch = []uint32{
	unix.SYS_IOPL, unix.SYS_IOPERM, unix.SYS_MODIFY_LDT, unix.SYS_USELIB, unix.SYS_USTAT, unix.SYS_SYSFS, unix.SYS__SYSCTL,
	unix.SYS_CREATE_MODULE, unix.SYS_GET_KERNEL_SYMS, unix.SYS_QUERY_MODULE, unix.SYS_NFSSERVCTL, unix.SYS_VSERVER,
}

// watchingArch is the older form of a call in watching.
var watchingArch = []uint32{unix.SYS_INOTIFY_INIT}

// rulesArch are the older forms of calls that have rules.
var rulesArch = map[uint32][]bpf.Instruction{
	unix.SYS_OPEN:  creation(1, 2),
	unix.SYS_CREAT: bits(1, setIDs),
	unix.SYS_CHMOD: bits(1, setIDs),
	unix.SYS_MKNOD: node(1),
}
