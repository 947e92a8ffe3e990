#include "textflag.h"

// func cloning(call, a, b, c uintptr) (pid, errno uintptr)
//
// The return address is kept in a register: the child writes over the place on the stack where it was.
TEXT ·cloning(SB),NOSPLIT|NOFRAME,$0-48
	MOVQ	call+0(FP), AX
	MOVQ	a+8(FP), DI
	MOVQ	b+16(FP), SI
	MOVQ	c+24(FP), DX
	MOVQ	$0, R10
	MOVQ	$0, R8
	POPQ	R12
	SYSCALL
	PUSHQ	R12
	CMPQ	AX, $0xfffffffffffff001
	JLS	ok
	NEGQ	AX
	MOVQ	$0, pid+32(FP)
	MOVQ	AX, errno+40(FP)
	RET
ok:
	MOVQ	AX, pid+32(FP)
	MOVQ	$0, errno+40(FP)
	RET
