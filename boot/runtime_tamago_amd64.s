//go:build tamago

#include "textflag.h"

// runtimeEntry is where the runtime's first thread begins.
TEXT ·runtimeEntry(SB), NOSPLIT|NOFRAME, $0
	JMP _rt0_amd64_tamago(SB)

TEXT ·firstM(SB), NOSPLIT, $0-8
	MOVQ $runtime·m0(SB), AX
	MOVQ AX, ret+0(FP)
	RET
