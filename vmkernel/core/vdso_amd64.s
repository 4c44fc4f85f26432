#include "textflag.h"

// vdso is the shared object that the auxiliary vector names, as vdso(7) has it: an ELF file of one symbol,
// __vdso_clock_gettime. The Go runtime reads the clock some 60 times to answer a small call of the API, and as a system
// call that took five times as many instructions. It is linked at its own address, so what are offsets elsewhere are
// addresses here. Only what the runtime reads is in it (runtime/vdso_linux.go).

#define HEADER   0
#define SEGMENTS 64
#define DYNAMIC  (SEGMENTS+2*56)
#define SYMBOLS  (DYNAMIC+5*16)
#define HASH     (SYMBOLS+2*24)
#define VERSIONS (HASH+24)
#define STRINGS  (VERSIONS+24)
#define SIZE     (STRINGS+24)

// The header: where the segments are (e_phoff), and that they are two (e_phnum).
DATA ·vdso+(HEADER+0)(SB)/8, $"\x7FELF\x02\x01\x01\x00"
DATA ·vdso+(HEADER+16)(SB)/4, $0x003E0003 // ET_DYN, EM_X86_64
DATA ·vdso+(HEADER+20)(SB)/4, $1
DATA ·vdso+(HEADER+32)(SB)/8, $SEGMENTS
DATA ·vdso+(HEADER+52)(SB)/4, $0x00380040 // e_ehsize, e_phentsize
DATA ·vdso+(HEADER+56)(SB)/2, $2

// PT_LOAD: its address is that of the file, so that the offset of all addresses is none.
DATA ·vdso+(SEGMENTS+0)(SB)/4, $1
DATA ·vdso+(SEGMENTS+4)(SB)/4, $5
DATA ·vdso+(SEGMENTS+16)(SB)/8, $·vdso(SB)
DATA ·vdso+(SEGMENTS+32)(SB)/8, $SIZE
DATA ·vdso+(SEGMENTS+40)(SB)/8, $SIZE

// PT_DYNAMIC, whose offset is what counts.
DATA ·vdso+(SEGMENTS+56)(SB)/4, $2
DATA ·vdso+(SEGMENTS+60)(SB)/4, $4
DATA ·vdso+(SEGMENTS+64)(SB)/8, $DYNAMIC
DATA ·vdso+(SEGMENTS+72)(SB)/8, $·vdso+DYNAMIC(SB)
DATA ·vdso+(SEGMENTS+88)(SB)/8, $(5*16)
DATA ·vdso+(SEGMENTS+96)(SB)/8, $(5*16)

// DT_HASH, DT_STRTAB, DT_SYMTAB, DT_VERDEF, DT_NULL.
DATA ·vdso+(DYNAMIC+0)(SB)/8, $4
DATA ·vdso+(DYNAMIC+8)(SB)/8, $·vdso+HASH(SB)
DATA ·vdso+(DYNAMIC+16)(SB)/8, $5
DATA ·vdso+(DYNAMIC+24)(SB)/8, $·vdso+STRINGS(SB)
DATA ·vdso+(DYNAMIC+32)(SB)/8, $6
DATA ·vdso+(DYNAMIC+40)(SB)/8, $·vdso+SYMBOLS(SB)
DATA ·vdso+(DYNAMIC+48)(SB)/8, $0x6FFFFFFC
DATA ·vdso+(DYNAMIC+56)(SB)/8, $·vdso+VERSIONS(SB)

// Symbol 0 is none; symbol 1 a global function.
DATA ·vdso+(SYMBOLS+24)(SB)/4, $1
DATA ·vdso+(SYMBOLS+28)(SB)/1, $0x12
DATA ·vdso+(SYMBOLS+30)(SB)/2, $1
DATA ·vdso+(SYMBOLS+32)(SB)/8, $·vdsoClockGettime(SB)

// One bucket, which begins with symbol 1; the chain of two symbols ends there.
DATA ·vdso+(HASH+0)(SB)/4, $1
DATA ·vdso+(HASH+4)(SB)/4, $2
DATA ·vdso+(HASH+8)(SB)/4, $1

// The version of the file itself, and no other: symbols have none.
DATA ·vdso+(VERSIONS+0)(SB)/4, $0x00010001
DATA ·vdso+(VERSIONS+4)(SB)/2, $1

DATA ·vdso+(STRINGS+1)(SB)/8, $"__vdso_c"
DATA ·vdso+(STRINGS+9)(SB)/8, $"lock_get"
DATA ·vdso+(STRINGS+17)(SB)/4, $"time"
GLOBL ·vdso(SB), RODATA, $SIZE

// NANOTIME is nanotime, in AX. It uses DX. Without LFENCE the counter might be read before what the caller has seen (SDM 2B RDTSC).
#define NANOTIME \
	LFENCE; \
	RDTSC; \
	SHLQ $32, DX; \
	ORQ  DX, AX; \
	SUBQ ·tscBase(SB), AX; \
	MULQ ·tscMult(SB); \
	SHRQ $32, DX, AX

// vdsoClockGettime(id, *timespec) is sysClockGettime by the System V calling convention, in the upper half: with
// interrupts on and on the caller's stack.
TEXT ·vdsoClockGettime(SB), NOSPLIT|NOFRAME, $0
	NANOTIME
	TESTL DI, DI
	JEQ  wall
	CMPL DI, $5 // CLOCK_REALTIME_COARSE
	JNE  split
wall:
	ADDQ ·wallOffset(SB), AX
split:
	XORL DX, DX
	MOVL $1000000000, CX
	DIVQ CX
	MOVQ AX, 0(SI)
	MOVQ DX, 8(SI)
	XORL AX, AX
	RET

// func vdsoMonotonic() int64
//
// vdsoMonotonic is nanotime, and vdsoRealtime that and wallOffset, in the upper half: what package goos jumps to.
TEXT ·vdsoMonotonic(SB), NOSPLIT|NOFRAME, $0-8
	NANOTIME
	MOVQ AX, ret+0(FP)
	RET

// func vdsoRealtime() int64
TEXT ·vdsoRealtime(SB), NOSPLIT|NOFRAME, $0-8
	NANOTIME
	ADDQ ·wallOffset(SB), AX
	MOVQ AX, ret+0(FP)
	RET

TEXT ·vdsoAddress(SB), NOSPLIT, $0-8
	LEAQ ·vdso(SB), AX
	MOVQ AX, ret+0(FP)
	RET
