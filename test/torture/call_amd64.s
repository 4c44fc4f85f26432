#include "textflag.h"

TEXT ·rawCall(SB), NOSPLIT|NOFRAME, $0-48
	MOVQ n+0(FP), AX
	MOVQ a+8(FP), DI
	MOVQ b+16(FP), SI
	MOVQ c+24(FP), DX
	MOVQ d+32(FP), R10
	MOVQ $-1, R8
	XORL R9, R9
	SYSCALL
	MOVQ AX, ret+40(FP)
	RET
