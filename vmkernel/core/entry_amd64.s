#include "go_asm.h"
#include "textflag.h"

// Offsets of a context's general registers.
#define RAX (context_gpr+0)
#define RCX (context_gpr+8)
#define RDX (context_gpr+16)
#define RBX (context_gpr+24)
#define RSP (context_gpr+32)
#define RBP (context_gpr+40)
#define RSI (context_gpr+48)
#define RDI (context_gpr+56)
#define R_8 (context_gpr+64)
#define R_9 (context_gpr+72)
#define R_10 (context_gpr+80)
#define R_11 (context_gpr+88)
#define R_12 (context_gpr+96)
#define R_13 (context_gpr+104)
#define R_14 (context_gpr+112)
#define R_15 (context_gpr+120)

// LOADFS sets the FS base to AX; it may destroy AX, CX and DX.
#define LOADFS(other, done) \
	CMPB ·useFSGS(SB), $0 \
	JEQ  other            \
	WRFSBASEQ AX          \
	JMP  done             \
other:                        \
	MOVL $0xC0000100, CX  \
	MOVQ AX, DX           \
	SHRQ $32, DX          \
	WRMSR                 \
done:

// entry is entered from boot in 64-bit mode on the boot page tables, with the loader's magic in
// ESI and the address of its information in EDI. It gives Go code a stack, a g and thread-local
// storage, and never comes back.
TEXT ·entry(SB), NOSPLIT|NOFRAME, $0
	LEAQ ·bootStack(SB), AX
	LEAQ 1024(AX), BX
	LEAQ 32752(AX), SP
	ANDQ $~15, SP
	LEAQ ·bootG(SB), CX
	MOVQ AX, fakeG_lo(CX)
	MOVQ SP, fakeG_hi(CX)
	MOVQ BX, fakeG_guard0(CX)
	MOVQ BX, fakeG_guard1(CX)
	LEAQ ·bootGPtr(SB), BX
	MOVQ CX, 0(BX)
	LEAQ 8(BX), AX
	MOVQ AX, DX
	SHRQ $32, DX
	MOVL $0xC0000100, CX
	WRMSR
	PUSHQ $0
	POPQ BP // backtraces end here
	SUBQ $16, SP
	MOVL SI, AX
	MOVL DI, BX
	MOVQ AX, 0(SP)
	MOVQ BX, 8(SP)
	CALL ·start(SB)
	UNDEF

// switchStack abandons the boot stack for the processor's own, with its g, and goes on in ·started.
TEXT ·switchStack(SB), NOSPLIT|NOFRAME, $0-8
	MOVQ c+0(FP), DI
	MOVQ cpu_stackTop(DI), SP
	MOVQ cpu_tls(DI), AX
	MOVQ AX, DX
	SHRQ $32, DX
	MOVL $0xC0000100, CX
	WRMSR
	PUSHQ $0
	PUSHQ DI
	CALL ·started(SB)
	JMP  ·leave(SB)

// apEntry is entered by a started processor in 64-bit mode on the kernel's page tables with its
// cpu in RDI.
TEXT ·apEntry(SB), NOSPLIT|NOFRAME, $0
	MOVQ cpu_stackTop(DI), SP
	MOVQ cpu_tls(DI), AX
	MOVQ AX, DX
	SHRQ $32, DX
	MOVL $0xC0000100, CX
	WRMSR
	PUSHQ $0
	PUSHQ DI
	CALL ·startAP(SB)
	JMP  ·leave(SB)

TEXT ·apEntryPC(SB), NOSPLIT, $0-8
	LEAQ ·apEntry(SB), AX
	MOVQ AX, ret+0(FP)
	RET

TEXT ·runtimeEntryPC(SB), NOSPLIT, $0-8
	LEAQ keel∕boot·runtimeEntry(SB), AX
	MOVQ AX, ret+0(FP)
	RET

TEXT ·syscallEntryPC(SB), NOSPLIT, $0-8
	LEAQ ·syscallEntry(SB), AX
	MOVQ AX, ret+0(FP)
	RET

TEXT ·gsSelf(SB), NOSPLIT|NOFRAME, $0-8
	MOVQ cpu_self(GS), AX
	MOVQ AX, ret+0(FP)
	RET

// syscallEntry is where SYSCALL lands: in ring 0 from ring 0, on the caller's stack, with RIP in
// RCX and RFLAGS in R11 (SDM 2B SYSCALL).
TEXT ·syscallEntry(SB), NOSPLIT|NOFRAME, $0
	CMPQ AX, $const_numVMBrief
	JEQ  brief
	MOVQ SP, cpu_scratch(GS)
	MOVQ cpu_world(GS), SP
	MOVQ AX, RAX(SP)
	MOVQ CX, context_rip(SP)
	MOVQ DX, RDX(SP)
	MOVQ BX, RBX(SP)
	MOVQ BP, RBP(SP)
	MOVQ SI, RSI(SP)
	MOVQ DI, RDI(SP)
	MOVQ R8, R_8(SP)
	MOVQ R9, R_9(SP)
	MOVQ R10, R_10(SP)
	MOVQ R11, context_rflags(SP)
	MOVQ R12, R_12(SP)
	MOVQ R13, R_13(SP)
	MOVQ R14, R_14(SP)
	MOVQ R15, R_15(SP)
	MOVQ $0, context_full(SP)
	MOVQ cpu_scratch(GS), AX
	MOVQ AX, RSP(SP)
	MOVQ cpu_stackTop(GS), SP
	MOVQ cpu_tls(GS), AX
	LOADFS(other, done)
	PUSHQ $0
	POPQ BP // backtraces end here
	CALL ·systemCall(SB)
	JMP  ·leave(SB)

	// Of a thread in a brief run nothing lives on but its stack, and where it is.
brief:
	MOVQ cpu_world(GS), BX
	MOVQ SP, RSP(BX)
	MOVQ CX, context_rip(BX)
	MOVQ R11, context_rflags(BX)
	MOVQ BP, RBP(BX)
	MOVQ $0, context_full(BX)
	MOVQ cpu_self(GS), BX
	MOVQ cpu_stackTop(BX), SP
	PUSHQ $0
	POPQ BP // backtraces end here
	SUBQ $56, SP
	MOVQ BX, 0(SP)
	MOVQ DI, 8(SP)
	MOVQ SI, 16(SP)
	MOVQ DX, 24(SP)
	MOVQ cpu_tls(BX), AX
	LOADFS(otherBrief, doneBrief)
	CALL ·vmbrief(SB)
	CMPQ 40(SP), $0
	JEQ  resume
	MOVQ 32(SP), SI
	MOVQ cpu_world(GS), BX
	MOVQ context_fsBase(BX), AX
	LOADFS(otherBack, doneBack)
	MOVQ RBP(BX), AX
	XCHGQ BP, AX // see leave
	MOVQ SI, AX
	MOVQ RSP(BX), SP
	MOVQ context_rip(BX), CX
	STI // takes effect after the jump
	JMP  CX
resume:
	JMP  ·leave(SB)

// leave resumes the world that cpu.world names.
TEXT ·leave(SB), NOSPLIT|NOFRAME, $0
	MOVQ cpu_world(GS), BX
	MOVQ context_fsBase(BX), AX
	LOADFS(other, done)
	MOVQ RDX(BX), DX
	MOVQ RSI(BX), SI
	MOVQ RDI(BX), DI
	MOVQ R_8(BX), R8
	MOVQ R_9(BX), R9
	MOVQ R_10(BX), R10
	MOVQ R_12(BX), R12
	MOVQ R_13(BX), R13
	MOVQ R_14(BX), R14
	MOVQ R_15(BX), R15
	XORPS X15, X15 // as the Go compiler's code has it
	CMPQ context_full(BX), $0
	JNE  full
	MOVQ RBP(BX), AX
	XCHGQ BP, AX // a plain load looks to vet like a frame pointer lost
	MOVQ RAX(BX), AX
	MOVQ context_rip(BX), CX
	MOVQ RSP(BX), SP
	MOVQ RBX(BX), BX
	STI // takes effect after the jump
	JMP  CX
full:
	CMPQ context_full(BX), $const_fullVec
	JNE  iret
	MOVQ DX, R11
	MOVL $const_xcr0Host, AX
	XORL DX, DX
	CMPB ·hasXSAVE(SB), $0
	JEQ  fxrstor
	XRSTOR64 context_xsave(BX)
	MOVQ R11, DX
	JMP  iret
fxrstor:
	FXRSTOR64 context_xsave(BX)
	MOVQ R11, DX
iret:
	MOVQ RBP(BX), AX
	XCHGQ BP, AX
	MOVQ $0x10, AX
	PUSHQ AX
	PUSHQ RSP(BX)
	PUSHQ context_rflags(BX)
	MOVQ $8, AX
	PUSHQ AX
	PUSHQ context_rip(BX)
	MOVQ RAX(BX), AX
	MOVQ RCX(BX), CX
	MOVQ R_11(BX), R11
	MOVQ RBX(BX), BX
	IRETQ

// interrupted is where all vectors' stubs lead, on an IST stack:
//   0 vector, 8 error code, 16 RIP, 24 CS, 32 RFLAGS, 40 RSP, 48 SS.
// The upper half's stacks are in the lower half of the address space and the other way round.
TEXT ·interrupted(SB), NOSPLIT|NOFRAME, $0
	CMPQ 40(SP), $0
	JLT  lower
	PUSHQ AX
	MOVQ cpu_world(GS), AX
	TESTQ AX, AX
	JEQ  early
	MOVQ CX, RCX(AX)
	MOVQ DX, RDX(AX)
	MOVQ BX, RBX(AX)
	MOVQ BP, RBP(AX)
	MOVQ SI, RSI(AX)
	MOVQ DI, RDI(AX)
	MOVQ R8, R_8(AX)
	MOVQ R9, R_9(AX)
	MOVQ R10, R_10(AX)
	MOVQ R11, R_11(AX)
	MOVQ R12, R_12(AX)
	MOVQ R13, R_13(AX)
	MOVQ R14, R_14(AX)
	MOVQ R15, R_15(AX)
	POPQ BX
	MOVQ BX, RAX(AX)
	MOVQ 16(SP), BX
	MOVQ BX, context_rip(AX)
	MOVQ 32(SP), BX
	MOVQ BX, context_rflags(AX)
	MOVQ 40(SP), BX
	MOVQ BX, RSP(AX)
	MOVQ $const_fullVec, context_full(AX)
	MOVQ 0(SP), SI
	MOVQ 8(SP), DI
	MOVQ AX, BX
	MOVL $const_xcr0Host, AX
	XORL DX, DX
	CMPB ·hasXSAVE(SB), $0
	JEQ  fxsave
	XSAVE64 context_xsave(BX)
	JMP  saved
fxsave:
	FXSAVE64 context_xsave(BX)
saved:
	MOVQ cpu_stackTop(GS), SP
	MOVQ cpu_tls(GS), AX
	LOADFS(other, done)
	CLD
	PUSHQ $0
	POPQ BP // backtraces end here
	SUBQ $16, SP
	MOVQ SI, 0(SP)
	MOVQ DI, 8(SP)
	CALL ·interrupt(SB)
	JMP  ·leave(SB)
lower:
	// The lower half opens interrupts only where it waits for one: note the vector and go back.
	CMPQ 0(SP), $32
	JLT  broken
	PUSHQ AX
	MOVQ 8(SP), AX
	BTSQ AX, cpu_pending(GS) // a register's bit offset reaches all 256 bits
	POPQ AX
	ADDQ $16, SP
	IRETQ
early:
	POPQ AX
broken:
	// Fatal: the stack of registers below becomes the report.
	PUSHQ R15
	PUSHQ R14
	PUSHQ R13
	PUSHQ R12
	PUSHQ R11
	PUSHQ R10
	PUSHQ R9
	PUSHQ R8
	PUSHQ DI
	PUSHQ SI
	PUSHQ BP
	PUSHQ SP
	PUSHQ BX
	PUSHQ DX
	PUSHQ CX
	PUSHQ AX
	MOVQ SP, AX
	MOVQ cpu_tls(GS), CX
	TESTQ CX, CX
	JEQ  noTLS
	MOVQ AX, BX
	MOVQ CX, AX
	LOADFS(other2, done2)
	MOVQ BX, AX
noTLS:
	CLD
	SUBQ $16, SP
	MOVQ AX, 0(SP)
	CALL ·fatalFrame(SB)
	UNDEF

// nmi never calls Go: it may come at any instruction. Another processor that found a fatal fault
// stops this one by it; else it is counted and reported later.
TEXT ·nmi(SB), NOSPLIT|NOFRAME, $0
	CMPQ cpu_stop(GS), $0
	JNE  stop
	LOCK
	INCQ cpu_nmis(GS)
	ADDQ $16, SP
	IRETQ
stop:
	HLT
	JMP stop

// The stubs are 16 bytes apart. NOERR pushes a zero where the processor pushes no error code.
#define NOERR(n) \
	PCALIGN $16 \
	BYTE $0x6A; BYTE $0x00 \
	BYTE $0x68; LONG $n    \
	JMP  ·interrupted(SB)
#define ERR(n) \
	PCALIGN $16 \
	BYTE $0x66; BYTE $0x90 \
	BYTE $0x68; LONG $n    \
	JMP  ·interrupted(SB)
#define NMI(n) \
	PCALIGN $16 \
	BYTE $0x6A; BYTE $0x00 \
	BYTE $0x68; LONG $n    \
	JMP  ·nmi(SB)
#define EIGHT(n) \
	NOERR(n) \
	NOERR((n+1)) \
	NOERR((n+2)) \
	NOERR((n+3)) \
	NOERR((n+4)) \
	NOERR((n+5)) \
	NOERR((n+6)) \
	NOERR((n+7))

TEXT ·stubs(SB), NOSPLIT|NOFRAME, $0
	NOERR(0)
	NOERR(1)
	NMI(2)
	NOERR(3)
	NOERR(4)
	NOERR(5)
	NOERR(6)
	NOERR(7)
	ERR(8)
	NOERR(9)
	ERR(10)
	ERR(11)
	ERR(12)
	ERR(13)
	ERR(14)
	NOERR(15)
	NOERR(16)
	ERR(17)
	NOERR(18)
	NOERR(19)
	NOERR(20)
	ERR(21)
	NOERR(22)
	NOERR(23)
	NOERR(24)
	NOERR(25)
	NOERR(26)
	NOERR(27)
	NOERR(28)
	ERR(29)
	ERR(30)
	NOERR(31)
	EIGHT(32)
	EIGHT(40)
	EIGHT(48)
	EIGHT(56)
	EIGHT(64)
	EIGHT(72)
	EIGHT(80)
	EIGHT(88)
	EIGHT(96)
	EIGHT(104)
	EIGHT(112)
	EIGHT(120)
	EIGHT(128)
	EIGHT(136)
	EIGHT(144)
	EIGHT(152)
	EIGHT(160)
	EIGHT(168)
	EIGHT(176)
	EIGHT(184)
	EIGHT(192)
	EIGHT(200)
	EIGHT(208)
	EIGHT(216)
	EIGHT(224)
	EIGHT(232)
	EIGHT(240)
	EIGHT(248)

// framePointer is the caller's frame pointer.
TEXT ·framePointer(SB), NOSPLIT|NOFRAME, $0-8
	MOVQ BP, ret+0(FP)
	RET

// resetFPU gives the x87 and SSE control registers their values after reset, which Go expects.
TEXT ·resetFPU(SB), NOSPLIT, $8-0
	BYTE $0xDB; BYTE $0xE3 // FNINIT
	MOVL $0x1F80, 0(SP)
	LDMXCSR 0(SP)
	RET

// fence orders all stores before the WRMSR that sends an x2APIC interrupt (SDM 3A 10.12.3).
TEXT ·fence(SB), NOSPLIT|NOFRAME, $0-0
	MFENCE
	LFENCE
	RET

TEXT ·rdrand(SB), NOSPLIT|NOFRAME, $0-9
	RDRANDQ AX
	MOVQ    AX, v+0(FP)
	SETCS   ok+8(FP)
	RET

TEXT ·pclntab(SB), NOSPLIT|NOFRAME, $0-8
	LEAQ runtime·pclntab(SB), AX
	MOVQ AX, ret+0(FP)
	RET

TEXT ·textStart(SB), NOSPLIT|NOFRAME, $0-8
	LEAQ runtime·text(SB), AX
	MOVQ AX, ret+0(FP)
	RET

// Where the linker put the parts of the image.
TEXT ·textLimit(SB), NOSPLIT|NOFRAME, $0-8
	LEAQ runtime·etext(SB), AX
	MOVQ AX, ret+0(FP)
	RET

TEXT ·dataStart(SB), NOSPLIT|NOFRAME, $0-8
	LEAQ runtime·noptrdata(SB), AX
	MOVQ AX, ret+0(FP)
	RET

TEXT ·imageLimit(SB), NOSPLIT|NOFRAME, $0-8
	LEAQ runtime·end(SB), AX
	MOVQ AX, ret+0(FP)
	RET

TEXT ·stubsPC(SB), NOSPLIT, $0-8
	LEAQ ·stubs(SB), AX
	MOVQ AX, ret+0(FP)
	RET

TEXT ·breakpoint(SB), NOSPLIT|NOFRAME, $0-0
	BYTE $0xCC
	RET

// openWindow lets the host's interrupts in for two instructions: STI opens after the first.
TEXT ·openWindow(SB), NOSPLIT|NOFRAME, $0-0
	STI
	BYTE $0x90 // NOP: the assembler drops its own
	BYTE $0x90
	CLI
	RET

TEXT ·vectorsIn(SB), NOSPLIT|NOFRAME, $0-16
	MOVQ area+0(FP), BX
	MOVL $const_xcr0Host, AX
	XORL DX, DX
	XRSTOR64 (BX)
	MOVQ xcr0+8(FP), AX
	CMPQ AX, $const_xcr0Host
	JEQ  same
	MOVQ AX, DX
	SHRQ $32, DX
	XORL CX, CX
	BYTE $0x0F; BYTE $0x01; BYTE $0xD1 // XSETBV
same:
	RET

TEXT ·vectorsOut(SB), NOSPLIT|NOFRAME, $0-24
	MOVQ area+0(FP), BX
	MOVQ clean+8(FP), SI
	MOVL $const_xcr0Host, AX
	XORL DX, DX
	CMPQ xcr0+16(FP), AX
	JEQ  same
	XORL CX, CX
	BYTE $0x0F; BYTE $0x01; BYTE $0xD1 // XSETBV
same:
	XSAVE64 (BX)
	XRSTOR64 (SI)
	RET
