package sandbox

import (
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

const (
	auditArch = unix.AUDIT_ARCH_AARCH64
	x32Bit    = 0
)

var (
	refusedArch  = []uint32{unix.SYS_NFSSERVCTL}
	watchingArch []uint32
	rulesArch    map[uint32][]bpf.Instruction
)
