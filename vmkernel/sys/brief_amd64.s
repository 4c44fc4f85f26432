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
