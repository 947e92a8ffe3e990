//go:build amd64 || arm64

package sandbox

import (
	"encoding/binary"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// TestFilterOfPriorities: a job changes its own priority and that of its group, and not that of all processes of the user. The
// filter is asked directly; escapes that reach every process of a user are no good for a test.
func TestFilterOfPriorities(t *testing.T) {
	for _, c := range []struct {
		number           uint32
		which, who       uint32
		restricted, full bool // whether it is permitted
	}{
		{unix.SYS_SETPRIORITY, unix.PRIO_PROCESS, 0, true, true},
		{unix.SYS_SETPRIORITY, unix.PRIO_PGRP, 0, true, true},
		{unix.SYS_SETPRIORITY, unix.PRIO_USER, 0, false, true},
		{unix.SYS_SETPRIORITY, unix.PRIO_PROCESS, 7, false, true},
		{unix.SYS_IOPRIO_SET, 1, 0, true, true},
		{unix.SYS_IOPRIO_SET, 2, 0, true, true},
		{unix.SYS_IOPRIO_SET, 3, 0, false, true},
		{unix.SYS_IOPRIO_SET, 1, 7, false, true},
		{unix.SYS_IOPRIO_SET, 0, 0, false, true},
	} {
		for level, want := range map[Level]bool{LevelRestricted: c.restricted, LevelFull: c.full} {
			if got := ask(t, level, c.number, c.which, c.who); got != want {
				t.Errorf("%s: call %d of %d, %d: permitted %t", level, c.number, c.which, c.who, got)
			}
		}
	}
}

// TestFilterInParts: what holds for a keeper and what its jobs get on top are together the whole filter, for every call. The
// filter of a job is small, since each job pays for it, and that of a keeper lets it do what it does for its jobs.
func TestFilterInParts(t *testing.T) {
	for _, level := range []Level{LevelRestricted, LevelFull} {
		for _, supervised := range []bool{false, true} {
			all := permissions(level, reachItself, namesOwn, supervised)
			keeper, job := all.split()
			whole, below, on := machine(t, all), machine(t, keeper), machine(t, job)
			for number := range uint32(newest + 1) {
				for _, a := range []uint32{0, 1, 2, 4, unix.AF_INET, unix.CLONE_NEWUSER, unix.S_ISUID, unix.TIOCSTI, 0xffffffff} {
					for _, b := range []uint32{0, 1, 2, unix.O_CREAT, unix.S_ISUID, unix.S_IFBLK} {
						for _, mark := range []uint32{0, own} {
							call := data(number, a, b, b, b)
							binary.BigEndian.PutUint32(call[offArgs+4:], mark)
							want, got := verdict(t, whole, call), verdict(t, below, call)
							if got == unix.SECCOMP_RET_ALLOW {
								got = verdict(t, on, call)
							} else if verdict(t, on, call) != unix.SECCOMP_RET_ALLOW {
								t.Fatalf("%s: both parts decide about call %d", level, number)
							}
							if got != want {
								t.Fatalf("%s: call %d of %#x, %#x, mark %#x: %#x and not %#x", level, number, a, b, mark, got, want)
							}
						}
					}
				}
			}
			for _, number := range kept {
				if got := verdict(t, below, data(number, 1, unix.CLONE_NEWIPC)); got != unix.SECCOMP_RET_ALLOW {
					t.Errorf("%s: the keeper is refused its own call %d: %#x", level, number, got)
				}
			}
			few, err := job.assemble(kill9)
			if err != nil {
				t.Fatal(err)
			}
			if len(few) > 64 {
				t.Errorf("%s: each job gets a filter of %d instructions", level, len(few))
			}
		}
	}
}

// TestFilterOfNewCalls: a call that this filter knows nothing of is answered as by a kernel that does not have it either, and so
// is one of the x32 ABI without its mark, which some kernels took. The last one that it knows is left alone.
func TestFilterOfNewCalls(t *testing.T) {
	for _, level := range []Level{LevelRestricted, LevelFull} {
		vm := machine(t, permissions(level, reachAll, namesAny, true))
		const unknown, denied = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS), unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
		for number, want := range map[uint32]uint32{newest: unix.SECCOMP_RET_ALLOW, newest + 1: unknown, 521: unknown,
			unix.SYS_OPEN_TREE_ATTR: denied} {
			if got := verdict(t, vm, data(number)); got != want {
				t.Errorf("%s: call %d: %#x and not %#x", level, number, got, want)
			}
		}
	}
}

// ask runs the filter of a level over one call, and reports whether it is permitted.
func ask(t *testing.T, level Level, number uint32, args ...uint32) bool {
	t.Helper()
	return verdict(t, machine(t, permissions(level, reachNothing, namesNone, true)), data(number, args...)) == unix.SECCOMP_RET_ALLOW
}

// machine is one that runs the filter of the rules.
func machine(t *testing.T, r rules) *bpf.VM {
	t.Helper()
	program, err := r.assemble(kill9)
	if err != nil {
		t.Fatal(err)
	}
	raw := make([]bpf.RawInstruction, len(program))
	for i, p := range program {
		raw[i] = bpf.RawInstruction{Op: p.Code, Jt: p.Jt, Jf: p.Jf, K: p.K}
	}
	code, ok := bpf.Disassemble(raw)
	if !ok {
		t.Fatal("the filter has instructions that are none")
	}
	vm, err := bpf.NewVM(code)
	if err != nil {
		t.Fatal(err)
	}
	return vm
}

// data is struct seccomp_data; the virtual machine loads words as they come from a network.
func data(number uint32, args ...uint32) []byte {
	b := make([]byte, 64)
	binary.BigEndian.PutUint32(b[offNumber:], number)
	binary.BigEndian.PutUint32(b[offArch:], auditArch)
	for i, a := range args {
		binary.BigEndian.PutUint32(b[offArgs+8*i:], a)
	}
	return b
}

func verdict(t *testing.T, vm *bpf.VM, call []byte) uint32 {
	t.Helper()
	v, err := vm.Run(call)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(v)
}
