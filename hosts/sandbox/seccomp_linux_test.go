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

// ask runs the filter of a level over one call, and reports whether it is permitted.
func ask(t *testing.T, level Level, number uint32, args ...uint32) bool {
	t.Helper()
	program, err := filter(level, reachNothing, namesNone, true)
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
	// struct seccomp_data; the virtual machine loads words as they come from a network.
	data := make([]byte, 64)
	binary.BigEndian.PutUint32(data[offNumber:], number)
	binary.BigEndian.PutUint32(data[offArch:], auditArch)
	for i, a := range args {
		binary.BigEndian.PutUint32(data[offArgs+8*i:], a)
	}
	verdict, err := vm.Run(data)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(verdict) == unix.SECCOMP_RET_ALLOW
}
