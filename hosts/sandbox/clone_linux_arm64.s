#include "textflag.h"

// func cloning(call, a, b, c uintptr) (pid, errno uintptr)
//
// The return address is in the link register, where the child cannot change it.
TEXT ·cloning(SB),NOSPLIT,$0-48
	MOVD	call+0(FP), R8
	MOVD	a+8(FP), R0
	MOVD	b+16(FP), R1
	MOVD	c+24(FP), R2
	MOVD	ZR, R3
	MOVD	ZR, R4
	SVC
	CMN	$4095, R0
	BCC	ok
	NEG	R0, R0
	MOVD	ZR, pid+32(FP)
	MOVD	R0, errno+40(FP)
	RET
ok:
	MOVD	R0, pid+32(FP)
	MOVD	ZR, errno+40(FP)
	RET
