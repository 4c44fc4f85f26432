#include "textflag.h"

// Frame: 0 the values wanted (16 × 32 bytes), 512 the values found, 1024 scratch.
#define SSE(op, place) \
	op(0, X0, place)  op(32, X1, place)  op(64, X2, place)  op(96, X3, place)   \
	op(128, X4, place) op(160, X5, place) op(192, X6, place) op(224, X7, place)  \
	op(256, X8, place) op(288, X9, place) op(320, X10, place) op(352, X11, place) \
	op(384, X12, place) op(416, X13, place) op(448, X14, place) op(480, X15, place)
#define AVX(op, place) \
	op(0, Y0, place)  op(32, Y1, place)  op(64, Y2, place)  op(96, Y3, place)   \
	op(128, Y4, place) op(160, Y5, place) op(192, Y6, place) op(224, Y7, place)  \
	op(256, Y8, place) op(288, Y9, place) op(320, Y10, place) op(352, Y11, place) \
	op(384, Y12, place) op(416, Y13, place) op(448, Y14, place) op(480, Y15, place)
#define LOADX(off, reg, place) MOVUPS (place+off)(SP), reg;
#define SAVEX(off, reg, place) MOVUPS reg, (place+off)(SP);
#define LOADY(off, reg, place) VMOVDQU (place+off)(SP), reg;
#define SAVEY(off, reg, place) VMOVDQU reg, (place+off)(SP);

// FILL makes 64 words from the seed in R8: in both places, so that what isn't saved is equal.
#define FILL \
	MOVQ R8, AX                     \
	XORL BX, BX                     \
fill:                                   \
	MOVQ $6364136223846793005, CX   \
	IMULQ CX, AX                    \
	MOVQ $1442695040888963407, CX   \
	ADDQ CX, AX                     \
	MOVQ AX, (SP)(BX*8)             \
	MOVQ AX, 512(SP)(BX*8)          \
	INCQ BX                         \
	CMPQ BX, $64                    \
	JLT  fill

// CONTROL sets MXCSR's rounding mode and pushes two integers onto the x87 stack.
#define CONTROL \
	MOVQ R8, AX            \
	ANDL $3, AX            \
	SHLL $13, AX           \
	ORL  $0x1F80, AX       \
	MOVL AX, 1024(SP)      \
	LDMXCSR 1024(SP)       \
	BYTE $0xDB; BYTE $0xE3 \ // FNINIT
	MOVQ R8, 1032(SP)      \
	FMOVV 1032(SP), F0     \
	NOTQ R8                \
	MOVQ R8, 1032(SP)      \
	FMOVV 1032(SP), F0     \
	NOTQ R8

#define WORK \
yield:                 \
	TESTQ R9, R9   \
	JEQ   spin     \
	MOVL  $24, AX  \ // sched_yield
	SYSCALL        \
	DECQ  R9       \
	JMP   yield    \
spin:                  \
	DECQ  R10      \
	JNZ   spin

// COUNT compares, counts differences in R12, and puts all control registers back.
#define COUNT \
	XORL R12, R12          \
	XORL BX, BX            \
compare:                       \
	MOVQ (SP)(BX*8), AX    \
	CMPQ AX, 512(SP)(BX*8) \
	JEQ  equal             \
	INCQ R12               \
equal:                         \
	INCQ BX                \
	CMPQ BX, $64           \
	JLT  compare           \
	STMXCSR 1028(SP)       \
	MOVL 1028(SP), AX      \
	CMPL AX, 1024(SP)      \
	JEQ  mxcsr             \
	INCQ R12               \
mxcsr:                         \
	FMOVVP F0, 1032(SP)    \
	NOTQ R8                \
	CMPQ R8, 1032(SP)      \
	JEQ  first             \
	INCQ R12               \
first:                         \
	FMOVVP F0, 1032(SP)    \
	NOTQ R8                \
	CMPQ R8, 1032(SP)      \
	JEQ  second            \
	INCQ R12               \
second:                        \
	BYTE $0xDB; BYTE $0xE3 \ // FNINIT
	MOVL $0x1F80, 1024(SP) \
	LDMXCSR 1024(SP)       \
	XORPS X15, X15

// func holdSSE(seed, yields, spins uint64) (bad uint64)
TEXT ·holdSSE(SB), 0, $1040-32
	MOVQ seed+0(FP), R8
	MOVQ yields+8(FP), R9
	MOVQ spins+16(FP), R10
	FILL
	CONTROL
	SSE(LOADX, 0)
	WORK
	SSE(SAVEX, 512)
	COUNT
	MOVQ R12, bad+24(FP)
	RET

// func holdAVX(seed, yields, spins uint64) (bad uint64)
TEXT ·holdAVX(SB), 0, $1040-32
	MOVQ seed+0(FP), R8
	MOVQ yields+8(FP), R9
	MOVQ spins+16(FP), R10
	FILL
	CONTROL
	AVX(LOADY, 0)
	WORK
	AVX(SAVEY, 512)
	VZEROUPPER
	COUNT
	MOVQ R12, bad+24(FP)
	RET

// func hasAVX() bool: CPUID.1:ECX.OSXSAVE and AVX, XCR0's SSE and AVX (SDM 1 14.3).
TEXT ·hasAVX(SB), NOSPLIT, $0-1
	MOVB $0, ret+0(FP)
	MOVL $1, AX
	XORL CX, CX
	CPUID
	ANDL $(1<<27|1<<28), CX
	CMPL CX, $(1<<27|1<<28)
	JNE  no
	XORL CX, CX
	XGETBV
	ANDL $6, AX
	CMPL AX, $6
	JNE  no
	MOVB $1, ret+0(FP)
no:
	RET

// func rdtsc() uint64, ordered after what is before it (SDM 2B, RDTSC).
TEXT ·rdtsc(SB), NOSPLIT, $0-8
	LFENCE
	RDTSC
	LFENCE
	SHLQ $32, DX
	ORQ  DX, AX
	MOVQ AX, ret+0(FP)
	RET
