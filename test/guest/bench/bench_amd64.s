#include "textflag.h"

TEXT ·entry(SB), NOSPLIT|NOFRAME, $0-0
	RDTSC
	SHLQ $32, DX
	ORQ  DX, AX
	MOVQ AX, ·entered(SB)
	JMP  _rt0_amd64_linux(SB)

TEXT ·rdtsc(SB), NOSPLIT, $0-8
	RDTSC
	SHLQ $32, DX
	ORQ  DX, AX
	MOVQ AX, ret+0(FP)
	RET

// START and STOP are the two readings; the ticks between them end in AX.
#define START \
	RDTSC        \
	SHLQ $32, DX \
	ORQ  DX, AX  \
	MOVQ AX, SI
#define STOP \
	RDTSC        \
	SHLQ $32, DX \
	ORQ  DX, AX  \
	SUBQ SI, AX

TEXT ·cpuidLoop(SB), NOSPLIT, $0-16
	MOVQ n+0(FP), DI
	START
loop:
	XORL AX, AX
	XORL CX, CX
	CPUID
	DECQ DI
	JNZ  loop
	STOP
	MOVQ AX, ret+8(FP)
	RET

TEXT ·inLoop(SB), NOSPLIT, $0-24
	MOVQ n+0(FP), DI
	MOVWLZX port+8(FP), BX
	START
	MOVL BX, DX
loop:
	INB
	DECQ DI
	JNZ  loop
	STOP
	MOVQ AX, ret+16(FP)
	RET

TEXT ·outLoop(SB), NOSPLIT, $0-24
	MOVQ n+0(FP), DI
	MOVWLZX port+8(FP), BX
	START
	MOVL BX, DX
	XORL AX, AX
loop:
	OUTB
	DECQ DI
	JNZ  loop
	STOP
	MOVQ AX, ret+16(FP)
	RET

TEXT ·emptyLoop(SB), NOSPLIT, $0-16
	MOVQ n+0(FP), DI
	START
loop:
	DECQ DI
	JNZ  loop
	STOP
	MOVQ AX, ret+8(FP)
	RET
