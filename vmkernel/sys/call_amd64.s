#include "textflag.h"
#include "go_asm.h"

TEXT ·vmbrief(SB), NOSPLIT|NOFRAME, $0-32
	MOVQ id+0(FP), DI
	MOVQ flags+8(FP), SI
	MOVQ event+16(FP), DX
	MOVL $const_NumVMBrief, AX
	SYSCALL
	MOVQ AX, ret+24(FP)
	RET

TEXT ·raw(SB), NOSPLIT|NOFRAME, $0-48
	MOVQ n+0(FP), AX
	MOVQ a+8(FP), DI
	MOVQ b+16(FP), SI
	MOVQ c+24(FP), DX
	MOVQ d+32(FP), R10
	SYSCALL
	MOVQ AX, ret+40(FP)
	RET
